#pragma once
// The cluster port: what members of the cluster say to each other, known by their pinned keys.

#include <optional>

#include "admin/api.h"
#include "admin/attempt_limit.h"
#include "admin/node_context.h"
#include "admin/password_joins.h"
#include "cluster/entries.h"
#include "net/http_server.h"

namespace muster::admin {

/// Lives on the control loop. All but joining is for members alone; the scope of what one may
/// read is that of its entry in the state, whatever it asks for.
class ClusterApi {
public:
    explicit ClusterApi(NodeContext& node) : node_(node), api_(node), password_joins_(node) {}
    Task<void> serve(net::HttpExchange& exchange);
    /// The same without encryption: for followers of other networks alone.
    Task<void> serve_in_clear(net::HttpExchange& exchange);

private:
    [[nodiscard]] std::optional<cluster::Node> member(const std::string& pin) const;
    [[nodiscard]] bool was_revoked(const std::string& pin) const;
    /// Whether the node is still what it was, by the store: the topology follows that a moment
    /// later. Blocks.
    [[nodiscard]] bool is_member_still(const cluster::Node& member) const;
    /// Why this node is no source of the state just now. Blocks.
    [[nodiscard]] Result<> is_source() const;
    /// Whether another running node of the member's name follows already: then it is said and
    /// answered. A stream whose node went without a word is given time to notice.
    Task<bool> turn_away_twin(net::HttpExchange& exchange, const cluster::Node& member);
    Task<void> stream_changes(net::HttpExchange& exchange, cluster::Node member);
    Task<void> send_page(net::HttpExchange& exchange, cluster::Node member);
    /// `in_clear`: only what a follower learns may be answered.
    Task<void> join(net::HttpExchange& exchange, bool in_clear);
    Result<nlohmann::json> audited(const nlohmann::json& wish, bool proves, const std::string& pin,
                                   const std::string& at, Result<nlohmann::json> joined);
    bool is_told(const nlohmann::json& wish, bool proves, const Error& refusal);
    /// Whether the entry of a follower was changed since it held what it holds: its scope may have
    /// been another one. Blocks.
    [[nodiscard]] bool saw_another_scope(const cluster::Node& member,
                                         const state::Cursor& since) const;
    /// 503 while this node's own copy does not say who is a member.
    Task<void> refuse_stranger(net::HttpExchange& exchange);
    Task<void> serve_member(net::HttpExchange& exchange, cluster::Node member);
    /// A call that another node passes on for somebody.
    Task<void> serve_forwarded(net::HttpExchange& exchange, cluster::Node member);

    NodeContext& node_;
    Api api_;
    PasswordJoins password_joins_;
    /// Calls of joins that failed, by address; one with a password takes two.
    AttemptLimit joins_{20, std::chrono::minutes(1)};
    AttemptLimit refusals_{30, std::chrono::minutes(1)};   ///< in the audit log, of everybody
    AttemptLimit limited_{1, std::chrono::minutes(5)};     ///< the same of too many, by name
    AttemptLimit strangers_{10, std::chrono::minutes(1)};  ///< in the log, by address
};

state::Scope state_scope(cluster::NodeScope scope);
/// What a node may read: everything, when it is a member that leads or may lead; a follower never
/// more than its own scope.
state::Scope scope_of(const cluster::Node& member);

}  // namespace muster::admin
