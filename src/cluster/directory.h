#pragma once
// One thread's view of the directory: who is meant by a login name, and where the account lives.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

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

/// Reads the replica in place. One per thread.
class Directory {
public:
    /// `topology` must outlive the directory.
    Directory(std::shared_ptr<state::Replica> replica, const TopologyTable& topology);

    /// False until the replica was read once: every domain would look like a stranger's.
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

    state::ReplicaReader& reader() { return reader_; }

private:
    Result<bool> read_account(Located& located);
    Result<bool> follow_alias(Located& located);

    state::ReplicaReader reader_;
    const TopologyTable& table_;
    std::shared_ptr<const Topology> topology_;
    std::uint64_t seen_version_ = 0;
    std::string key_;  ///< reused from look-up to look-up
};

}  // namespace muster::cluster
