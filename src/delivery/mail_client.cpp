#include "delivery/mail_client.h"

#include <algorithm>

#include "net/connect.h"

namespace muster::delivery {
namespace {

TransactionResult not_reached(const Transaction& transaction, const MailTarget& target,
                              const Error& error) {
    TransactionResult result;
    result.recipients.assign(
        transaction.recipients.size(),
        own_result(Outcome::Deferred, 451, {4, 4, 1}, target.name + ": " + error.detail));
    return result;
}

net::Duration left(net::Duration limit, net::Clock::time_point until) {
    if (until == net::Clock::time_point::max()) return limit;
    constexpr net::Duration kLeast{1};
    const auto left = std::chrono::ceil<net::Duration>(until - net::Clock::now());
    return std::clamp(left, kLeast, std::max(limit, kLeast));
}

}  // namespace

Task<TransactionResult> MailClient::send(std::shared_ptr<const MailTarget> target,
                                         Transaction transaction) {
    if (auto waiting = cache_.take(target->key, transaction.client)) {
        auto result = co_await waiting->send(transaction);
        cache_.put(std::move(waiting));
        if (!result.stale) co_return result;
    }
    auto made = co_await connect(target, transaction.until);
    if (!made) co_return not_reached(transaction, *target, made.error());
    auto result = co_await (*made)->send(transaction);
    cache_.put(std::move(*made));
    if (result.stale) result.reached = false;
    co_return result;
}

Task<Result<std::unique_ptr<MailUpstream>>> MailClient::connect(
    std::shared_ptr<const MailTarget> target, net::Clock::time_point until) {
    auto opened = co_await open(target, until);
    if (opened.tls_failed && target->tls == MailTls::Opportunistic) {
        auto plain = std::make_shared<MailTarget>(*target);
        plain->tls = MailTls::None;
        opened = co_await open(std::move(plain), until);
    }
    co_return std::move(opened.upstream);
}

Task<MailClient::Opened> MailClient::open(std::shared_ptr<const MailTarget> target,
                                          net::Clock::time_point until) {
    auto stream =
        co_await net::connect(loop_, target->endpoint, target->source, left(limits_.open, until));
    if (!stream) co_return Opened{std::unexpected(stream.error())};
    auto upstream = std::make_unique<MailUpstream>(std::move(*stream), std::move(target), limits_);
    const auto done = co_await upstream->open(until);
    if (!done) co_return Opened{std::unexpected(done.error()), upstream->tls_failed()};
    co_return Opened{std::move(upstream)};
}

}  // namespace muster::delivery
