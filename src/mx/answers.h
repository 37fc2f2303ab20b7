#pragma once
// Refusals that more than one part of a session gives.

#include "wire/smtp.h"

namespace muster::mx {

inline constexpr wire::smtp::Refusal kOutOfOrder{503, "5.5.1", "Not now: commands out of order"};
inline constexpr wire::smtp::Refusal kTooLarge{552, "5.3.4",
                                               "The message is larger than is taken here"};
inline constexpr wire::smtp::Refusal kNoRoom{452, "4.3.1", "No room to take the message now"};

}  // namespace muster::mx
