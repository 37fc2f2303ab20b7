// Domains, servers, settings, certificates, credentials, administrators, aliases: objects that
// the API reads and writes as the JSON that stands in the state, with their "name" added.

#include <array>

#include "admin/api.h"
#include "admin/declaration.h"
#include "admin/domain_views.h"
#include "admin/fan_out.h"
#include "admin/peer_answers.h"
#include "admin/presence.h"
#include "admin/sealed_secrets.h"
#include "admin/server_proofs.h"
#include "base/base64.h"
#include "base/password.h"
#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"
#include "net/pki.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;

using Put = Result<> (*)(cluster::DirectoryWriter&, const std::string& name,
                         const std::string& json_text, std::optional<Revision> expected);
using Remove = Result<> (*)(cluster::DirectoryWriter&, const std::string& name);
using Normalise = Result<std::string> (*)(NodeContext&, std::string_view);

/// One kind of object: where it stands, how its names are written, how it is put and removed.
struct ObjectKind {
    std::string_view path;  ///< third part of the URL's path
    std::string_view noun;
    std::string_view prefix;
    Normalise normalise;
    Put put;
    Remove remove;
};

template <auto Decode>
Result<> put_decoded(cluster::DirectoryWriter& writer, const std::string& name,
                     const std::string& text, std::optional<Revision> expected) {
    auto object = Decode(name, text);
    if (!object) return std::unexpected(object.error());
    return writer.put(*object, expected);
}

/// Values of settings that would silently do nothing.
Result<> check_setting(const cluster::Setting& setting) {
    const json value = state::parse_json(setting.value);
    if (setting.name == "ticket_rotation") {
        constexpr unsigned kYear = 24 * 365;
        if (value.is_number_unsigned() && value <= kYear) return {};
        return fail(ErrorKind::Syntax, "ticket_rotation: hours, 1 to 8760, or 0 for never");
    }
    if (setting.name == "srs_domain") {
        const auto* const name = value.get_ptr<const std::string*>();
        if (name != nullptr && (name->empty() || cluster::parse_domain(*name))) return {};
        return fail(ErrorKind::Syntax, "srs_domain: a domain, or empty");
    }
    return {};
}

Result<> put_setting(cluster::DirectoryWriter& writer, const std::string& name,
                     const std::string& text, std::optional<Revision> expected) {
    const auto setting = cluster::decode_setting(name, text);
    if (!setting) return std::unexpected(setting.error());
    if (auto fine = check_setting(*setting); !fine) return fine;
    return writer.put(*setting, expected);
}

Result<> put_alias(cluster::DirectoryWriter& writer, const std::string& name,
                   const std::string& text, std::optional<Revision>) {
    const json object = state::parse_json(text);
    if (!object.is_object() || !object.contains("to") || !object["to"].is_array()) {
        return fail(ErrorKind::Syntax, "\"to\" must be a list of addresses");
    }
    std::vector<std::string> to;
    for (const json& address : object["to"]) {
        if (!address.is_string()) return fail(ErrorKind::Syntax, "\"to\" holds what is no address");
        to.push_back(address.get<std::string>());
    }
    auto set = writer.set_alias(name, to);
    if (!set) return std::unexpected(set.error());
    return {};
}

Result<std::string> plain_name(NodeContext&, std::string_view name) {
    return cluster::parse_plain_name(name);
}

Result<std::string> domain_name(NodeContext&, std::string_view name) {
    auto domain = cluster::parse_domain(name);
    if (!domain) return std::unexpected(domain.error());
    return domain->text;
}

Result<std::string> alias_name(NodeContext& node, std::string_view name) {
    auto address = address_here(node, name);
    if (!address) return std::unexpected(address.error());
    return address->text;
}

template <std::string_view const& Prefix>
Result<> remove_entry(cluster::DirectoryWriter& writer, const std::string& name) {
    return writer.delete_entry(std::string(Prefix) + name);
}

Result<> remove_domain(cluster::DirectoryWriter& writer, const std::string& name) {
    return writer.delete_domain(DomainName(name));
}
Result<> remove_server(cluster::DirectoryWriter& writer, const std::string& name) {
    return writer.delete_server(ServerName(name));
}
Result<> remove_node(cluster::DirectoryWriter& writer, const std::string& name) {
    return writer.delete_node(NodeName(name));
}
Result<> remove_alias(cluster::DirectoryWriter& writer, const std::string& name) {
    return writer.delete_alias(AccountAddress(name));
}

constexpr CallBounds kStatusBounds{std::chrono::milliseconds(2'000), std::size_t{4} << 20};
constexpr std::array kKinds{
    ObjectKind{"domains", "domain", cluster::kDomainPrefix, domain_name,
               put_decoded<cluster::decode_domain>, remove_domain},
    ObjectKind{"servers", "server", cluster::kServerPrefix, plain_name,
               put_decoded<cluster::decode_server>, remove_server},
    ObjectKind{"nodes", "node", cluster::kNodePrefix, plain_name, put_decoded<cluster::decode_node>,
               remove_node},
    ObjectKind{"settings", "setting", cluster::kSettingPrefix, plain_name, put_setting,
               remove_entry<cluster::kSettingPrefix>},
    ObjectKind{"certificates", "certificate", cluster::kCertificatePrefix, plain_name,
               put_decoded<cluster::decode_certificate>, remove_entry<cluster::kCertificatePrefix>},
    ObjectKind{"credentials", "credential for server", cluster::kCredentialPrefix, plain_name,
               put_decoded<cluster::decode_credential>, remove_entry<cluster::kCredentialPrefix>},
    ObjectKind{"delivery", "credential for domain", cluster::kDeliveryPrefix, domain_name,
               put_decoded<cluster::decode_delivery_credential>,
               remove_entry<cluster::kDeliveryPrefix>},
    ObjectKind{"administrators", "administrator", cluster::kAdminPrefix, plain_name,
               put_decoded<cluster::decode_administrator>, remove_entry<cluster::kAdminPrefix>},
    ObjectKind{"aliases", "alias", cluster::kAliasPrefix, alias_name, put_alias, remove_alias},
};

const ObjectKind& kind_of(const ApiCall& call) {
    std::string_view path = std::string_view(call.path).substr(std::string_view("/v1/").size());
    path = path.substr(0, path.find('/'));
    for (const ObjectKind& kind : kKinds) {
        if (kind.path == path) return kind;
    }
    MUSTER_CHECK(false);
}

std::unexpected<Error> none_such(const ObjectKind& kind, const std::string& name) {
    return fail(ErrorKind::NotFound, "there is no " + std::string(kind.noun) + " " + name);
}

/// How an entry is shown: with its name, without its secrets.
json shown(std::string_view name, std::string_view text) {
    json object = state::parse_json(text);
    if (!object.is_object()) object = {{"value", object}};
    object = redacted(std::move(object));
    object["name"] = name;
    return object;
}

/// For the table: when a member was heard of last.
json with_words(json seen) {
    if (seen.value("connected", false)) {
        seen["when"] = "now";
    } else {
        const WallTime time{std::chrono::milliseconds(seen.value("time", std::int64_t{0}))};
        seen["when"] = time == WallTime{} ? "never" : in_utc(time);
    }
    return seen;
}

/// What an entry leaves out, what the checks of front ends say, and which nodes masters hear of.
void decorate(const ObjectKind& kind, const json& observed, json& object) {
    if (kind.path == "nodes" || kind.path == "servers") {
        object.emplace("admin", "up");
    }
    if (kind.path == "nodes") {
        object.emplace("master", false);
        object.emplace("eligible", false);
        object.emplace("revoked", false);
        if (object.value("scope", "") == "mirror") object.emplace("credentials", false);
    }
    if (kind.path == "nodes") {
        const std::string name = object.value("name", "");
        if (observed.contains(name)) object["seen"] = with_words(observed[name]);
        return;
    }
    for (const json& server : observed) {
        if (server.value("name", "") != object.value("name", "")) continue;
        object["state"] = server.value("state", "unknown");
        object["observed"] = server.value("observed", json::object());
    }
}

json sightings(NodeContext& node, const ApiCall& call) {
    if (node.is_master()) return node.presence->shown(std::chrono::system_clock::now());
    if (call.caller.is_node) return json::object();
    for (const PeerAddress& master : node.peers->masters()) {
        const auto status =
            ask(*node.peers, master, {"GET", "/v1/status?here=1"}, kStatusBounds, tells_status);
        if (status && status->contains("seen")) return (*status)["seen"];
    }
    return json::object();
}

json observations(NodeContext& node, const ObjectKind& kind, const ApiCall& call) {
    if (kind.path == "nodes") return sightings(node, call);
    if (kind.path != "servers") return json::array();
    if (node.sessions != nullptr || is_about_this_node(call)) return servers_here(node);
    return observed_servers(
        node, ask_all(*node.peers, {"GET", "/v1/status?here=1"}, kStatusBounds, tells_status));
}

ApiResult list_objects(NodeContext& node, ApiCall& call) {
    const ObjectKind& kind = kind_of(call);
    if (kind.path == "domains") return list_domains(node, call);
    state::ReplicaReader reader(node.replica);
    const std::size_t limit = query_number(call, "limit", 10'000, 100'000);
    const std::string first(kind.prefix);
    const std::string from = first + net::query_value(call.query, "after").value_or("");
    const auto rows = reader.range(from == first ? from : state::after(from),
                                   state::prefix_end(kind.prefix), limit);
    if (!rows) return std::unexpected(rows.error());
    const json observed = observations(node, kind, call);
    json list = json::array();
    for (const state::Entry& entry : *rows) {
        list.push_back(shown(std::string_view(entry.key).substr(first.size()), entry.value));
        decorate(kind, observed, list.back());
    }
    return json{{std::string(kind.path), std::move(list)}};
}

ApiResult show_object(NodeContext& node, ApiCall& call) {
    const ObjectKind& kind = kind_of(call);
    const auto wanted = kind.normalise(node, call.names[0]);
    if (!wanted) return std::unexpected(wanted.error());
    if (kind.path == "domains") return show_domain(node, *wanted);
    state::ReplicaReader reader(node.replica);
    const auto row = reader.find(std::string(kind.prefix) + *wanted);
    if (!row) return std::unexpected(row.error());
    if (!*row) return none_such(kind, *wanted);
    json object = shown(*wanted, (*row)->value);
    decorate(kind, observations(node, kind, call), object);
    return object;
}

/// Secrets become what may stand in the state: passwords of administrators are hashed, keys of
/// certificates and passwords of master users sealed for the cluster's nodes.
Result<> prepare_secrets(const NodeContext& node, const ObjectKind& kind, json& object) {
    if (kind.path == "administrators" && object.contains("password")) {
        const auto password = text_field(object, "password");
        if (!password) return std::unexpected(password.error());
        const auto key = cluster::to_password_key(*password);
        if (!key) return std::unexpected(key.error());
        object["keys"] = json::array({*key});
        object.erase("password");
    }
    if (kind.path == "certificates" && object.contains("key")) {
        const auto key = text_field(object, "key");
        if (!key) return std::unexpected(key.error());
        if (key->contains("-----BEGIN")) {
            const auto chain = text_field(object, "chain");
            if (!chain) return std::unexpected(chain.error());
            if (auto fine = net::belong_together(*chain, *key); !fine) return fine;
        }
    }
    return seal_secrets(kind.prefix, object, json(), node.identity.seal_secret());
}

/// What is shown of objects and does not stand in the state.
constexpr std::array kDerived{"name",      "observed", "state",  "network",   "here",
                              "inherited", "also_in",  "misfit", "credential"};

struct Existing {
    json value;
    Revision revision = 0;
};

Result<Existing> existing(NodeContext& node, const std::string& key) {
    const auto entry = node.directory->get(key);
    if (!entry) return std::unexpected(entry.error());
    if (!*entry) return Existing{};
    return Existing{state::parse_json((*entry)->value), (*entry)->revision};
}

Result<> may_change(const NodeContext& node, const ObjectKind& kind, const std::string& name,
                    const json& before, const json& after) {
    const std::string why =
        unsettled_leader({Step::Kind::Change, std::string(kind.prefix) + name, before, after},
                         node.config.node.name);
    return why.empty() ? Result<>{} : fail(ErrorKind::Refused, why);
}

ApiResult write_once(NodeContext& node, ApiCall& call, bool patch) {
    const ObjectKind& kind = kind_of(call);
    const auto wanted = kind.normalise(node, call.names[0]);
    if (!wanted) return std::unexpected(wanted.error());
    if (!call.body.is_object()) return fail(ErrorKind::Syntax, "the body must be a JSON object");
    const auto before = existing(node, std::string(kind.prefix) + *wanted);
    if (!before) return std::unexpected(before.error());
    if (patch && before->value.is_null()) return none_such(kind, *wanted);
    json given = call.body;
    for (const char* derived : kDerived) given.erase(derived);
    if (auto ready = prepare_secrets(node, kind, given); !ready) {
        return std::unexpected(ready.error());
    }
    json object = patch ? before->value : json::object();
    object.merge_patch(given);
    cluster::DirectoryWriter writer(*node.directory);
    const std::optional<Revision> expected = before->revision;
    call.audit.object = *wanted;
    call.audit.before = before->value;
    call.audit.after = object;
    if (net::query_value(call.query, "create").has_value() && !before->value.is_null()) {
        return fail(ErrorKind::Conflict, *wanted + " exists already");
    }
    if (auto may = may_change(node, kind, *wanted, before->value, object); !may) {
        return std::unexpected(may.error());
    }
    if (auto put = kind.put(writer, *wanted, state::json_line(object), expected); !put) {
        return std::unexpected(put.error());
    }
    return shown(*wanted, state::json_line(object));
}

/// What was written between reading and writing is read again: the caller named no revision.
ApiResult write_object(NodeContext& node, ApiCall& call, bool patch) {
    constexpr int kMostTries = 50;  // each is lost to somebody's success
    for (int tries = 1;; ++tries) {
        const Revision head = node.directory->head().revision;
        auto written = write_once(node, call, patch);
        const bool is_conflict = !written && written.error().kind == ErrorKind::Conflict;
        const bool may_be_overtaken = is_conflict && node.directory->head().revision != head;
        if (!may_be_overtaken || tries == kMostTries) return written;
    }
}

ApiResult put_object(NodeContext& node, ApiCall& call) { return write_object(node, call, false); }
ApiResult patch_object(NodeContext& node, ApiCall& call) { return write_object(node, call, true); }

ApiResult delete_object(NodeContext& node, ApiCall& call) {
    const ObjectKind& kind = kind_of(call);
    const auto wanted = kind.normalise(node, call.names[0]);
    if (!wanted) return std::unexpected(wanted.error());
    const auto before = existing(node, std::string(kind.prefix) + *wanted);
    if (!before) return std::unexpected(before.error());
    if (before->value.is_null()) return none_such(kind, *wanted);
    call.audit.object = *wanted;
    call.audit.before = before->value;
    cluster::DirectoryWriter writer(*node.directory);
    if (auto may = may_change(node, kind, *wanted, before->value, json()); !may) {
        return std::unexpected(may.error());
    }
    if (auto removed = kind.remove(writer, *wanted); !removed) {
        return std::unexpected(removed.error());
    }
    return json{{"removed", *wanted}};
}

/// What an administrator wants of a server or node, as one word.
ApiResult set_admin(NodeContext& node, ApiCall& call, const char* state) {
    call.body = {{"admin", state}};
    return write_object(node, call, true);
}
ApiResult drain(NodeContext& node, ApiCall& call) { return set_admin(node, call, "drain"); }
ApiResult resume(NodeContext& node, ApiCall& call) { return set_admin(node, call, "up"); }

ApiResult check_server(NodeContext& node, ApiCall& call) {
    const auto topology = node.topology->current();
    const cluster::ServerView* server = topology->server(call.names[0]);
    if (server == nullptr) return fail(ErrorKind::NotFound, "there is no server " + call.names[0]);
    const auto turn = node.checks.begin(call.names[0]);
    if (!turn) return fail(ErrorKind::Conflict, call.names[0] + " is being checked already");
    if (!node.hooks.check_server) return check_elsewhere(node, call);
    json answer = node.hooks.check_server(server->server);
    answer["server"] = call.names[0];
    answer["from"] = node.config.node.name.text;
    return answer;
}

#define MUSTER_OBJECT_ROUTES(path, noun, reads, takes)                                      \
    ApiRoute{"GET", "/v1/" path, RunsOn::reads, "", list_objects, Takes::takes},            \
        ApiRoute{"GET", "/v1/" path "/{}", RunsOn::reads, "", show_object, Takes::takes},   \
        ApiRoute{"PUT", "/v1/" path "/{}", RunsOn::Master, noun " set", put_object},        \
        ApiRoute{"PATCH", "/v1/" path "/{}", RunsOn::Master, noun " change", patch_object}, \
        ApiRoute {                                                                          \
        "DELETE", "/v1/" path "/{}", RunsOn::Master, noun " remove", delete_object          \
    }

constexpr std::array kRoutes{
    MUSTER_OBJECT_ROUTES("domains", "domain", AnyNode, Short),
    MUSTER_OBJECT_ROUTES("servers", "server", AnyNode, AsksNodes),
    MUSTER_OBJECT_ROUTES("nodes", "node", AnyNode, AsksNodes),
    MUSTER_OBJECT_ROUTES("settings", "setting", AnyNode, Short),
    MUSTER_OBJECT_ROUTES("certificates", "certificate", AnyNode, Short),
    MUSTER_OBJECT_ROUTES("credentials", "credential", Master, Short),
    MUSTER_OBJECT_ROUTES("delivery", "delivery credential", Master, Short),
    MUSTER_OBJECT_ROUTES("administrators", "administrator", Master, Short),
    MUSTER_OBJECT_ROUTES("aliases", "alias", AnyNode, Short),
    ApiRoute{"GET", "/v1/exceptions", RunsOn::AnyNode, "", list_exceptions},
    ApiRoute{"PUT", "/v1/exceptions/domains/{}", RunsOn::AnyNode, "exception set", put_exception},
    ApiRoute{"PATCH", "/v1/exceptions/domains/{}", RunsOn::AnyNode, "exception change",
             change_exception},
    ApiRoute{"DELETE", "/v1/exceptions/domains/{}", RunsOn::AnyNode, "exception remove",
             delete_exception},
    ApiRoute{"POST", "/v1/servers/{}/drain", RunsOn::Master, "server drain", drain},
    ApiRoute{"POST", "/v1/servers/{}/resume", RunsOn::Master, "server resume", resume},
    ApiRoute{"POST", "/v1/servers/{}/check", RunsOn::AnyNode, "", check_server, Takes::Long},
    ApiRoute{"POST", "/v1/nodes/{}/drain", RunsOn::Master, "node drain", drain},
    ApiRoute{"POST", "/v1/nodes/{}/resume", RunsOn::Master, "node resume", resume},
};
#undef MUSTER_OBJECT_ROUTES

}  // namespace

std::span<const ApiRoute> object_routes() { return kRoutes; }

}  // namespace muster::admin
