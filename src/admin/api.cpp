#include "admin/api.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "admin/administrators.h"
#include "admin/agent_hooks.h"
#include "admin/common_secrets.h"
#include "admin/json_fields.h"
#include "admin/leadership.h"
#include "admin/passing_on.h"
#include "admin/peers.h"
#include "base/log.h"
#include "base/metrics.h"
#include "state/directory_store.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;

constexpr std::size_t kBodyLimit = std::size_t{64} << 20;

int status_of(ErrorKind kind) {
    switch (kind) {
        case ErrorKind::Syntax: return 400;
        case ErrorKind::NotFound: return 404;
        case ErrorKind::Unavailable: return 503;
        case ErrorKind::Refused: return 403;
        case ErrorKind::Limit: return 413;
        case ErrorKind::Conflict: return 409;
        case ErrorKind::Diverged: return 409;
        case ErrorKind::Corrupt: return 500;
        case ErrorKind::Io: return 500;
    }
    return 500;
}

std::array<std::span<const ApiRoute>, 9> all_routes() {
    return {object_routes(), account_routes(), session_routes(),
            queue_routes(),  cluster_routes(), node_routes(),
            agent_routes(),  secret_routes(),  leadership_routes()};
}

/// Matches segment by segment; `{}` takes one, decoded, not empty.
bool matches(std::string_view pattern, std::string_view path, std::vector<std::string>& names) {
    names.clear();
    while (!pattern.empty() && !path.empty()) {
        const std::size_t pattern_end = std::min(pattern.find('/', 1), pattern.size());
        const std::size_t path_end = std::min(path.find('/', 1), path.size());
        const std::string_view wanted = pattern.substr(0, pattern_end);
        if (wanted == "/{}") {
            auto name = net::percent_decoded(path.substr(1, path_end - 1));
            if (!name || name->empty()) return false;
            names.push_back(std::move(*name));
        } else if (wanted != path.substr(0, path_end)) {
            return false;
        }
        pattern.remove_prefix(pattern_end);
        path.remove_prefix(path_end);
    }
    return pattern.empty() && path.empty();
}

/// The master is changing, and nothing was: the same call may be made again.
bool is_for_the_next(const net::HttpResponse& response) {
    if (response.status < 400) return false;
    return flag(state::parse_json(response.body), kNotLeading);
}

net::HttpResponse forward(NodeContext& node, const ApiCall& call) {
    const auto reply = node.peers->call_master(passed_on(call));
    if (!reply) return error_response(reply.error());
    net::HttpResponse response;
    response.status = reply->status;
    response.body = reply->body;
    return response;
}

Result<> write_audit(NodeContext& node, ApiCall& call, std::string_view action,
                     const ApiResult& result) {
    call.audit.who = call.caller.name;
    call.audit.from = call.caller.from;
    call.audit.action = action;
    if (call.audit.object.empty() && !call.names.empty()) call.audit.object = call.names[0];
    if (!result) call.audit.outcome = result.error().detail;
    return append_audit(node, call.audit);
}

Error missing_rights(const ApiCall& call) {
    const std::string text =
        call.caller.is_node
            ? "changes through a front end need an administrator of the cluster (--user NAME)"
            : call.caller.name + " may only read";
    return {ErrorKind::Refused, text, text};
}

/// A field of another type than a handler expected.
ApiResult guarded(ApiHandler run, NodeContext& node, ApiCall& call) {
    try {
        return run(node, call);
    } catch (const json::exception& error) {
        return fail(ErrorKind::Syntax, std::string("the body is not as expected: ") + error.what());
    } catch (const std::exception& error) {
        return fail(ErrorKind::Io, "internal error",
                    std::string("internal error: ") + error.what());
    }
}

/// A page of another site makes a browser send such a request, with the password that the browser
/// knows, without asking us first (Fetch standard, "CORS-safelisted request-header").
bool may_be_forged(const net::HttpRequest& request) {
    if (request.method != "POST") return false;
    if (request.header("origin").empty() && request.header("sec-fetch-site").empty()) return false;
    std::string type(request.header("content-type").substr(0, 64));
    std::ranges::transform(type, type.begin(), [](unsigned char c) { return std::tolower(c); });
    return !type.starts_with("application/json") && !type.starts_with("application/octet-stream");
}

net::HttpResponse busy() {
    return error_response({ErrorKind::Unavailable, "", "too much is going on: try again"});
}

Caller local_caller(const net::HttpRequest& request) {
    // Credentials matter only to a master that the call is passed on to.
    return {"unix:" + std::to_string(*request.local_user), "socket", true,
            std::string(request.header("authorization")), false};
}

}  // namespace

Result<> append_audit(NodeContext& node, const AuditRecord& record) {
    if (node.audit == nullptr) return {};
    auto written = node.audit->append(record);
    if (written) return {};
    log::error("audit_failed", {{"action", record.action}, {"reason", written.error().detail}});
    const bool done = record.outcome == "done";
    return fail(ErrorKind::Io, "internal error",
                (done ? "changed, but not audited: " : "not audited: ") + written.error().detail);
}

net::HttpResponse json_response(const json& body, int status) {
    net::HttpResponse response;
    response.status = status;
    response.body = state::json_line(body) + "\n";
    return response;
}

net::HttpResponse error_response(const Error& error) {
    json body{{"error", error.detail}, {"kind", name(error.kind)}};
    if (error.public_text == state::kMasterChanging) body[kNotLeading] = true;
    return json_response(body, status_of(error.kind));
}

bool is_about_this_node(const ApiCall& call) {
    return net::query_value(call.query, "here").has_value() || call.caller.is_node ||
           call.caller.named_this_node;
}

net::HttpCall passed_on(const ApiCall& call) {
    net::HttpCall out{call.method, call.path};
    if (!call.query.empty()) out.path += "?" + call.query;
    if (!call.body.is_null()) out.body = state::json_line(call.body);
    name_caller(call.caller, true, out);
    return out;
}

void name_caller(const Caller& caller, bool with_password, net::HttpCall& out) {
    if (with_password && !caller.authorization.empty()) {
        out.headers.emplace_back("Authorization", caller.authorization);
    }
    out.headers.emplace_back("X-Muster-Caller", caller.name);
    if (!caller.address.is_unspecified()) {
        out.headers.emplace_back("X-Muster-Client", caller.address.text());
    }
}

Result<std::string> text_field(const json& object, const char* field) {
    if (!object.is_object() || !object.contains(field) || object[field].is_null()) return "";
    if (!object[field].is_string()) {
        return fail(ErrorKind::Syntax, std::string(field) + " must be a text");
    }
    return object[field].get<std::string>();
}

std::size_t query_number(const ApiCall& call, std::string_view name, std::size_t otherwise,
                         std::size_t most) {
    const auto text = net::query_value(call.query, name);
    if (!text || text->empty() || text->size() > 9) return otherwise;
    std::size_t number = 0;
    for (const char c : *text) {
        if (c < '0' || c > '9') return otherwise;
        number = 10 * number + static_cast<std::size_t>(c - '0');
    }
    return std::clamp(number, std::size_t{1}, most);
}

Result<const ApiRoute*> find_route(std::string_view method, std::string_view path,
                                   std::vector<std::string>& names) {
    bool known_path = false;
    for (const auto routes : all_routes()) {
        for (const ApiRoute& route : routes) {
            if (!matches(route.pattern, path, names)) continue;
            if (route.method == method) return &route;
            known_path = true;
        }
    }
    if (known_path) return fail(ErrorKind::Refused, "this path has no such method");
    return fail(ErrorKind::NotFound, "no such path");
}

net::BlockingPool& pool_for(NodeContext& node, const ApiCall& call) {
    std::vector<std::string> names;
    const auto route = find_route(call.method, call.path, names);
    if (!route) return node.pools->calls;
    if ((*route)->takes == Takes::Judges) return node.pools->judging;
    const bool is_for_node = call.caller.is_node;
    if ((*route)->takes == Takes::Long) return is_for_node ? node.pools->serving : node.pools->jobs;
    const bool asks = (*route)->takes == Takes::AsksNodes;
    // A change that a member passes on asks others in turn, which wait for what the feed brings.
    if (is_for_node && !(asks && !(*route)->action.empty())) return node.pools->calls;
    const bool passed_on = (*route)->runs_on == RunsOn::Master && !node.is_master();
    return asks || passed_on ? node.pools->jobs : node.pools->calls;
}

net::HttpResponse run_call(NodeContext& node, ApiCall call) {
    const auto route = find_route(call.method, call.path, call.names);
    if (!route) {
        net::HttpResponse response = error_response(route.error());
        if (route.error().kind == ErrorKind::Refused) response.status = 405;
        return response;
    }
    const bool changes = !(*route)->action.empty();
    if (changes && !call.caller.may_write) return error_response(missing_rights(call));
    if ((*route)->runs_on == RunsOn::Master && call.caller.is_node && !call.caller.may_write) {
        // What a member may know of the state is in its copy.
        return error_response(
            {ErrorKind::Refused, "", "this needs an administrator of the cluster"});
    }
    if ((*route)->runs_on == RunsOn::Master && !node.is_master()) {
        // A call passed on goes with this node's own rights: those of the member that sent it may
        // be less.
        if (call.caller.is_node) {
            return error_response({ErrorKind::Refused, std::string(state::kMasterChanging),
                                   "not a master: ask a master"});
        }
        const auto put_out = node.leadership == nullptr ? std::nullopt : node.leadership->put_out();
        return put_out ? error_response(*put_out) : forward(node, call);
    }
    const ApiResult result = guarded((*route)->run, node, call);
    const bool waits = !result && result.error().public_text == state::kMasterChanging;
    const bool noted = changes && !waits;
    const auto written = noted ? write_audit(node, call, (*route)->action, result) : Result<>{};
    if (!result) return error_response(result.error());
    if (!written) return error_response(written.error());
    return json_response(*result);
}

// A node outlives its calls, an exchange its handler.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)
Task<net::HttpResponse> run_patiently(NodeContext& node, ApiCall call) {
    const auto until = net::Clock::now() + kMasterPatience;
    // A master without stand-ins stays one: large bodies need no second copy there.
    const bool may_repeat = !call.caller.is_node && !node.peers->masters().empty();
    for (;;) {
        net::BlockingPool& pool = pool_for(node, call);
        if (pool.full()) co_return busy();
        net::HttpResponse response =
            co_await net::Blocking(*node.control, pool, [&node, &call, may_repeat] {
                return run_call(node, may_repeat ? ApiCall(call) : std::move(call));
            });
        const bool is_last = !may_repeat || node.stopping || net::Clock::now() >= until;
        if (is_last || !is_for_the_next(response)) co_return response;
        co_await net::Sleep(*node.control, kMasterPause);
    }
}

Task<bool> Api::serve_health(net::HttpExchange& exchange) {
    const std::string& path = exchange.request().path;
    net::HttpResponse response;
    response.content_type = "text/plain; charset=utf-8";
    if (path == "/metrics") {
        response.content_type = "text/plain; version=0.0.4; charset=utf-8";
        if (node_.hooks.measure_queue) node_.hooks.measure_queue();
        response.body = metrics::exposition();
    } else if (path == "/healthz") {
        response.body = "ok\n";
    } else if (path == "/readyz") {
        const bool filled = node_.replica->filled() && node_.topology->version() != 0;
        const bool ready = filled && !node_.draining && !node_.stopping;
        response.status = ready ? 200 : 503;
        response.body = ready ? "ready\n" : filled ? "draining\n" : "no replica\n";
    } else {
        co_return false;
    }
    co_await exchange.respond(response);
    co_return true;
}

Task<void> Api::serve(net::HttpExchange& exchange) {
    if (co_await serve_health(exchange)) co_return;
    const net::HttpRequest& request = exchange.request();
    if (may_be_forged(request)) {
        net::HttpResponse response = error_response(
            {ErrorKind::Syntax, "", "a browser must send Content-Type: application/json"});
        response.status = 415;
        co_return co_await exchange.respond(std::move(response));
    }
    if (request.local_user) co_return co_await serve_as(exchange, local_caller(request));
    const std::string authorization(request.header("authorization"));
    const IpAddress from = request.peer.address;
    net::BlockingPool& judging = node_.pools->judging;
    if (judging.full()) co_return co_await exchange.respond(busy());
    const auto rights = co_await net::Blocking(
        *node_.control, judging,
        [this, authorization, from] { return node_.administrators->check(authorization, from); });
    if (!rights) {
        net::HttpResponse response = error_response(rights.error());
        if (rights.error().kind == ErrorKind::Refused) {
            response.status = 401;
            response.headers.emplace_back("WWW-Authenticate", "Basic realm=\"muster\"");
        }
        if (rights.error().kind == ErrorKind::Limit) response.status = 429;
        co_await exchange.respond(response);
        co_return;
    }
    Caller caller{"admin:" + rights->name, request.peer.text(), rights->may_write, authorization,
                  false};
    caller.address = from;
    co_await serve_as(exchange, std::move(caller));
}

Task<void> Api::serve_as(net::HttpExchange& exchange, Caller caller) {
    const net::HttpRequest& request = exchange.request();
    caller.named_this_node = request.header(kNodeHeader) == node_.config.node.name.text;
    if (co_await pass_on(node_, exchange, caller)) co_return;
    if (co_await serve_stream(node_, exchange, caller)) co_return;
    auto body = co_await exchange.body(kBodyLimit);
    if (!body) {
        co_await exchange.respond(error_response(body.error()));
        co_return;
    }
    ApiCall call;
    call.method = request.method;
    call.path = request.path;
    call.query = request.query;
    call.caller = std::move(caller);
    if (!body->empty()) call.body = state::parse_json(*body);
    if (call.body.is_discarded()) {
        const Error error{ErrorKind::Syntax, "", "the body of the request is not JSON"};
        co_await exchange.respond(error_response(error));
        co_return;
    }
    net::HttpResponse response = co_await run_patiently(node_, std::move(call));
    co_await exchange.respond(std::move(response));
}

// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)
}  // namespace muster::admin
