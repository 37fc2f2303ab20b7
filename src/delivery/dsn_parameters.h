#pragma once
// What a sender wants to hear (RFC 3461), as MAIL and RCPT say it to the next server.

#include <cstdint>
#include <string>
#include <string_view>

#include "queue/envelope.h"

namespace muster::delivery {

/// NOTIFY's value; empty: not said. Without SUCCESS: of that the sender hears from us, once. Pure.
std::string notify_text(std::uint8_t bits);
/// ORCPT's value, `type;xtext`; empty without an original recipient. Pure.
std::string encoded_orcpt(const std::string& orcpt);
/// RET's value; empty: not said. Pure.
std::string_view ret_text(queue::Return ret);

}  // namespace muster::delivery
