#pragma once
// One thread's view of the directory: who is meant by a login name, and where the account lives.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "cluster/entries.h"
#include "cluster/topology.h"
#include "state/replica.h"

namespace muster::cluster {

/// The answer to "who is this, and where?". Pointers live as long as `topology`.
struct Located {
    std::shared_ptr<const Topology> topology;
    const Domain* domain = nullptr;   ///< null: the domain is not ours
    const Domain* context = nullptr;  ///< what context_domain() says of the connection
    AccountAddress address;  ///< full and normalised; an alias is replaced by its account's
    bool known = false;      ///< below is meaningful
    AccountId id;
    ServerName home;
    bool disabled = false;
    std::uint64_t quota = 0;
    std::uint64_t epoch = 0;
};

/// Reads in place the replica that has the domain asked for. One per thread.
class Directory {
public:
    /// Of the directories that `topology` reads; it must outlive this one.
    explicit Directory(const TopologyTable& topology);

    /// False until the own replica was read once: every domain would look like a stranger's.
    [[nodiscard]] bool has_topology() const { return table_.version() != 0; }
    /// The current snapshot, kept until a newer one stands.
    const std::shared_ptr<const Topology>& topology();

    /// Alias → account → home. An unknown name is an answer (`known` is false); errors are Syntax
    /// (a name that cannot be one), Unavailable (the replica was never filled), Corrupt, Io.
    Result<Located> locate(std::string_view login, const LoginContext& context);

    /// The account behind an address or one of its aliases, with all its fields.
    Result<std::optional<Account>> account(const AccountAddress& address);
    /// For nodes that may see them.
    Result<std::optional<PasswordKeys>> password_keys(const AccountId& id);
    Result<std::optional<std::string>> shared_acl(std::string_view to, std::string_view from);

    /// Of the own cluster.
    state::ReplicaReader& reader() { return readers_.front(); }
    /// Of the directory that has the domain; the own one for null.
    state::ReplicaReader& reader_of(const Domain* domain) {
        return readers_[domain ? domain->directory : 0];
    }
    /// Whether these directories (places in TopologyTable::sources()) have heard of their masters
    /// within `limit`; of none, the own one.
    [[nodiscard]] bool heard_within(const std::vector<std::size_t>& directories,
                                    std::chrono::milliseconds limit) const;

private:
    Result<bool> read_account(Located& located);
    Result<bool> follow_alias(Located& located);

    std::vector<state::ReplicaReader> readers_;  ///< of table_.sources()
    const TopologyTable& table_;
    std::shared_ptr<const Topology> topology_;
    std::uint64_t seen_version_ = 0;
    std::string key_;  ///< reused from look-up to look-up
};

}  // namespace muster::cluster
