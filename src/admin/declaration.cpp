#include "admin/declaration.h"

#include <algorithm>
#include <array>

#include "admin/json_fields.h"
#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;

constexpr std::array kSections{
    DeclaredSection{"settings", "setting/", false},
    DeclaredSection{"nodes", "node/", false},
    DeclaredSection{"servers", "server/", false},
    DeclaredSection{"domains", "domain/", false},
    DeclaredSection{"accounts", "account/", false},
    DeclaredSection{"aliases", "alias/", false},
    DeclaredSection{"shared_acl", "shared-acl/", false},
    DeclaredSection{"certificates", "certificate/", true},
    DeclaredSection{"credentials", "credential/", true},
    DeclaredSection{"delivery", "delivery/", true},
    DeclaredSection{"secrets", "secret/", true},
    DeclaredSection{"dkim", "dkim/", true},
    DeclaredSection{"passwords", "key/", true},
    DeclaredSection{"administrators", "admin/", true},
};

constexpr std::string_view kAuthority = "setting/authority";  ///< made with the cluster
constexpr int kFormat = 1;
constexpr std::size_t kTroubleLimit = 20;

const DeclaredSection* section_named(std::string_view wanted) {
    const auto* const found = std::ranges::find(kSections, wanted, &DeclaredSection::name);
    return found == kSections.end() ? nullptr : found;
}

/// Ids are not the file's business: without one, that of the account as it is, or a new one.
json with_id(json account, const json& before, const std::function<std::string()>& new_id) {
    for (const char* field : {"id", "epoch"}) {
        if (!account.contains(field) && before.contains(field)) account[field] = before[field];
    }
    if (!account.contains("id")) account["id"] = new_id();
    return account;
}

/// Nor is where a front end listens, which it says itself.
json completed(const std::string& key, json value, const json& before,
               const std::function<std::string()>& new_id) {
    if (key.starts_with("account/")) return with_id(std::move(value), before, new_id);
    const bool is_node = key.starts_with("node/");
    if (is_node && !value.contains("smtp") && before.contains("smtp")) {
        value["smtp"] = before["smtp"];
    }
    return value;
}

Result<> read_section(const DeclaredSection& section, const json& objects,
                      Declaration& declaration) {
    if (!objects.is_object()) {
        return fail(ErrorKind::Syntax, std::string(section.name) + " is no JSON object");
    }
    declaration.sections.insert(section.name);
    for (const auto& [name, value] : objects.items()) {
        std::string key = std::string(section.prefix) + name;
        json checked = value;
        if (section.name == "accounts" && value.is_object() && !value.contains("id")) {
            checked["id"] = "aaaaaaaaaaaaaaaa";
        }
        const auto fine = is_checked_sealed(key)
                              ? Result<>{}
                              : cluster::check_entry(key, state::json_line(checked));
        if (!fine) {
            return fail(ErrorKind::Syntax,
                        std::string(section.name) + " " + name + ": " + fine.error().detail);
        }
        declaration.entries.emplace(std::move(key), value);
    }
    return {};
}

/// The state as it would be after the steps, looked at by key.
class After {
public:
    After(const Entries& actual, const std::vector<Step>& steps) : actual_(actual) {
        for (const Step& step : steps) changed_[step.key] = &step.after;
    }
    [[nodiscard]] const json* find(const std::string& key) const {
        if (const auto found = changed_.find(key); found != changed_.end()) {
            return found->second->is_null() ? nullptr : found->second;
        }
        const auto found = actual_.find(key);
        return found == actual_.end() ? nullptr : &found->second;
    }
    template <typename Use>
    void for_each(Use use) const {
        for (const auto& [key, value] : actual_) {
            if (!changed_.contains(key)) use(key, value);
        }
        for (const auto& [key, value] : changed_) {
            if (!value->is_null()) use(key, *value);
        }
    }

private:
    const Entries& actual_;
    std::map<std::string, const json*> changed_;
};

std::string domain_part(std::string_view address) {
    const std::size_t at = address.rfind('@');
    return at == std::string_view::npos ? std::string() : std::string(address.substr(at + 1));
}

class Troubles {
public:
    explicit Troubles(const After& after) : after_(after) {}

    void need(const std::string& of, const std::string& key) {
        if (found_.size() < kTroubleLimit && after_.find(key) == nullptr) {
            found_.push_back(of + " needs " + key + ", which is not there");
        }
    }
    void check(const std::string& key, const json& value) {
        if (key.starts_with("account/")) {
            need(key, "server/" + text(value, "home"));
            need(key, "domain/" + domain_part(key));
            check_id(key, text(value, "id"));
        } else if (key.starts_with("alias/")) {
            need(key, "domain/" + domain_part(key));
        } else if (key.starts_with("delivery/")) {
            need(key, "domain/" + key.substr(key.find('/') + 1));
        } else if (key.starts_with("domain/")) {
            check_servers(key, value);
        } else if (key.starts_with("server/") && !text(value, "node").empty()) {
            need(key, "node/" + text(value, "node"));
        }
    }
    [[nodiscard]] std::vector<std::string> take() { return std::move(found_); }

private:
    void check_servers(const std::string& key, const json& value) {
        if (!value.is_object() || !value.contains("servers")) return;
        for (const json& server : value["servers"]) {
            if (server.is_string()) need(key, "server/" + server.get<std::string>());
        }
    }

    /// Two accounts of one id would share one mailbox and one password.
    void check_id(const std::string& key, const std::string& id) {
        const auto [of, first] = ids_.try_emplace(id, key);
        if (first || found_.size() >= kTroubleLimit) return;
        found_.push_back(key + " has the id " + id + " of " + of->second);
    }

    const After& after_;
    std::map<std::string, std::string> ids_;  ///< whose each is
    std::vector<std::string> found_;
};

}  // namespace

std::span<const DeclaredSection> declared_sections() { return kSections; }

Result<> DeclarationWriter::begin_section(const DeclaredSection& section) {
    const std::string before =
        in_section_ ? "\n},\n" : "{\n\"muster\": " + std::to_string(kFormat) + ",\n";
    in_section_ = true;
    first_ = true;
    return sink_(before + "\"" + std::string(section.name) + "\": {");
}

Result<> DeclarationWriter::object(std::string_view name, std::string_view value) {
    const std::string before = first_ ? "\n" : ",\n";
    first_ = false;
    return sink_(before + state::json_line(json(name)) + ": " + std::string(value));
}

Result<> DeclarationWriter::finish() {
    return sink_(in_section_ ? "\n}\n}\n" : "{\"muster\": " + std::to_string(kFormat) + "}\n");
}

Result<Declaration> parse_declaration(std::string_view text) {
    if (state::nests_deeper(text, state::kMaxJsonDepth)) {
        return fail(ErrorKind::Syntax, "not a declaration: nested too deeply");
    }
    json root;
    try {
        root = json::parse(text);
    } catch (const json::exception& error) {
        return fail(ErrorKind::Syntax, std::string("not JSON: ") + error.what());
    }
    return read_declaration(root);
}

Result<Declaration> read_declaration(const json& root) {
    if (!root.is_object() || !root.contains("muster")) {
        return fail(ErrorKind::Syntax, R"(not a declaration: no "muster": 1)");
    }
    if (root["muster"] != kFormat) {
        return fail(ErrorKind::Syntax,
                    "made by a newer version: format " + state::json_line(root["muster"]));
    }
    Declaration declaration;
    for (const auto& [name, objects] : root.items()) {
        if (name == "muster") continue;
        const DeclaredSection* section = section_named(name);
        if (section == nullptr) return fail(ErrorKind::Syntax, "unknown section \"" + name + "\"");
        if (auto read = read_section(*section, objects, declaration); !read) {
            return std::unexpected(read.error());
        }
    }
    return declaration;
}

std::string_view name(Step::Kind kind) {
    switch (kind) {
        case Step::Kind::Create: return "create";
        case Step::Kind::Change: return "change";
        case Step::Kind::Delete: return "delete";
    }
    return "";
}

std::vector<Step> plan(const Entries& actual, const Declaration& desired,
                       const std::function<std::string()>& new_id) {
    std::vector<Step> steps;
    for (const auto& [key, value] : desired.entries) {
        const auto found = actual.find(key);
        const json before = found == actual.end() ? json() : found->second;
        json after = completed(key, value, before, new_id);
        if (before == after) continue;
        const auto kind = before.is_null() ? Step::Kind::Create : Step::Kind::Change;
        steps.push_back({kind, key, before, std::move(after)});
    }
    for (const DeclaredSection& section : kSections) {
        if (!desired.sections.contains(section.name)) continue;
        for (auto at = actual.lower_bound(std::string(section.prefix));
             at != actual.end() && at->first.starts_with(section.prefix); ++at) {
            if (desired.entries.contains(at->first) || at->first == kAuthority) continue;
            steps.push_back({Step::Kind::Delete, at->first, at->second, json()});
        }
    }
    return steps;
}

void for_each_account_after(const Entries& actual, const std::vector<Step>& steps,
                            const std::function<void(const json&)>& use) {
    After(actual, steps).for_each([&use](const std::string& key, const json& value) {
        if (key.starts_with("account/") && value.is_object()) use(value);
    });
}

bool is_checked_sealed(std::string_view key) {
    return key.starts_with(cluster::kSecretPrefix) || key.starts_with(cluster::kDkimPrefix);
}

std::string unsettled_leader(const Step& step, const NodeName& leader) {
    if (step.key == kAuthority) {
        return "the setting authority is the cluster's own, which all nodes trust: leave it out, "
               "or as it is";
    }
    if (!step.key.starts_with(cluster::kNodePrefix)) return {};
    const std::string name = step.key.substr(cluster::kNodePrefix.size());
    if (name != leader.text) {
        return flag(step.after, "master") && !flag(step.before, "master")
                   ? "node " + name + " does not lead, which muster cluster promote changes alone"
                   : "";
    }
    const std::string leads = "node " + name + " leads";
    if (step.after.is_null()) return leads + ": promote another one first (muster cluster promote)";
    if (step.before.is_null()) return {};
    if (flag(step.before, "master") && !flag(step.after, "master")) {
        return leads + ", which muster cluster promote changes alone";
    }
    if (flag(step.after, "revoked")) return leads + ": promote another one before it is revoked";
    const auto changes = [&step](const char* field) {
        return text(step.before, field) != text(step.after, field);
    };
    if (changes("scope")) return leads + ": its scope stays";
    return changes("pin") ? leads + ", and all nodes know it by its key (pin)" : "";
}

std::vector<std::string> broken_references(const Entries& actual, const std::vector<Step>& steps) {
    const After after(actual, steps);
    Troubles troubles(after);
    after.for_each(
        [&troubles](const std::string& key, const json& value) { troubles.check(key, value); });
    return troubles.take();
}

}  // namespace muster::admin
