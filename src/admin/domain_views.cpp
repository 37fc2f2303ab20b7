#include "admin/domain_views.h"

#include <algorithm>
#include <map>

#include "admin/exception_file.h"
#include "cluster/entry_keys.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;

/// A domain as its directory has it.
struct Found {
    std::string text;
    std::size_t directory = 0;
};

/// Reads the directories of the node, each when it is needed.
class DomainReader {
public:
    explicit DomainReader(NodeContext& node)
        : node_(node), topology_(node.topology->current()), readers_(sources().size()) {
        for (const cluster::DomainConflict& conflict : topology_->parts().conflicts) {
            conflicts_.emplace(conflict.domain.text, &conflict);
        }
    }

    /// The own cluster's is read from its state, which is ahead of the topology.
    Result<std::optional<Found>> find(const std::string& name) {
        auto own = find_in(0, name);
        if (!own || *own) return own;
        const cluster::Domain* domain = topology_->domain(name);
        if (domain == nullptr || domain->directory == 0) return std::nullopt;
        return find_in(domain->directory, name);
    }

    /// The next of the own cluster.
    Result<> read_own(const std::string& after, std::size_t limit,
                      std::map<std::string, Found>& domains) {
        const std::string first(cluster::kDomainPrefix);
        const auto rows = reader(0).range(after.empty() ? first : state::after(first + after),
                                          state::prefix_end(cluster::kDomainPrefix), limit);
        if (!rows) return std::unexpected(rows.error());
        for (const state::Entry& row : *rows) {
            domains.try_emplace(row.key.substr(first.size()), Found{row.value, 0});
        }
        return {};
    }

    /// The next of the others.
    Result<> read_followed(const std::string& after, std::size_t limit,
                           std::map<std::string, Found>& domains) {
        std::vector<const cluster::Domain*> followed;
        for (const cluster::Domain& domain : topology_->parts().domains) {
            if (domain.directory != 0 && domain.name.text > after) followed.push_back(&domain);
        }
        const auto by_name = [](const cluster::Domain* domain) -> const std::string& {
            return domain->name.text;
        };
        std::ranges::sort(followed, {}, by_name);
        if (followed.size() > limit) followed.resize(limit);
        for (const cluster::Domain* domain : followed) {
            const auto found = find_in(domain->directory, domain->name.text);
            if (!found) return std::unexpected(found.error());
            if (*found) domains.try_emplace(domain->name.text, **found);
        }
        return {};
    }

    json shown(const std::string& name, const Found& found, bool with_inherited) {
        const json stored = object_of(found.text);
        json object = stored;
        const json patch = node_.exceptions->of(name);
        if (patch.is_object()) apply(name, found.text, patch, object);
        object["name"] = name;
        if (has_credential(name, found.directory)) object["credential"] = "set";
        const std::string& network = sources()[found.directory].name;
        if (!network.empty()) object["network"] = network;
        if (object.contains("here") && with_inherited) {
            json inherited = json::object();
            for (const auto& [field, value] : patch.items()) {
                inherited[field] = stored.value(field, json());
            }
            object["inherited"] = std::move(inherited);
        }
        const auto conflict = conflicts_.find(name);
        if (conflict != conflicts_.end()) {
            json others(conflict->second->networks);
            others.erase(others.begin());
            object["also_in"] = std::move(others);
        }
        return object;
    }

private:
    [[nodiscard]] const cluster::DirectorySources& sources() const {
        return node_.topology->sources();
    }

    state::ReplicaReader& reader(std::size_t directory) {
        auto& slot = readers_[directory];
        if (!slot) slot.emplace(sources()[directory].replica);
        return *slot;
    }

    Result<std::optional<Found>> find_in(std::size_t directory, const std::string& name) {
        const auto row = reader(directory).find(std::string(cluster::kDomainPrefix) + name);
        if (!row) return std::unexpected(row.error());
        if (!*row) return std::nullopt;
        return Found{std::string((*row)->value), directory};
    }

    /// Of what is shown of it that is all: whether this node has one for the domain.
    bool has_credential(const std::string& name, std::size_t directory) {
        const auto row = reader(directory).find(std::string(cluster::kDeliveryPrefix) + name);
        return row && *row;
    }

    static json object_of(const std::string& text) {
        json object = state::parse_json(text);
        return object.is_object() ? object : json{{"value", object}};
    }

    static void apply(const std::string& name, const std::string& text, const json& patch,
                      json& object) {
        const auto patched = cluster::patched_domain(name, text, state::json_line(patch));
        if (!patched) {
            object["misfit"] = patched.error().detail;
            return;
        }
        object = object_of(*patched);
        json fields = json::array();
        for (const auto& [field, value] : patch.items()) fields.push_back(field);
        object["here"] = std::move(fields);
    }

    NodeContext& node_;
    std::shared_ptr<const cluster::Topology> topology_;
    std::vector<std::optional<state::ReplicaReader>> readers_;
    std::map<std::string, const cluster::DomainConflict*> conflicts_;
};

Result<std::string> domain_of(const ApiCall& call) {
    const auto name = cluster::parse_domain(call.names[0]);
    if (!name) return std::unexpected(name.error());
    return name->text;
}

/// As json::merge_patch, but what a patch takes away it goes on to take away.
void lay_over(json& patch, const json& more) {
    for (const auto& [field, value] : more.items()) {
        json& slot = patch[field];
        if (slot.is_object() && value.is_object()) {
            lay_over(slot, value);
        } else {
            slot = value;
        }
    }
}

/// Takes "field" or "field.inner" out of a patch.
bool take_out(json& patch, std::string_view path) {
    const std::size_t dot = path.find('.');
    const std::string field(path.substr(0, dot));
    if (!patch.is_object() || !patch.contains(field)) return false;
    if (dot == path.npos) {
        patch.erase(field);
        return true;
    }
    const bool found = take_out(patch[field], path.substr(dot + 1));
    if (patch[field].empty()) patch.erase(field);
    return found;
}

/// Proves a patch against the domain, then has it.
ApiResult use_patch(NodeContext& node, ApiCall& call, const std::string& name, const json& patch) {
    DomainReader reader(node);
    const auto found = reader.find(name);
    if (!found) return std::unexpected(found.error());
    if (!*found) return fail(ErrorKind::NotFound, "there is no domain " + name);
    const auto proof = cluster::patched_domain(name, (*found)->text, state::json_line(patch));
    if (!proof) return std::unexpected(proof.error());
    call.audit.object = name;
    call.audit.before = node.exceptions->of(name);
    call.audit.after = patch;
    if (auto put = node.exceptions->put(name, patch); !put) return std::unexpected(put.error());
    if (auto read = node.topology->refresh(); !read) return std::unexpected(read.error());
    return show_domain(node, name);
}

}  // namespace

ApiResult list_domains(NodeContext& node, ApiCall& call) {
    const std::size_t limit = query_number(call, "limit", 10'000, 100'000);
    const std::string after = net::query_value(call.query, "after").value_or("");
    DomainReader reader(node);
    std::map<std::string, Found> domains;
    if (auto read = reader.read_own(after, limit, domains); !read) {
        return std::unexpected(read.error());
    }
    if (auto read = reader.read_followed(after, limit, domains); !read) {
        return std::unexpected(read.error());
    }
    json list = json::array();
    for (const auto& [name, found] : domains) {
        if (list.size() == limit) break;
        list.push_back(reader.shown(name, found, false));
    }
    return json{{"domains", std::move(list)}};
}

ApiResult show_domain(NodeContext& node, const std::string& name) {
    DomainReader reader(node);
    const auto found = reader.find(name);
    if (!found) return std::unexpected(found.error());
    if (!*found) return fail(ErrorKind::NotFound, "there is no domain " + name);
    return reader.shown(name, **found, true);
}

ApiResult list_exceptions(NodeContext& node, ApiCall&) {
    json answer{{"domains", node.exceptions->all()}, {"node", node.config.node.name.text}};
    const std::string trouble = node.exceptions->trouble();
    if (!trouble.empty()) answer["trouble"] = trouble;
    const auto topology = node.topology->current();
    if (const auto& misfits = topology->parts().misfits; !misfits.empty()) {
        answer["misfits"] = misfits;
    }
    return answer;
}

ApiResult put_exception(NodeContext& node, ApiCall& call) {
    const auto name = domain_of(call);
    if (!name) return std::unexpected(name.error());
    if (!call.body.is_object()) return fail(ErrorKind::Syntax, "the body must be a JSON object");
    return use_patch(node, call, *name, call.body);
}

ApiResult change_exception(NodeContext& node, ApiCall& call) {
    const auto name = domain_of(call);
    if (!name) return std::unexpected(name.error());
    const json set = call.body.value("set", json::object());
    const json inherit = call.body.value("inherit", json::array());
    if (!set.is_object() || !inherit.is_array()) {
        return fail(ErrorKind::Syntax, "\"set\" is an object, \"inherit\" a list of names");
    }
    json patch = node.exceptions->of(*name);
    if (!patch.is_object()) patch = json::object();
    for (const json& field : inherit) {
        const std::string path = field.is_string() ? field.get<std::string>() : "";
        if (take_out(patch, path)) continue;
        return fail(ErrorKind::NotFound, *name + " has no exception here for \"" + path + '"');
    }
    lay_over(patch, set);
    return use_patch(node, call, *name, patch);
}

ApiResult delete_exception(NodeContext& node, ApiCall& call) {
    const auto name = domain_of(call);
    if (!name) return std::unexpected(name.error());
    call.audit.object = *name;
    call.audit.before = node.exceptions->of(*name);
    if (call.audit.before.is_null()) {
        return fail(ErrorKind::NotFound, *name + " has no exceptions here");
    }
    if (auto put = node.exceptions->put(*name, nullptr); !put) return std::unexpected(put.error());
    if (auto read = node.topology->refresh(); !read) return std::unexpected(read.error());
    return json{{"removed", *name}};
}

}  // namespace muster::admin
