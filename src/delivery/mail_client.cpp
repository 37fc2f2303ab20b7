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
    auto waiting = ended_ ? nullptr : cache_.take(target->key, transaction.client);
    if (waiting) {
        auto result = co_await send_over(*waiting, transaction);
        cache_.put(std::move(waiting));
        if (!result.stale) co_return result;
    }
    auto made = co_await connect(target, transaction.until, transaction.client);
    if (!made) co_return not_reached(transaction, *target, made.error());
    auto result = co_await send_over(**made, transaction);
    cache_.put(std::move(*made));
    if (result.stale) result.reached = false;
    co_return result;
}

// send() holds the upstream meanwhile.
// NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters)
Task<TransactionResult> MailClient::send_over(MailUpstream& upstream, Transaction transaction) {
    const net::StreamSet::Member busy(&busy_, upstream.stream());
    co_return co_await upstream.send(transaction);
}

void MailClient::give_up() {
    ended_ = true;
    busy_.abort(net::EndReason::Draining);
}

Task<Result<std::unique_ptr<MailUpstream>>> MailClient::connect(
    std::shared_ptr<const MailTarget> target, net::Clock::time_point until,
    const ClientFacts* client) {
    auto opened = co_await open(target, until, client);
    if (opened.tls_failed && target->tls == MailTls::Opportunistic) {
        auto plain = std::make_shared<MailTarget>(*target);
        plain->tls = MailTls::None;
        opened = co_await open(std::move(plain), until, client);
    }
    co_return std::move(opened.upstream);
}

Task<MailClient::Opened> MailClient::open(std::shared_ptr<const MailTarget> target,
                                          net::Clock::time_point until, const ClientFacts* client) {
    if (ended_) {
        co_return Opened{fail(ErrorKind::Unavailable, "unavailable", "this node is stopping")};
    }
    auto stream = co_await net::connect(loop_, target->endpoint, target->source,
                                        left(limits_.open, until), &busy_);
    if (!stream) co_return Opened{std::unexpected(stream.error())};
    auto upstream = std::make_unique<MailUpstream>(std::move(*stream), std::move(target), limits_);
    const net::StreamSet::Member busy(&busy_, upstream->stream());
    const auto done = co_await upstream->open(until, client);
    if (!done) co_return Opened{std::unexpected(done.error()), upstream->tls_failed()};
    co_return Opened{std::move(upstream)};
}

}  // namespace muster::delivery
