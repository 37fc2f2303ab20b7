#pragma once
// Where mail for an address goes: accounts, aliases for one or many addresses in or out of the
// cluster, sub-addresses, catch-all, remote domains.

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "cluster/directory.h"
#include "cluster/topology.h"

namespace muster::cluster {

/// One place that a message for an address is to be taken to.
struct MailTarget {
    /// What the next server is given as recipient: with the detail of a sub-address.
    std::string address;
    /// Of the account, or `@NETWORK`, whose front ends take it; empty: outside of the cluster.
    ServerName home;
    const Domain* domain = nullptr;  ///< ours or remote; null: an address in the world
    bool waits = false;              ///< a disabled account among others: it gets its mail later

    friend bool operator==(const MailTarget&, const MailTarget&) = default;
};

enum class MailVerdict : std::uint8_t {
    Accept,     ///< `targets` says where to
    Unknown,    ///< the domain is ours, the address is nobody's
    Foreign,    ///< the domain is not ours: only clients that may relay
    Disabled,   ///< the account takes no mail now
    AliasLoop,  ///< aliases that lead in a circle, too deep, or to too many addresses
};

struct MailRoute {
    std::shared_ptr<const Topology> topology;  ///< keeps the pointers alive
    MailVerdict verdict = MailVerdict::Unknown;
    const Domain* domain = nullptr;  ///< of the address itself
    std::vector<MailTarget> targets{};
    /// Directories (places in TopologyTable::sources()) that did not know an address on the way.
    std::vector<std::size_t> missed{};

    /// Of a foreign or a remote domain: the one target is the address itself.
    [[nodiscard]] bool is_outside() const {
        return verdict == MailVerdict::Foreign ||
               (domain != nullptr && domain->kind == DomainKind::Remote);
    }
};

inline constexpr std::size_t kMaxAliasDepth = 10;
inline constexpr std::size_t kMaxAliasTargets = 1000;  ///< one address leads to so many at most

/// Reads the replica. `local` is unquoted; an empty `domain` is for `<Postmaster>` alone (RFC
/// 5321, 4.5.1) and stands for `own_domain`. Each of the targets stands once. Postmaster of a
/// domain of ours is always somebody: where no account, alias or catch-all has the name, the
/// setting `postmaster` of its cluster says who. Errors: Syntax (no address can be that),
/// Unavailable (never filled), Corrupt, Io.
Result<MailRoute> find_recipient(Directory& directory, std::string_view local,
                                 std::string_view domain, std::string_view own_domain);

/// False while a network whose mail is taken here was never read: a foreign domain may be its.
bool knows_all_domains(const Topology& topology);

/// Whether the directories that did not know an address have heard of their masters within
/// `limit`: only then an Unknown one is nobody's.
bool knows_all_addresses(const Directory& directory, const MailRoute& route,
                         std::chrono::milliseconds limit);

}  // namespace muster::cluster
