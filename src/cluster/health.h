#pragma once
// Which servers answer, as this process sees it: apart from what the administrator wants
// (Server::admin) and never written to the state.

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/endpoint.h"
#include "base/ids.h"
#include "cluster/entries.h"

namespace muster::cluster {

using HealthTime = std::chrono::steady_clock::time_point;

/// Unknown (nothing seen yet) is treated as up: a node that starts serves at once.
enum class Observed : std::uint8_t { Unknown, Up, Down };
std::string_view name(Observed observed);

struct HealthPolicy {
    unsigned up_after = 2;          ///< good checks in a row that bring a server back
    unsigned down_after = 3;        ///< bad checks in a row that take it away
    unsigned traffic_failures = 5;  ///< failures of live traffic within the window …
    unsigned traffic_clients = 2;   ///< … from at least so many client addresses take it away, too:
                                    ///< one client that a server bans does not
    std::chrono::seconds traffic_window{30};
    std::chrono::milliseconds interval{10'000};      ///< between checks while nothing changes
    std::chrono::milliseconds fast_interval{1'000};  ///< while a server is down or in doubt
};

/// The state machine of one service of one server. Pure; one owner.
class HealthMachine {
public:
    explicit HealthMachine(const HealthPolicy& policy) : policy_(&policy) {}

    /// Each returns the new state when it changed.
    std::optional<Observed> checked(bool good, HealthTime now);
    std::optional<Observed> traffic_failed(const IpAddress& client, HealthTime now);
    /// Proof of life: forgets the failures of live traffic. Does not bring a server back.
    void traffic_succeeded();

    [[nodiscard]] Observed observed() const { return observed_; }
    /// When the next active check is due.
    [[nodiscard]] HealthTime due(HealthTime last_check) const;

private:
    std::optional<Observed> become(Observed next);
    void forget_before(HealthTime start);

    struct Failure {
        IpAddress client;
        HealthTime at;
    };
    static constexpr std::size_t kMaxFailures = 64;

    const HealthPolicy* policy_;
    Observed observed_ = Observed::Unknown;
    unsigned good_ = 0;
    unsigned bad_ = 0;
    std::vector<Failure> failures_;
};

/// What workers read: one atomic for each service.
class ServerHealth {
public:
    [[nodiscard]] Observed observed(Service service) const {
        return cells_[static_cast<std::size_t>(service)].load(std::memory_order_relaxed);
    }
    [[nodiscard]] bool usable(Service service) const { return observed(service) != Observed::Down; }

private:
    friend class HealthTable;
    std::array<std::atomic<Observed>, kServiceCount> cells_{};
};

struct HealthChange {
    ServerName server;
    Service service;
    Observed now;
    std::string reason;
};

struct HealthRow {
    ServerName server;
    Service service;
    Observed observed = Observed::Unknown;
    std::string last_error;
    std::optional<HealthTime> last_check;
    /// Of the certificate that the server showed last; empty without TLS.
    std::optional<std::chrono::system_clock::time_point> certificate_end;
};

struct CheckTarget {
    ServerName server;
    Service service;

    friend bool operator==(const CheckTarget&, const CheckTarget&) = default;
};

/// All servers of a process. One instance, thread-safe; reading a ServerHealth takes no lock. The
/// check loop asks due(), makes its connections, and tells checked().
class HealthTable {
public:
    explicit HealthTable(HealthPolicy policy = {}) : policy_(policy) {}

    /// The cell of a server; lives as long as somebody holds it. Topology keeps it beside the
    /// server, so workers find it without a look-up.
    std::shared_ptr<const ServerHealth> of(const ServerName& server);

    std::optional<HealthChange> checked(const CheckTarget& target, bool good,
                                        std::string_view error, HealthTime now);
    /// What a check saw of the server's certificate.
    void saw_certificate(const CheckTarget& target, std::chrono::system_clock::time_point end);
    /// A connection for a client failed before the server had greeted (refused, timed out …).
    std::optional<HealthChange> traffic_failed(const CheckTarget& target, const IpAddress& client,
                                               std::string_view error, HealthTime now);
    void traffic_succeeded(const CheckTarget& target);

    /// Of `wanted`, those to check now; marks them as begun. What is no longer wanted is forgotten.
    std::vector<CheckTarget> due(const std::vector<CheckTarget>& wanted, HealthTime now);
    /// When due() should be asked again; at most the fast interval from now.
    [[nodiscard]] std::chrono::milliseconds pause() const { return policy_.fast_interval / 2; }

    [[nodiscard]] std::vector<HealthRow> rows() const;

private:
    struct Tracked {
        HealthMachine machine;
        std::optional<HealthTime> last_check;
        std::string last_error;
        std::optional<std::chrono::system_clock::time_point> certificate_end;
    };
    struct ServerRow {
        std::shared_ptr<ServerHealth> shared = std::make_shared<ServerHealth>();
        std::array<std::optional<Tracked>, kServiceCount> services;
    };

    Tracked& tracked(const CheckTarget& target);
    std::optional<HealthChange> publish(const CheckTarget& target, std::optional<Observed> change,
                                        std::string_view reason);

    const HealthPolicy policy_;
    mutable std::mutex mutex_;
    std::unordered_map<ServerName, ServerRow> servers_;
};

class Topology;
/// What is worth checking: every service of every server that is not administratively down.
std::vector<CheckTarget> check_targets(const Topology& topology);

}  // namespace muster::cluster
