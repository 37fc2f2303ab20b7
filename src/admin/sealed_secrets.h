#pragma once
// Secrets on their way into the state: nothing that a front end copies stands there in clear.

#include <nlohmann/json.hpp>

#include <string_view>

#include "admin/declaration.h"
#include "base/seal.h"
#include "state/store.h"

namespace muster::admin {

/// Seals what `object`, the entry under `key`, holds in clear: a certificate's key, a master
/// user's password, keys in common. Where that is the secret `before` (null: none) seals, its seal
/// is kept, so that an unchanged file changes nothing. Other entries stay as they are. Errors:
/// Refused (a seal of another cluster's), Syntax.
Result<> seal_secrets(std::string_view key, nlohmann::json& object, const nlohmann::json& before,
                      const SealSecret& secret);

/// Entries from before such secrets were sealed. Masters only, once at each start; says how many
/// there were.
Result<std::size_t> seal_stored_secrets(state::Store& store, const SealSecret& secret);

}  // namespace muster::admin
