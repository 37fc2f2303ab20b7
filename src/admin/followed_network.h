#pragma once
// The other networks that this node follows: it joins each once, keeps a replica of what it may see
// there, and tells how it stands.

#include <nlohmann/json.hpp>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "admin/alarms.h"
#include "admin/node_context.h"
#include "cluster/directory_source.h"
#include "state/follower.h"

namespace muster::admin {

/// One `[[follow]]` section at work. Its folder (`networks/NAME` in the state folder) holds the
/// membership (`cluster.json`) and the replica. Thread-safe once started; the node works without
/// it, and it without its master.
class FollowedNetwork {
public:
    /// Opens what is there of the replica. `node` must outlive it.
    static Result<std::unique_ptr<FollowedNetwork>> open(NodeContext& node,
                                                         const FollowSettings& settings);
    ~FollowedNetwork();
    FollowedNetwork(const FollowedNetwork&) = delete;
    FollowedNetwork& operator=(const FollowedNetwork&) = delete;

    /// Joins if need be, then follows, on a thread of its own.
    void start();
    void request_stop() { thread_.request_stop(); }

    [[nodiscard]] cluster::DirectorySource source() const;
    [[nodiscard]] const std::string& name() const { return settings_.name; }
    /// What credentials for delivery are sealed with for this node; none before it has joined.
    [[nodiscard]] SealSecret seal_secret() const;
    /// {"name", "mode", "phase", …} as in docs/openapi.yaml.
    [[nodiscard]] nlohmann::json status() const;
    [[nodiscard]] std::optional<Alarm> alarm() const;
    void show_metrics() const;

private:
    FollowedNetwork(NodeContext& node, const FollowSettings& settings)
        : node_(node), settings_(settings) {}
    void prepare();
    void run(const std::stop_token& stop);
    /// False: told to stop before the network was joined.
    bool join(const std::stop_token& stop);
    /// One try, if there is a password to try with. What went wrong is the trouble.
    Result<> try_to_join();
    Result<> take_up_membership();
    /// Null before the network was joined.
    [[nodiscard]] std::shared_ptr<const NodeIdentity> membership() const;
    /// See read_order(). After the join.
    [[nodiscard]] std::vector<std::unique_ptr<state::Source>> sources() const;
    void note_trouble(const std::string& trouble);
    [[nodiscard]] state::FollowerStatus progress() const;
    [[nodiscard]] std::string folder() const;
    /// How many domains are taken of it, and which are not.
    void add_domains(nlohmann::json& status) const;

    NodeContext& node_;
    const FollowSettings settings_;
    std::shared_ptr<state::Replica> replica_;
    mutable std::mutex mutex_;
    std::shared_ptr<const NodeIdentity> membership_;
    std::string trouble_;                        ///< with joining
    std::unique_ptr<state::Follower> follower_;  ///< at rest before the network was joined
    const std::chrono::system_clock::time_point since_ = std::chrono::system_clock::now();
    std::jthread thread_;
    state::Watch watch_;
};

/// All of them, in the order of the node file.
class FollowedNetworks {
public:
    Result<> open(NodeContext& node);
    void start();
    void request_stop();
    ~FollowedNetworks();

    [[nodiscard]] cluster::DirectorySources sources() const;
    /// Of the network with that place in TopologyTable::sources(), where the own cluster is 0.
    [[nodiscard]] SealSecret seal_secret(std::size_t directory) const;
    [[nodiscard]] nlohmann::json status() const;
    [[nodiscard]] std::vector<Alarm> alarms() const;
    void show_metrics() const;

private:
    std::vector<std::unique_ptr<FollowedNetwork>> networks_;
};

}  // namespace muster::admin
