#pragma once
// Which entries a role may see. The sender filters; what a scope does not hold never leaves.

#include <cstdint>
#include <optional>
#include <string_view>

namespace muster::state {

/// mirror ⊂ relay ⊂ frontend ⊂ backend ⊂ All. `All` is the store's own node; it is never a
/// follower's.
enum class Scope : std::uint8_t { Mirror, Relay, Frontend, Backend, All };

std::string_view name(Scope scope);
/// `mirror`, `relay`, `frontend` or `backend`.
std::optional<Scope> scope_from(std::string_view text);

/// What one reader sees.
struct Sight {
    Scope scope = Scope::Mirror;
    /// Credentials for delivery to third parties: a right of their own below Frontend.
    bool delivery = false;
    /// A reader of the first version, to which families that came later are a fault of its source.
    bool only_first_families = false;

    // Most readers have no more than a scope.
    // NOLINTNEXTLINE(google-explicit-constructor)
    constexpr Sight(Scope whole) : scope(whole) {}
    constexpr Sight(Scope whole, bool sees_delivery) : scope(whole), delivery(sees_delivery) {}
};

/// A key whose family (the part before the first slash) is not in the table is in `All` alone.
bool visible(std::string_view key, Sight sight);
/// Whether no source may send this key to that scope: its family is known and not in the scope.
/// Families of later versions are the sender's to judge: they are kept, so that a node which is
/// upgraded after its master misses nothing.
bool forbidden(std::string_view key, Sight sight);
/// Whether an entry with a visible key may be seen with this value: a mirror sees domains of kind
/// remote, and nodes that lead or can. What cannot be seen now stands for its tombstone.
bool visible(std::string_view key, std::string_view value, Sight sight);

}  // namespace muster::state
