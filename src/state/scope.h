#pragma once
// Which entries a role may see. The sender filters; what a scope does not hold never leaves.

#include <cstdint>
#include <optional>
#include <string_view>

namespace muster::state {

/// relay ⊂ frontend ⊂ backend ⊂ All. `All` is the store's own node; it is never a follower's.
enum class Scope : std::uint8_t { Relay, Frontend, Backend, All };

std::string_view name(Scope scope);
/// `relay`, `frontend` or `backend`.
std::optional<Scope> scope_from(std::string_view text);

/// A key whose family (the part before the first slash) is not in the table is in `All` alone.
bool visible(std::string_view key, Scope scope);

}  // namespace muster::state
