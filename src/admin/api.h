#pragma once
// The HTTP API: who calls, which handler answers, where it runs, what is written down of it.

#include <nlohmann/json.hpp>

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "admin/audit_log.h"
#include "admin/node_context.h"
#include "net/http_client.h"
#include "net/http_server.h"

namespace muster::admin {

struct Caller {
    std::string name;  ///< "unix:UID", "admin:NAME", "node:NAME"
    std::string from;  ///< where the connection came from
    bool may_write = false;
    std::string authorization;     ///< credentials as they came, to be forwarded with the call
    bool is_node = false;          ///< a member of the cluster, by its key
    bool may_end = false;          ///< such a member, and it may end sessions: masters, back ends
    IpAddress address{};           ///< of the client, said by a member that passes its call on
    std::string member{};          ///< the one that passes it on
    bool named_this_node = false;  ///< `--node NAME`: it is about this node alone
};

/// One request as its handler sees it, on a blocking thread.
struct ApiCall {
    std::string method;
    std::string path;
    std::vector<std::string> names;  ///< what stands at the {} of the pattern, decoded
    std::string query;
    nlohmann::json body;
    Caller caller;
    AuditRecord audit;  ///< the handler of a change fills object, before, after
};

using ApiResult = Result<nlohmann::json>;
using ApiHandler = ApiResult (*)(NodeContext&, ApiCall&);

enum class RunsOn : std::uint8_t {
    AnyNode,  ///< answered from this node's replica or process
    Master,   ///< needs the store: other nodes pass it on
};

/// What a call waits for, which says on which threads it runs (admin/pools.h).
enum class Takes : std::uint8_t {
    Short,      ///< the store, the replica
    AsksNodes,  ///< all other nodes, unless one of them asks
    Long,       ///< servers, ends of sessions
    Judges,     ///< credentials
};

/// `action` names a change in the audit log; empty: it only reads.
struct ApiRoute {
    std::string_view method;
    std::string_view pattern;  ///< "/v1/servers/{}/check"
    RunsOn runs_on;
    std::string_view action;
    ApiHandler run;
    Takes takes = Takes::Short;
};

/// Whether the answer is what this node knows of itself, and no other is asked.
bool is_about_this_node(const ApiCall& call);

std::span<const ApiRoute> object_routes();
std::span<const ApiRoute> account_routes();
std::span<const ApiRoute> session_routes();
std::span<const ApiRoute> queue_routes();
std::span<const ApiRoute> cluster_routes();
std::span<const ApiRoute> node_routes();
std::span<const ApiRoute> leadership_routes();

/// The route for a method and path; fills `names`. Error: 404 or 405 as NotFound or Refused.
Result<const ApiRoute*> find_route(std::string_view method, std::string_view path,
                                   std::vector<std::string>& names);

/// The threads for a call; one that finds them full() is answered 503.
net::BlockingPool& pool_for(NodeContext& node, const ApiCall& call);

/// Runs a call to its end on the calling (blocking) thread: rights, forwarding, handler, audit.
net::HttpResponse run_call(NodeContext& node, ApiCall call);

/// Runs a call on the pool that it needs, and again while the master is changing (for some seconds,
/// unless a member passes it on, which asks again itself). On the control loop; 503 when too much
/// is going on.
Task<net::HttpResponse> run_patiently(NodeContext& node, ApiCall call);

/// Whether such a call would be streamed (below).
bool is_stream(const net::HttpRequest& request);
/// Calls with large bodies, which are streamed; true when it was one and has been answered.
Task<bool> serve_stream(NodeContext& node, net::HttpExchange& exchange, const Caller& caller);

/// The same for a queued message's text and for adoptions.
Task<bool> serve_queue_stream(NodeContext& node, net::HttpExchange& exchange, const Caller& caller);

/// Serves the admin socket and the HTTP listener.
class Api {
public:
    explicit Api(NodeContext& node) : node_(node) {}
    Task<void> serve(net::HttpExchange& exchange);
    /// The same for a caller who is known already (cluster port).
    Task<void> serve_as(net::HttpExchange& exchange, Caller caller);

private:
    /// /metrics, /healthz, /readyz: true when it was one of them.
    Task<bool> serve_health(net::HttpExchange& exchange);
    NodeContext& node_;
};

/// Io with a text for the caller when the record could not be written; logged as well.
Result<> append_audit(NodeContext& node, const AuditRecord& record);

/// An error with the public text state::kMasterChanging tells the caller to ask again.
net::HttpResponse error_response(const Error& error);
/// The call as it goes on to another node, with the caller's credentials.
net::HttpCall passed_on(const ApiCall& call);
/// Says in a call to another node who asks, and from where.
void name_caller(const Caller& caller, bool with_password, net::HttpCall& out);
net::HttpResponse json_response(const nlohmann::json& body, int status = 200);

/// An address as its domain spells it: by the store on the master, else by the topology. NotFound
/// when the domain is not ours.
Result<AccountAddress> address_here(NodeContext& node, std::string_view typed);

/// Empty when the field is absent; Syntax when it is no text.
Result<std::string> text_field(const nlohmann::json& object, const char* field);
/// A number from the query, or `otherwise`.
std::size_t query_number(const ApiCall& call, std::string_view name, std::size_t otherwise,
                         std::size_t most);

}  // namespace muster::admin
