#pragma once
// The parts of a running node, as the handlers of the API see them.

#include <nlohmann/json.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "admin/alarms.h"
#include "admin/audit_log.h"
#include "admin/node_file.h"
#include "admin/node_identity.h"
#include "admin/one_at_a_time.h"
#include "admin/pools.h"
#include "cluster/directory.h"
#include "cluster/directory_source.h"
#include "cluster/directory_writer.h"
#include "cluster/health.h"
#include "cluster/session_table.h"
#include "cluster/topology.h"
#include "net/blocking_pool.h"
#include "net/loop.h"
#include "queue/spool.h"
#include "state/follower.h"
#include "state/replica.h"
#include "state/sqlite_store.h"

namespace muster::admin {

class Peers;
class Administrators;
class Presence;
class ExceptionFile;
class Leadership;
class FollowedNetworks;

/// What the API may ask of the other halves of the node. An empty function: the node has not got
/// that role. All are called on blocking threads.
struct NodeHooks {
    /// Ends the sessions of this process that match; says how many were told to end.
    std::function<std::size_t(const cluster::SessionFilter&, const std::string& reason)> kick;
    /// Ends everything an account has open on this back end; returns when nothing is left of it.
    std::function<Result<>(const cluster::Account&)> end_account;
    /// A SASL exchange with this back end's Dovecot, as the backend folder defines it.
    std::function<Result<nlohmann::json>(const nlohmann::json&)> authenticate;
    /// What Dovecot said of a made-up login: {"client","session"}, or NotFound.
    std::function<Result<nlohmann::json>(const std::string& login)> probe;
    /// Proves a server end to end: {"proofs", "offers"} as prove_server() says.
    std::function<nlohmann::json(const cluster::Server&)> check_server;
    /// Reads the node file again: {"taken_over", "need_restart"} with names of changed options; an
    /// error changes nothing.
    std::function<Result<nlohmann::json>()> reload;
    /// Stops taking new sessions, or takes them again.
    std::function<void(bool draining)> drain;
    /// Tries anew what of the state could not be put to use; called now and then, does not block.
    std::function<void()> try_again;
    /// What of the state is not in use as it should be; does not block.
    std::function<std::vector<Alarm>()> alarms;
    /// Brings the metrics of the queue up to date; does not block.
    std::function<void()> measure_queue;
    /// A master says whether this node is a member. Called on the follower's thread, quick.
    std::function<void(bool member)> membership;
    std::function<nlohmann::json()> frontend_status;
    std::function<nlohmann::json()> backend_status;
};

/// Everything lives as long as the node serves. Thread-safe parts only. Whoever puts the node
/// together fills it and gives it to an Administration.
struct NodeContext {
    NodeConfig config;
    NodeIdentity identity;
    net::Loop* control = nullptr;
    Pools* pools = nullptr;
    /// Null unless this node may lead (role master); refuses changes while it does not.
    state::Store* directory = nullptr;
    state::Store* coordination = nullptr;  ///< the same
    std::shared_ptr<state::Replica> replica;
    /// The own directory, then those of the networks that are followed, in order of precedence.
    cluster::DirectorySources sources;
    FollowedNetworks* networks = nullptr;
    cluster::TopologyTable* topology = nullptr;
    cluster::HealthTable* health = nullptr;
    ExceptionFile* exceptions = nullptr;
    const cluster::SessionTable* sessions = nullptr;  ///< null without the role frontend
    queue::Spool* queue = nullptr;                    ///< null when this node stores no mail
    NodeHooks hooks;

    // Filled by Administration.
    state::Follower* follower = nullptr;  ///< at rest while this node leads
    AuditLog* audit = nullptr;
    Peers* peers = nullptr;
    Administrators* administrators = nullptr;
    Presence* presence = nullptr;      ///< null unless this node may lead
    Leadership* leadership = nullptr;  ///< the same

    /// Tells two running processes with one node name apart; made at each start.
    const std::string instance = random_name(12);

    std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
    OneAtATime checks;  ///< of servers, by name
    std::atomic<bool> draining{false};
    std::atomic<bool> stopping{false};

    /// Whether this node leads now: whatever it answers may be over a moment later, and the
    /// directory refuses changes then.
    [[nodiscard]] bool is_master() const { return leads.load(); }
    std::atomic<bool> leads{false};
    /// config.certificates, which a reload replaces on the control loop while others ask.
    [[nodiscard]] std::vector<CertificateFiles> certificate_files() const {
        const std::scoped_lock lock(reload_mutex);
        return config.certificates;
    }
    mutable std::mutex reload_mutex;
    [[nodiscard]] state::Scope scope() const;
};

/// The scope of a node with these roles.
cluster::NodeScope scope_of(const Roles& roles);

}  // namespace muster::admin
