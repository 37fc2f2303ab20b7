#include "delivery/transaction.h"

#include <algorithm>

namespace muster::delivery {

Task<Result<std::string_view>> PiecesBody::next() {
    while (next_ < pieces_.size()) {
        const std::string_view piece = pieces_[next_++];
        if (!piece.empty()) co_return piece;
    }
    co_return std::string_view{};
}

std::uint64_t PiecesBody::size() const {
    std::uint64_t sum = 0;
    for (const std::string_view piece : pieces_) sum += piece.size();
    return sum;
}

bool needs_utf8(std::string_view sender, std::span<const Recipient> recipients) {
    const auto is_utf8 = [](std::string_view text) {
        return std::ranges::any_of(text, [](char c) { return (c & 0x80) != 0; });
    };
    return is_utf8(sender) || std::ranges::any_of(recipients, [&](const Recipient& recipient) {
               return is_utf8(recipient.address);
           });
}

std::string RecipientResult::diagnostic() const {
    if (!from_server) return text;
    std::string answer = std::to_string(code);
    if (enhanced.given()) answer += ' ' + enhanced.text();
    return answer + ' ' + text;
}

RecipientResult from_reply(const wire::smtp::Reply& reply) {
    RecipientResult result;
    if (reply.positive()) result.outcome = Outcome::Delivered;
    if (reply.permanent()) result.outcome = Outcome::Refused;
    result.from_server = true;
    result.code = reply.code;
    result.enhanced = reply.enhanced;
    result.text = reply.text;
    return result;
}

RecipientResult own_result(Outcome outcome, std::uint16_t code, wire::smtp::EnhancedStatus enhanced,
                           std::string text) {
    return {outcome, false, false, false, code, enhanced, std::move(text)};
}

}  // namespace muster::delivery
