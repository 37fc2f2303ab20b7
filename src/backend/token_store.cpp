#include "backend/token_store.h"

#include "base/seal.h"

namespace muster::backend {
namespace {

constexpr std::size_t kIdCharacters = 24;      // 120 bits: nobody can use up another's token
constexpr std::size_t kSecretCharacters = 32;  // 160 bits

}  // namespace

Result<Token> TokenStore::issue(const AccountId& account, std::string_view service,
                                Clock::time_point now) {
    if (waiting_.size() >= kMost) forget_expired(now);
    if (waiting_.size() >= kMost) return fail(ErrorKind::Limit, "too many tokens wait");
    Token token{random_name(kIdCharacters), random_name(kSecretCharacters)};
    waiting_.emplace(token.id,
                     Waiting{account, std::string(service), token.secret, now + kLifetime});
    return token;
}

std::optional<std::string> TokenStore::take(std::string_view id, std::string_view service,
                                            const AccountId& account, Clock::time_point now) {
    auto node = waiting_.extract(std::string(id));
    if (node.empty()) return std::nullopt;
    Waiting& found = node.mapped();
    if (found.account != account || found.service != service || now > found.until)
        return std::nullopt;
    return std::move(found.secret);
}

void TokenStore::forget_expired(Clock::time_point now) {
    std::erase_if(waiting_, [now](const auto& item) { return now > item.second.until; });
}

}  // namespace muster::backend
