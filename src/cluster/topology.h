#pragma once
// The small, rarely changing objects of the state as one immutable snapshot that all threads of a
// process share: domains, servers, nodes, settings, certificates, credentials, secrets in common;
// of the own cluster and, behind it, of the networks that the node follows (topology_merge.h).

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "cluster/directory_source.h"
#include "cluster/domain_exceptions.h"
#include "cluster/entries.h"
#include "cluster/health.h"
#include "cluster/shared_secret.h"
#include "state/replica.h"

namespace muster::cluster {

struct ServerView {
    Server server;
    std::shared_ptr<const ServerHealth> health;
    std::optional<Credential> credential;  ///< its master user, when this node may see it
};

/// One of the directories that a snapshot was made of, in their order; the own one is the first.
struct Network {
    std::string name;  ///< empty: the own cluster
    SourceMode mode = SourceMode::Own;
    HandTo hand_to = HandTo::Home;
    bool filled = false;   ///< else none of its domains is here yet
    std::string suffix{};  ///< "@NAME", behind the names of its servers; empty: the own cluster
    /// Where its front ends take mail, as servers of the snapshot; only where mail is handed there.
    std::vector<ServerName> exits{};
    /// Domains that it has and that are not admitted of it (Admission): how many, and the first.
    static constexpr std::size_t kMostNamed = 20;
    std::size_t refused = 0;
    std::vector<DomainName> refused_first{};
    /// Domains that it has and that cannot be read here, whose mail waits: how many, and the first.
    std::size_t unreadable = 0;
    std::string unreadable_first{};
    /// Its servers, front ends and routes at addresses that would be this machine's own, which are
    /// left out: how many, and the first as text.
    std::size_t misplaced = 0;
    std::vector<std::string> misplaced_first{};
    /// Whose turn it is.
    std::shared_ptr<std::atomic<unsigned>> turn = std::make_shared<std::atomic<unsigned>>(0);
};

/// The domains that are not admitted of it, with commas, the first ones.
[[nodiscard]] std::string first_names(const Network& network);

/// A domain that more than one directory has.
struct DomainConflict {
    DomainName domain;
    /// Names of the networks, the one that has it first; empty: the own cluster.
    std::vector<std::string> networks;

    friend bool operator==(const DomainConflict&, const DomainConflict&) = default;
    friend auto operator<=>(const DomainConflict&, const DomainConflict&) = default;
};

/// Settings, nodes, certificates and credentials are those of the own cluster.
struct TopologyParts {
    std::vector<Domain> domains;
    std::vector<Server> servers;
    std::vector<Node> nodes;
    std::vector<Setting> settings;
    std::vector<Certificate> certificates;
    std::vector<Credential> credentials;
    /// For the remote domains above, each of the directory that has the domain.
    std::vector<DeliveryCredential> deliveries;
    /// Domains above that have a login which cannot be read; found when directories are merged.
    std::set<std::string, std::less<>> unreadable_deliveries{};
    std::vector<SharedSecret> secrets;
    std::vector<DkimKey> dkim_keys;
    std::vector<Network> networks{1};
    std::vector<DomainConflict> conflicts{};
    /// This node's exceptions that do not fit their domain (any more), by domain: why.
    std::map<std::string, std::string> misfits{};
    /// Domains whose route is an exception of this node, not their directory's word.
    std::set<std::string> own_routes{};
    /// Entries that this version cannot read, by key: why.
    std::map<std::string, std::string> unreadable{};
    /// The domains among them, of all directories, and whether they are remote: nothing can be said
    /// of their addresses, and no other directory's domain takes their place.
    std::map<std::string, bool, std::less<>> unreadable_domains{};
};

/// `NAME@NETWORK` is a server or node of a followed network; the own ones have plain names.
inline bool is_of_own_cluster(std::string_view name) { return name.find('@') == name.npos; }

/// Immutable once built; pointers into it live as long as the shared_ptr that is held.
class Topology {
public:
    Topology(TopologyParts parts, HealthTable& health);
    Topology(const Topology&) = delete;
    Topology& operator=(const Topology&) = delete;

    [[nodiscard]] const Domain* domain(std::string_view name) const;
    /// Its entry is there and cannot be read: not to be taken for a stranger's.
    [[nodiscard]] bool is_unreadable(std::string_view domain) const {
        return parts_.unreadable_domains.contains(domain);
    }
    [[nodiscard]] const ServerView* server(std::string_view name) const;
    [[nodiscard]] const Node* node(std::string_view name) const;
    /// The domain that has this dedicated local address, or this TLS server name.
    [[nodiscard]] const Domain* domain_of(const IpAddress& local) const;
    [[nodiscard]] const Domain* domain_of_tls_name(std::string_view tls_name) const;

    /// JSON text; empty when not set.
    [[nodiscard]] std::string_view setting(std::string_view name) const;
    [[nodiscard]] std::uint64_t setting_number(std::string_view name,
                                               std::uint64_t otherwise) const;
    [[nodiscard]] std::string setting_text(std::string_view name, std::string_view otherwise) const;

    [[nodiscard]] const TopologyParts& parts() const { return parts_; }
    /// Whose the domain is; null stands for the own cluster.
    [[nodiscard]] const Network& network_of(const Domain* domain) const {
        return parts_.networks[domain ? domain->directory : 0];
    }
    /// The network whose front ends are meant by a home of that name (`@NETWORK`); null: none.
    [[nodiscard]] const Network* network_at(const ServerName& home) const;
    [[nodiscard]] const std::vector<ServerView>& servers() const { return servers_; }
    [[nodiscard]] const std::vector<Certificate>& certificates() const {
        return parts_.certificates;
    }
    [[nodiscard]] const std::vector<DkimKey>& dkim_keys() const { return parts_.dkim_keys; }
    /// The login at the hosts of the domain's route; null when there is none, or this node may not
    /// see it.
    [[nodiscard]] const DeliveryCredential* delivery(std::string_view domain) const;
    /// Whether there is one that this version cannot read: mail waits.
    [[nodiscard]] bool is_delivery_unreadable(std::string_view domain) const {
        return parts_.unreadable_deliveries.contains(domain);
    }
    /// Null when there is none, or this node may not see it.
    [[nodiscard]] const SharedSecret* secret(std::string_view name) const;

private:
    struct TextHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const {
            return std::hash<std::string_view>{}(text);
        }
    };
    template <typename T>
    using Index = std::unordered_map<std::string, const T*, TextHash, std::equal_to<>>;

    TopologyParts parts_;
    std::vector<ServerView> servers_;
    Index<Domain> domains_by_name_;
    Index<ServerView> servers_by_name_;
    Index<Node> nodes_by_name_;
    Index<Setting> settings_by_name_;
    Index<DeliveryCredential> deliveries_by_domain_;
    Index<Domain> domains_by_tls_name_;
    std::unordered_map<IpAddress, const Domain*> domains_by_address_;
};

/// What a connection says about the domain of names that have none. Views must outlive the call.
struct LoginContext {
    IpAddress local{};                  ///< the address that the client connected to
    std::string_view tls_name{};        ///< TLS server name it asked for; may be empty
    std::string_view default_domain{};  ///< the listener's; may be empty
};

/// The domain of a name without one: that of the dedicated local address, then of the TLS server
/// name, then the listener's default; after all these what followed networks' domains are dedicated
/// to. Null when there is none, also when the listener's default is no domain that is known.
const Domain* context_domain(const Topology& topology, const LoginContext& context);

/// Reads all of one directory. Entries that cannot be read are named and left out: one bad server
/// must not stop the others. `exceptions` are this node's; where one does not fit, the domain is as
/// its directory has it.
Result<TopologyParts> read_topology(state::ReplicaReader& reader,
                                    const DomainPatches& exceptions = {});

/// Keeps the current snapshot of one process: a thread of its own rebuilds it soon after one of the
/// replicas changed one of these objects. Thread-safe.
class TopologyTable {
public:
    /// `health` must outlive the table. Reads once before it returns, if the own replica is filled.
    /// `exceptions` may be null; refresh() takes them up when they changed.
    TopologyTable(DirectorySources sources, HealthTable& health,
                  std::shared_ptr<const DomainExceptions> exceptions = nullptr);
    /// Of the own cluster alone.
    TopologyTable(std::shared_ptr<state::Replica> replica, HealthTable& health);
    ~TopologyTable();
    TopologyTable(const TopologyTable&) = delete;
    TopologyTable& operator=(const TopologyTable&) = delete;

    [[nodiscard]] const DirectorySources& sources() const { return sources_; }
    /// Never null; empty before the own replica is filled.
    [[nodiscard]] std::shared_ptr<const Topology> current() const;
    /// Moves with every new snapshot: readers keep theirs until it does.
    [[nodiscard]] std::uint64_t version() const { return version_.load(std::memory_order_acquire); }
    /// Reads anew at once, on the caller's thread.
    Result<> refresh();
    /// Called on the table's thread after each new snapshot (and once from this call). Must be
    /// quick, may not call refresh(), and must outlive the table: post to your own loop.
    void on_change(std::function<void(std::shared_ptr<const Topology>)> listener);

private:
    /// A directory as it was read last.
    struct Part {
        state::ReplicaReader reader;
        std::shared_ptr<const TopologyParts> read{};
        std::map<std::string, std::string>
            told{};  ///< what of TopologyParts::unreadable was logged
    };
    using Which = std::vector<bool>;  ///< of sources_

    void run(const std::stop_token& stop);
    void replace(const std::shared_ptr<const Topology>& next);
    /// Reads these anew, the others are as they were. Leaves those set that could not be read; the
    /// error is the own one's, without which there is no new snapshot.
    Result<> rebuild(Which& which);
    Result<> read_part(std::size_t source);
    void tell_conflicts(const TopologyParts& parts);
    void tell_of_followed(const TopologyParts& parts);

    const DirectorySources sources_;
    HealthTable& health_;
    const std::shared_ptr<const DomainExceptions> exceptions_;
    std::vector<Part> parts_;        ///< of sources_; under build_mutex_
    std::set<DomainConflict> told_;  ///< under build_mutex_, as the next three
    std::map<std::string, std::size_t, std::less<>> taken_;  ///< domains of followed networks
    std::vector<std::pair<std::size_t, std::vector<DomainName>>> refused_;  ///< by network
    bool has_told_ = false;
    std::mutex build_mutex_;
    mutable std::mutex mutex_;
    std::condition_variable_any woken_;
    Which stale_;  ///< have changed since they were read
    std::shared_ptr<const Topology> current_;
    std::vector<std::function<void(std::shared_ptr<const Topology>)>> listeners_;
    std::atomic<std::uint64_t> version_{0};
    std::vector<state::Watch> watches_;
    std::jthread thread_;
};

}  // namespace muster::cluster
