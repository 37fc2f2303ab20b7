#pragma once
// Calls to other nodes of the cluster, each known by its pinned key.

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "admin/node_file.h"
#include "admin/node_identity.h"
#include "cluster/topology.h"
#include "net/http_client.h"
#include "state/source.h"

namespace muster::admin {

/// What a call to another node may cost.
struct CallBounds {
    std::chrono::milliseconds patience;  ///< for the whole call
    std::size_t reply_bytes = std::size_t{1} << 20;
};

/// How long a call waits while the master is changed, which takes a second or two, and how often it
/// asks who leads by now.
inline constexpr std::chrono::seconds kMasterPatience{10};
inline constexpr std::chrono::milliseconds kMasterPause{100};
/// True in the answer of a node that does not lead, or not now: nothing was changed, and the same
/// may be asked of the next master.
inline constexpr const char* kNotLeading = "not_leading";

/// What to do about a master that cannot be reached.
inline constexpr const char* kMasterAway =
    "start it or mend the network; if it is lost, muster cluster promote NAME --force";
/// How it is said, and what to do.
inline constexpr const char* kPutOut = "this node was put out of the cluster";
inline constexpr const char* kJoinAnew =
    "To take it in again, empty its state_dir and join it anew (muster cluster join)";

/// Told on the follower's thread what a master says of this node: it is a member, or was revoked.
using Membership = std::function<void(bool member)>;

/// Members of the cluster; followers of it (scope relay or mirror) are never called. Thread-safe;
/// calls block.
class Peers {
public:
    Peers(const NodeConfig& config, const NodeIdentity& identity,
          const cluster::TopologyTable& topology, net::HttpHeaders introduction,
          Membership membership)
        : config_(config),
          identity_(identity),
          topology_(topology),
          introduction_(std::move(introduction)),
          membership_(std::move(membership)) {}

    /// All other nodes that can be reached over the cluster port.
    [[nodiscard]] std::vector<PeerAddress> others() const;
    /// Those that lead or may lead, in the order to follow and ask them: who leads, who may, by
    /// name, what `cluster.masters` names (first while nobody is known to lead). Never this node.
    [[nodiscard]] std::vector<PeerAddress> masters() const;
    /// The same by the state alone.
    [[nodiscard]] std::vector<PeerAddress> masters_in_state() const;
    [[nodiscard]] std::optional<PeerAddress> find(const NodeName& name) const;

    [[nodiscard]] Result<net::HttpReply> call(const PeerAddress& peer, const net::HttpCall& call,
                                              const CallBounds& bounds) const;
    /// The same, its answer handed on as it comes; `bounds.patience` is for silence.
    [[nodiscard]] Result<net::HttpReply> stream(const PeerAddress& peer, const net::HttpCall& call,
                                                const CallBounds& bounds,
                                                const net::HttpClient::Sink& sink) const;
    /// The answer of the one that leads. When the first that was asked is between two masters, its
    /// answer, which says so; Unavailable with a text for the operator when it does not answer.
    [[nodiscard]] Result<net::HttpReply> call_master(const net::HttpCall& call) const;

    /// The same for large bodies: `rewind` makes the call's body begin again, and while the master
    /// changes it is asked for some seconds who leads by now. `sink` gets one answer.
    [[nodiscard]] Result<net::HttpReply> stream_to_master(const net::HttpCall& call,
                                                          const CallBounds& bounds,
                                                          const std::function<Result<>()>& rewind,
                                                          const net::HttpClient::Sink& sink) const;

    /// Ends the calls that run; later ones fail at once.
    void stop();

    [[nodiscard]] net::HttpTarget target(const PeerAddress& peer) const;
    /// What the follower reads from, in the order to try them.
    [[nodiscard]] std::vector<std::unique_ptr<state::Source>> sources() const;

private:
    [[nodiscard]] bool stopped() const;
    Result<net::HttpReply> run(net::HttpClient& client,
                               const std::function<Result<net::HttpReply>()>& call) const;

    const NodeConfig& config_;
    const NodeIdentity& identity_;
    const cluster::TopologyTable& topology_;
    const net::HttpHeaders introduction_;  ///< sent with what the follower asks
    const Membership membership_;
    mutable std::mutex mutex_;
    mutable std::set<net::HttpClient*> calling_;
    bool stopped_ = false;
};

/// Reads a master's feed over HTTPS.
class HttpSource final : public state::Source {
public:
    HttpSource(net::HttpTarget target, net::HttpHeaders introduction, Membership membership = {})
        : client_(std::move(target)),
          introduction_(std::move(introduction)),
          membership_(std::move(membership)) {}
    [[nodiscard]] std::string name() const override;
    Result<> get(const std::string& target, const Sink& sink) override;
    void cancel() override { client_.cancel(); }

private:
    net::HttpClient client_;
    net::HttpHeaders introduction_;
    Membership membership_;
};

}  // namespace muster::admin
