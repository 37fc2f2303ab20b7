#include "delivery/dsn_parameters.h"

#include "wire/smtp.h"
#include "wire/xtext.h"

namespace muster::delivery {

std::string notify_text(std::uint8_t bits) {
    if (bits == 0) return {};
    if ((bits & queue::notify::kNever) != 0) return "NEVER";
    return wire::smtp::Notify{.success = false,
                              .failure = (bits & queue::notify::kFailure) != 0,
                              .delay = (bits & queue::notify::kDelay) != 0}
        .text();
}

std::string encoded_orcpt(const std::string& orcpt) {
    const std::size_t semicolon = orcpt.find(';');
    if (semicolon == orcpt.npos) return {};
    return orcpt.substr(0, semicolon + 1) +
           wire::xtext_encode(std::string_view(orcpt).substr(semicolon + 1));
}

std::string_view ret_text(queue::Return ret) {
    switch (ret) {
        case queue::Return::Unsaid: return {};
        case queue::Return::Full: return "FULL";
        case queue::Return::Headers: return "HDRS";
    }
    return {};
}

}  // namespace muster::delivery
