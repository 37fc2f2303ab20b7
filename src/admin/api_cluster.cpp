// The cluster as a whole: compare and apply declarations, tokens, the authority, the audit log.

#include <array>

#include "admin/api.h"
#include "admin/dkim_folder.h"
#include "admin/fan_out.h"
#include "admin/issued.h"
#include "admin/node_admission.h"
#include "admin/presence.h"
#include "admin/sealed_secrets.h"
#include "admin/state_entries.h"
#include "cluster/credential_seal.h"
#include "cluster/directory_writer.h"
#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"
#include "net/pki.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;

constexpr std::string_view kTokenPrefix = "token/";
constexpr std::size_t kTokenHours = 24;
constexpr std::size_t kMostTokenHours = 24 * 30;
constexpr std::size_t kMostRecords = 100'000;

struct Planned {
    std::vector<Step> steps;
    std::map<std::string, Revision> revisions;
    std::vector<std::string> problems;
    Revision head = 0;  ///< of the state that they were made by
};

/// Accounts and their rows of keys belong together: the keys go with the last account of their id
/// (a renamed one keeps them), and a new account gets a row, by which its id is known to be in
/// use. Nothing of it is done where the file itself speaks of keys.
Result<> add_key_steps(state::Store& store, const Declaration& desired, StoredEntries& stored,
                       std::vector<Step>& steps) {
    if (desired.sections.contains("passwords")) return {};
    std::set<std::string> used;
    for_each_account_after(stored.entries, steps,
                           [&used](const json& account) { used.insert(account.value("id", "")); });
    std::vector<Step> more;
    for (const Step& step : steps) {
        if (!step.key.starts_with("account/") || step.kind == Step::Kind::Change) continue;
        const bool goes = step.kind == Step::Kind::Delete;
        const AccountId id((goes ? step.before : step.after).value("id", ""));
        if (goes && used.contains(id.text)) continue;
        const auto entry = store.get(cluster::password_key(id));
        if (!entry) return std::unexpected(entry.error());
        if (entry->has_value() != goes) continue;
        const json none{{"keys", json::array()}};
        if (goes) stored.revisions[(*entry)->key] = (*entry)->revision;
        more.push_back(
            {step.kind, cluster::password_key(id), goes ? none : json(), goes ? json() : none});
    }
    for (Step& step : more) steps.push_back(std::move(step));
    return {};
}

/// Sessions of accounts that went, were disabled or have another home now.
json end_sessions(NodeContext& node, const std::vector<Step>& steps) {
    std::vector<cluster::Account> accounts;
    for (const Step& step : steps) {
        if (!step.key.starts_with("account/") || step.before.is_null()) continue;
        const bool goes_on = !step.after.is_null() && step.after.value("state", "") != "disabled" &&
                             step.after.value("home", "") == step.before.value("home", "");
        if (goes_on) continue;
        auto account = cluster::decode_account(
            std::string_view(step.key).substr(cluster::kAccountPrefix.size()),
            state::json_line(step.before));
        if (account) accounts.push_back(std::move(*account));
    }
    return end_accounts_everywhere(node, accounts, "changed");
}

/// A key that signs, in clear: its record follows from it.
Result<> complete_dkim(json& key) {
    const auto pem = text_field(key, "key");
    if (!pem) return std::unexpected(pem.error());
    if (cluster::is_sealed(*pem)) return {};
    auto record = dkim_record(*pem);
    if (!record) return std::unexpected(record.error());
    key["record"] = std::move(*record);
    return {};
}

/// A file may hold secrets in clear; the state may not.
Result<> seal_declared(Declaration& desired, const Entries& stored, const SealSecret& secret) {
    for (auto& [key, value] : desired.entries) {
        if (key.starts_with(cluster::kDkimPrefix)) {
            const auto named = cluster::parse_dkim_name(key.substr(cluster::kDkimPrefix.size()));
            const auto complete = named ? complete_dkim(value) : std::unexpected(named.error());
            if (!complete) return fail(complete.error().kind, key + ": " + complete.error().detail);
        }
        const auto before = stored.find(key);
        auto sealed =
            seal_secrets(key, value, before == stored.end() ? json() : before->second, secret);
        if (sealed && is_checked_sealed(key))
            sealed = cluster::check_entry(key, state::json_line(value));
        if (!sealed) return fail(sealed.error().kind, key + ": " + sealed.error().detail);
    }
    return {};
}

Result<Planned> plan_for(NodeContext& node, const json& body) {
    auto desired = read_declaration(body);
    if (!desired) return std::unexpected(desired.error());
    // What other objects may refer to must be at hand even if the file does not speak of it.
    std::set<std::string_view> sections = desired->sections;
    sections.insert({"nodes", "servers", "domains"});
    if (sections.contains("accounts") || desired->sections.contains("servers") ||
        desired->sections.contains("domains")) {
        sections.insert("accounts");
    }
    Planned planned;
    planned.head = node.directory->head().revision;
    auto stored = load_entries(*node.directory, sections);
    if (!stored) return std::unexpected(stored.error());
    if (auto sealed = seal_declared(*desired, stored->entries, node.identity.seal_secret());
        !sealed) {
        return std::unexpected(sealed.error());
    }
    planned.steps = plan(stored->entries, *desired, [] { return cluster::new_account_id().text; });
    if (auto added = add_key_steps(*node.directory, *desired, *stored, planned.steps); !added) {
        return std::unexpected(added.error());
    }
    for (const Step& step : planned.steps) {
        std::string why = unsettled_leader(step, node.config.node.name);
        if (!why.empty()) planned.problems.push_back(std::move(why));
    }
    for (std::string& broken : broken_references(stored->entries, planned.steps)) {
        planned.problems.push_back(std::move(broken));
    }
    planned.revisions = std::move(stored->revisions);
    return planned;
}

json shown(const Planned& planned) {
    json steps = json::array();
    for (const Step& step : planned.steps) {
        steps.push_back({{"op", name(step.kind)},
                         {"key", step.key},
                         {"before", redacted(step.before)},
                         {"after", redacted(step.after)}});
    }
    return {{"steps", std::move(steps)}, {"problems", planned.problems}};
}

ApiResult diff(NodeContext& node, ApiCall& call) {
    const auto planned = plan_for(node, call.body);
    if (!planned) return std::unexpected(planned.error());
    json answer = shown(*planned);
    answer["revision"] = node.directory->head().revision;
    return answer;
}

/// `revision` is that of the diff which somebody agreed to: when the state has moved since, the
/// steps may be others, and nothing is done.
ApiResult apply(NodeContext& node, ApiCall& call) {
    const auto planned = plan_for(node, call.body);
    if (!planned) return std::unexpected(planned.error());
    call.audit.object = std::to_string(planned->steps.size()) + " steps";
    call.audit.after = shown(*planned)["steps"];
    if (!planned->problems.empty()) {
        return fail(ErrorKind::Refused, planned->problems.front());
    }
    const auto agreed = net::query_value(call.query, "revision");
    if (agreed && *agreed != std::to_string(node.directory->head().revision)) {
        return fail(ErrorKind::Conflict, "the cluster has changed meanwhile: compare again");
    }
    const auto revision =
        carry_out(*node.directory, planned->steps, planned->revisions, planned->head);
    if (!revision) return std::unexpected(revision.error());
    return json{{"applied", planned->steps.size()},
                {"revision", *revision},
                {"sessions", end_sessions(node, planned->steps)}};
}

std::int64_t now_seconds() {
    return std::chrono::duration_cast<std::chrono::seconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

ApiResult make_join_token(NodeContext& node, ApiCall& call) {
    const auto name = text_field(call.body, "name");
    const auto scope = text_field(call.body, "scope");
    if (!name || !scope) return fail(ErrorKind::Syntax, "name and scope are texts");
    if (*scope != "master" && !state::scope_from(*scope)) {
        return fail(ErrorKind::Syntax, "scope must be frontend, backend, master, relay or mirror");
    }
    std::size_t hours = kTokenHours;
    if (call.body.contains("hours") && call.body["hours"].is_number_unsigned()) {
        hours = std::min(call.body["hours"].get<std::size_t>(), kMostTokenHours);
    }
    const std::int64_t ends = now_seconds() + static_cast<std::int64_t>(hours) * 3600;
    const JoinToken token = make_token(*name, *scope, ends);
    state::Transaction transaction;
    transaction.expect(token.key, 0).put(token.key, state::json_line(token.value));
    if (auto committed = node.directory->commit(transaction); !committed) {
        return std::unexpected(committed.error());
    }
    call.audit.object = name->empty() ? *scope : *name;
    call.audit.after = token.value;
    return json{{"token", token.text},
                {"scope", *scope},
                {"name", *name},
                {"ends", ends},
                {"master", node.config.cluster.advertise},
                {"pin", node.identity.pin}};
}

ApiResult list_tokens(NodeContext& node, ApiCall&) {
    const auto rows = node.directory->range(kTokenPrefix, state::prefix_end(kTokenPrefix), 10'000);
    if (!rows) return std::unexpected(rows.error());
    json list = json::array();
    for (const state::Entry& entry : *rows) {
        json token = state::parse_json(entry.value);
        if (!token.is_object()) continue;
        token["id"] = entry.key.substr(kTokenPrefix.size(), 12);
        list.push_back(std::move(token));
    }
    return json{{"tokens", std::move(list)}};
}

ApiResult remove_token(NodeContext& node, ApiCall& call) {
    const std::string from = std::string(kTokenPrefix) + call.names[0];
    const auto rows = node.directory->range(from, state::prefix_end(from), 2);
    if (!rows) return std::unexpected(rows.error());
    if (rows->size() != 1) return fail(ErrorKind::NotFound, "there is no such token");
    state::Transaction transaction;
    transaction.remove(rows->front().key);
    if (auto committed = node.directory->commit(transaction); !committed) {
        return std::unexpected(committed.error());
    }
    return json{{"removed", call.names[0]}};
}

ApiResult authority(NodeContext& node, ApiCall&) {
    return json{{"certificate", node.identity.authority}};
}

Result<std::chrono::days> days_wanted(const json& body) {
    if (!body.contains("days")) return net::kLongestLife;
    const json& days = body["days"];
    if (!days.is_number_integer() || days < 1 || days > net::kLongestLife.count()) {
        return fail(ErrorKind::Syntax, "days: 1 to " + std::to_string(net::kLongestLife.count()));
    }
    return std::chrono::days(days.get<int>());
}

/// A certificate of the cluster's authority; the private key stays where it was made.
ApiResult issue(NodeContext& node, ApiCall& call) {
    const auto key = text_field(call.body, "public_key");
    const auto name = text_field(call.body, "common_name");
    if (!key || !name) return fail(ErrorKind::Syntax, "public_key and common_name are texts");
    std::vector<std::string> names;
    if (call.body.contains("names") && call.body["names"].is_array()) {
        for (const json& one : call.body["names"]) {
            if (!one.is_string()) return fail(ErrorKind::Syntax, "names are texts");
            names.push_back(one.get<std::string>());
        }
    }
    call.audit.object = *name;
    call.audit.after = {{"names", names}};
    const auto days = days_wanted(call.body);
    if (!days) return std::unexpected(days.error());
    if (auto sound = state::check_key("issued/" + *name); !sound) {
        return fail(ErrorKind::Syntax, "common_name: " + sound.error().detail);
    }
    const auto certificate = issue_certificate(node.identity, *key, *name, names, *days);
    if (!certificate) return std::unexpected(certificate.error());
    const auto facts = net::read_certificate(*certificate);
    if (!facts) return std::unexpected(facts.error());
    if (auto noted = note_issued(*node.directory, {*name, names, facts->not_after}); !noted) {
        return std::unexpected(noted.error());
    }
    return json{{"certificate", *certificate}, {"authority", node.identity.authority}};
}

ApiResult list_issued(NodeContext& node, ApiCall&) {
    json list = json::array();
    for (const IssuedCertificate& one : issued_certificates(*node.directory)) {
        list.push_back({{"name", one.name}, {"names", one.names}, {"ends", in_utc(one.end)}});
    }
    return json{{"issued", std::move(list)}};
}

ApiResult forget(NodeContext& node, ApiCall& call) {
    call.audit.object = call.names[0];
    if (auto done = forget_issued(*node.directory, call.names[0]); !done) {
        return std::unexpected(done.error());
    }
    return json{{"forgotten", call.names[0]}};
}

ApiResult audit(NodeContext& node, ApiCall& call) {
    auto records = node.audit->newest(query_number(call, "limit", 100, kMostRecords));
    if (!records) return std::unexpected(records.error());
    return json{{"audit", std::move(*records)}};
}

constexpr std::array kRoutes{
    ApiRoute{"POST", "/v1/cluster/diff", RunsOn::Master, "", diff},
    ApiRoute{"POST", "/v1/cluster/apply", RunsOn::Master, "cluster apply", apply, Takes::AsksNodes},
    ApiRoute{"GET", "/v1/tokens", RunsOn::Master, "", list_tokens},
    ApiRoute{"POST", "/v1/tokens", RunsOn::Master, "token add", make_join_token},
    ApiRoute{"DELETE", "/v1/tokens/{}", RunsOn::Master, "token remove", remove_token},
    ApiRoute{"GET", "/v1/authority", RunsOn::AnyNode, "", authority},
    ApiRoute{"POST", "/v1/authority/issue", RunsOn::Master, "certificate issue", issue},
    ApiRoute{"GET", "/v1/authority/issued", RunsOn::Master, "", list_issued},
    ApiRoute{"DELETE", "/v1/authority/issued/{}", RunsOn::Master, "certificate forget", forget},
    ApiRoute{"GET", "/v1/audit", RunsOn::Master, "", audit},
};

}  // namespace

std::span<const ApiRoute> cluster_routes() { return kRoutes; }

}  // namespace muster::admin
