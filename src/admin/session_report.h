#pragma once
// What an answer of the API says about sessions that were to be ended, for the operator.

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace muster::admin {

/// Unavailable, with what is left and what to do, when something was not reached or not ended.
/// Takes what `end_account_everywhere` and `end_accounts_everywhere` give; null: nothing was to be
/// ended.
Result<> all_ended(const nlohmann::json& sessions);

}  // namespace muster::admin
