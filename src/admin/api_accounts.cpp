// Accounts: list, show, add, change, password, locate, disable, enable, rename, remove.

#include <array>

#include "admin/api.h"
#include "admin/fan_out.h"
#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"
#include "cluster/route.h"

namespace muster::admin {
namespace {

using nlohmann::json;

constexpr std::size_t kPage = 2'000;
constexpr std::size_t kMostListed = 100'000;

json shown(const cluster::Account& account) {
    return {{"address", account.address.text}, {"id", account.id.text},
            {"home", account.home.text},       {"state", account.disabled ? "disabled" : "active"},
            {"quota", account.quota},          {"epoch", account.epoch}};
}

Result<cluster::Account> account_of(NodeContext& node, const std::string& typed) {
    const auto address = address_here(node, typed);
    if (!address) return std::unexpected(address.error());
    cluster::Directory directory(*node.topology);
    auto account = directory.account(*address);
    if (!account) return std::unexpected(account.error());
    if (!*account) return fail(ErrorKind::NotFound, "there is no account " + address->text);
    return std::move(**account);
}

/// On the master the store is the truth at once, also before the topology has noticed.
Result<cluster::Account> stored_account(NodeContext& node, const std::string& typed) {
    cluster::DirectoryWriter writer(*node.directory);
    const auto address = writer.resolve(typed);
    if (!address) return std::unexpected(address.error());
    return writer.account(*address);
}

bool is_wanted(const ApiCall& call, const cluster::Account& account) {
    const auto domain = net::query_value(call.query, "domain");
    if (domain && !domain->empty() && cluster::domain_of(account.address) != *domain) return false;
    const auto home = net::query_value(call.query, "home");
    if (home && !home->empty() && account.home.text != *home) return false;
    const auto state = net::query_value(call.query, "state");
    return !state || state->empty() || account.disabled == (*state == "disabled");
}

/// Goes through the replica page by page until enough was found; "next" says where to go on.
ApiResult list_accounts(NodeContext& node, ApiCall& call) {
    const std::size_t limit = query_number(call, "limit", 1'000, kMostListed);
    state::ReplicaReader reader(node.replica);
    const auto after = net::query_value(call.query, "after");
    std::string from(cluster::kAccountPrefix);
    if (after && !after->empty()) from = state::after(from + *after);
    const std::string end = state::prefix_end(cluster::kAccountPrefix);
    json list = json::array();
    for (;;) {
        const auto page = reader.range(from, end, kPage);
        if (!page) return std::unexpected(page.error());
        for (const state::Entry& entry : *page) {
            const auto name = std::string_view(entry.key).substr(cluster::kAccountPrefix.size());
            const auto account = cluster::decode_account(name, entry.value);
            if (!account || !is_wanted(call, *account)) continue;
            if (list.size() == limit) {
                const std::string last = list.back()["address"];
                return json{{"accounts", std::move(list)}, {"next", last}};
            }
            list.push_back(shown(*account));
        }
        if (page->size() < kPage) return json{{"accounts", std::move(list)}};
        from = state::after(page->back().key);
    }
}

ApiResult show_account(NodeContext& node, ApiCall& call) {
    const auto account = account_of(node, call.names[0]);
    if (!account) return std::unexpected(account.error());
    return shown(*account);
}

Result<cluster::NewAccount> wanted_account(const json& body) {
    cluster::NewAccount wanted;
    for (const auto& [field, into] : std::initializer_list<std::pair<const char*, std::string*>>{
             {"address", &wanted.address},
             {"id", &wanted.id.text},
             {"home", &wanted.home.text},
             {"password", &wanted.password}}) {
        auto text = text_field(body, field);
        if (!text) return std::unexpected(text.error());
        *into = std::move(*text);
    }
    if (body.contains("quota")) {
        if (!body["quota"].is_number_unsigned()) {
            return fail(ErrorKind::Syntax, "quota must be a number of bytes");
        }
        wanted.quota = body["quota"].get<std::uint64_t>();
    }
    const auto state = text_field(body, "state");
    if (!state) return std::unexpected(state.error());
    if (!state->empty() && *state != "active" && *state != "disabled") {
        return fail(ErrorKind::Syntax, "state can be active or disabled, not " + *state);
    }
    wanted.disabled = *state == "disabled";
    for (const auto& [field, value] : body.items()) {
        constexpr std::array kKnown{"address", "id", "home", "password", "quota", "state"};
        if (std::ranges::find(kKnown, field) == kKnown.end()) {
            return fail(ErrorKind::Syntax, "an account has no field " + field);
        }
    }
    if (wanted.address.empty()) return fail(ErrorKind::Syntax, "address is needed");
    return wanted;
}

ApiResult add_account(NodeContext& node, ApiCall& call) {
    if (!call.body.is_object()) return fail(ErrorKind::Syntax, "the body must be a JSON object");
    const auto wanted = wanted_account(call.body);
    if (!wanted) return std::unexpected(wanted.error());
    call.audit.object = wanted->address;
    cluster::DirectoryWriter writer(*node.directory);
    const auto account = writer.create_account(*wanted);
    if (!account) return std::unexpected(account.error());
    call.audit.after = shown(*account);
    return shown(*account);
}

ApiResult change(NodeContext& node, ApiCall& call, const cluster::AccountChange& change) {
    const auto before = stored_account(node, call.names[0]);
    if (!before) return std::unexpected(before.error());
    call.audit.object = before->address.text;
    call.audit.before = shown(*before);
    cluster::DirectoryWriter writer(*node.directory);
    const auto account = writer.change_account(before->address, change);
    if (!account) return std::unexpected(account.error());
    call.audit.after = shown(*account);
    json answer = shown(*account);
    const bool moved = before->home != account->home;
    if (account->disabled || moved) {
        answer["sessions"] = end_account_everywhere(node, moved ? *before : *account,
                                                    account->disabled ? "disabled" : "moved");
    }
    return answer;
}

ApiResult change_account(NodeContext& node, ApiCall& call) {
    cluster::AccountChange wanted;
    for (const auto& [field, value] : call.body.items()) {
        if (field == "home" && value.is_string()) {
            wanted.home = ServerName(value.get<std::string>());
        } else if (field == "quota" && value.is_number_unsigned()) {
            wanted.quota = value.get<std::uint64_t>();
        } else if (field == "epoch" && value.is_number_unsigned()) {
            wanted.epoch = value.get<std::uint64_t>();
        } else if (field == "state" && (value == "active" || value == "disabled")) {
            wanted.disabled = value == "disabled";
        } else {
            return fail(ErrorKind::Syntax,
                        "an account has home, quota, epoch, state; not " + field + " like this");
        }
    }
    return change(node, call, wanted);
}

ApiResult disable(NodeContext& node, ApiCall& call) {
    cluster::AccountChange wanted;
    wanted.disabled = true;
    return change(node, call, wanted);
}

ApiResult enable(NodeContext& node, ApiCall& call) {
    cluster::AccountChange wanted;
    wanted.disabled = false;
    return change(node, call, wanted);
}

/// `password` is plain, or a `{SCHEME}…` key that is kept as it is.
ApiResult set_password(NodeContext& node, ApiCall& call) {
    const auto password = text_field(call.body, "password");
    if (!password) return std::unexpected(password.error());
    if (password->empty()) return fail(ErrorKind::Syntax, "password is needed");
    const auto account = stored_account(node, call.names[0]);
    if (!account) return std::unexpected(account.error());
    call.audit.object = account->address.text;
    cluster::DirectoryWriter writer(*node.directory);
    const auto key = cluster::to_password_key(*password);
    if (!key) return std::unexpected(key.error());
    if (auto set = writer.set_keys(account->address, {*key}); !set) {
        return std::unexpected(set.error());
    }
    return json{{"address", account->address.text}, {"password", "changed"}};
}

ApiResult remove_account(NodeContext& node, ApiCall& call) {
    const auto account = stored_account(node, call.names[0]);
    if (!account) return std::unexpected(account.error());
    call.audit.object = account->address.text;
    call.audit.before = shown(*account);
    cluster::DirectoryWriter writer(*node.directory);
    if (auto removed = writer.delete_account(account->address); !removed) {
        return std::unexpected(removed.error());
    }
    return json{{"removed", account->address.text},
                {"sessions", end_account_everywhere(node, *account, "removed")}};
}

ApiResult rename_account(NodeContext& node, ApiCall& call) {
    const auto to = text_field(call.body, "to");
    if (!to) return std::unexpected(to.error());
    const auto account = stored_account(node, call.names[0]);
    if (!account) return std::unexpected(account.error());
    call.audit.object = account->address.text;
    call.audit.before = shown(*account);
    cluster::DirectoryWriter writer(*node.directory);
    const bool keep_alias = call.body.value("keep_alias", false);
    const auto renamed = writer.rename_account(account->address, *to, keep_alias);
    if (!renamed) return std::unexpected(renamed.error());
    call.audit.after = shown(*renamed);
    return shown(*renamed);
}

json route_of(NodeContext& node, const cluster::Located& located) {
    json services = json::object();
    for (const cluster::Service service :
         {cluster::Service::Imap, cluster::Service::Pop3, cluster::Service::Sieve}) {
        const auto found = cluster::route(located, service, node.config.node.name);
        services[std::string(name(service))] =
            found ? found->server->server.host + ":" + std::to_string(found->service->port)
                  : found.error().detail;
    }
    return services;
}

/// What a front end would do with this login name, and why.
ApiResult locate(NodeContext& node, ApiCall& call) {
    cluster::Directory directory(*node.topology);
    cluster::LoginContext context;
    const std::string domain = net::query_value(call.query, "default_domain").value_or("");
    context.default_domain = domain;
    const auto located = directory.locate(call.names[0], context);
    if (!located) return std::unexpected(located.error());
    if (!located->known) {
        return fail(ErrorKind::NotFound, located->domain == nullptr
                                             ? "the domain is not ours"
                                             : "there is no account " + located->address.text);
    }
    return json{{"asked", call.names[0]},
                {"address", located->address.text},
                {"id", located->id.text},
                {"home", located->home.text},
                {"state", located->disabled ? "disabled" : "active"},
                {"services", route_of(node, *located)}};
}

constexpr std::array kRoutes{
    ApiRoute{"GET", "/v1/accounts", RunsOn::AnyNode, "", list_accounts},
    ApiRoute{"POST", "/v1/accounts", RunsOn::Master, "account add", add_account},
    ApiRoute{"GET", "/v1/accounts/{}", RunsOn::AnyNode, "", show_account},
    ApiRoute{"PATCH", "/v1/accounts/{}", RunsOn::Master, "account set", change_account,
             Takes::AsksNodes},
    ApiRoute{"DELETE", "/v1/accounts/{}", RunsOn::Master, "account remove", remove_account,
             Takes::AsksNodes},
    ApiRoute{"PUT", "/v1/accounts/{}/password", RunsOn::Master, "account password", set_password},
    ApiRoute{"GET", "/v1/accounts/{}/locate", RunsOn::AnyNode, "", locate},
    ApiRoute{"POST", "/v1/accounts/{}/disable", RunsOn::Master, "account disable", disable,
             Takes::AsksNodes},
    ApiRoute{"POST", "/v1/accounts/{}/enable", RunsOn::Master, "account enable", enable},
    ApiRoute{"POST", "/v1/accounts/{}/rename", RunsOn::Master, "account rename", rename_account},
};

bool is_of_followed_network(const NodeContext& node, std::string_view typed) {
    const auto name = cluster::parse_login(typed);
    if (!name || !name->domain) return false;
    const cluster::Domain* domain = node.topology->current()->domain(name->domain->text);
    return domain != nullptr && domain->directory != 0;
}

}  // namespace

Result<AccountAddress> address_here(NodeContext& node, std::string_view typed) {
    if (node.is_master()) {
        auto address = cluster::DirectoryWriter(*node.directory).resolve(typed);
        if (address || !is_of_followed_network(node, typed)) return address;
    }
    auto name = cluster::parse_login(typed);
    if (!name) return std::unexpected(name.error());
    if (!name->domain) return fail(ErrorKind::Syntax, "an address is local@domain");
    const auto topology = node.topology->current();
    const cluster::Domain* domain = topology->domain(name->domain->text);
    if (domain == nullptr) {
        return fail(ErrorKind::NotFound, "the domain " + name->domain->text + " is not ours");
    }
    return cluster::make_address(name->local, domain->name, domain->case_policy);
}

std::span<const ApiRoute> account_routes() { return kRoutes; }

}  // namespace muster::admin
