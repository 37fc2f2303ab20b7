// A message of an SMTP session: what follows DATA and BDAT, what is written above it, its answer.
#include <algorithm>

#include "base/log.h"
#include "mx/answers.h"
#include "mx/mail_service.h"
#include "mx/smtp_session.h"
#include "wire/authentication_results.h"
#include "wire/message.h"

namespace muster::mx {

using wire::smtp::Refusal;

namespace {

constexpr std::uint64_t kBytesASecond = 1024;
constexpr std::chrono::hours kMostEarned{2};
/// Read, in sizes of the largest message taken, so that its client hears why it is refused.
constexpr std::uint64_t kReadToTheEnd = 2;
constexpr std::size_t kDataChunk = std::size_t{16} << 10;

}  // namespace

Trace SmtpSession::trace() {
    const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    id_ = service_.new_id();
    const auto& recipients = transaction_->recipients;
    const std::string only =
        recipients.size() == 1 ? recipients.front().given.path.text() : std::string();
    Trace trace;
    const std::string tls = client_.tls_description();
    trace.received = wire::write_received({.helo = helo_,
                                           .client_name = client_name_.name,
                                           .client = peer_.client.address,
                                           .host = service_.settings().host_name,
                                           .with = {.extended = extended_,
                                                    .tls = client_.encrypted(),
                                                    .authenticated = !login_.empty(),
                                                    .utf8 = transaction_->mail.smtputf8},
                                           .tls = tls,
                                           .id = id_.view(),
                                           .for_address = only,
                                           .time = now});
    trace.authentication = authentication_results();
    // Who may relay is ours; who may introduce others is as long as it speaks for itself.
    const bool believed =
        login_.empty() && (is_trusted_to_relay() || (may_introduce_ && !introduced_));
    if (!believed) trace.own_results = service_.settings().authserv_id;
    trace.complete = submits() || !login_.empty();
    if (trace.complete) {
        trace.date = wire::format_date(now);
        trace.message_id = wire::write_message_id(now, id_.view(), service_.settings().host_name);
    }
    return trace;
}

void SmtpSession::begin_intake() {
    in_message_ = true;
    message_began_ = net::Clock::now();
    intake_.emplace(service_.new_body(), service_.settings(), trace());
}

bool SmtpSession::is_hopeless(std::uint64_t size) const {
    return size > kReadToTheEnd * service_.settings().message_bytes;
}

/// An octet now and then would else keep a message, and its memory, for ever.
void SmtpSession::expect_more(std::uint64_t received) {
    const auto earned =
        std::min<std::chrono::seconds>(std::chrono::seconds(received / kBytesASecond), kMostEarned);
    const auto until = message_began_ + service_.settings().message + earned;
    const auto left = std::chrono::ceil<net::Duration>(until - net::Clock::now());
    if (left.count() <= 0) throw net::ConversationOver(net::EndReason::Deadline);
    client_.expire_after(std::min(service_.settings().idle, left));
}

/// Who logged in is told within the cluster alone: it may be another name than the sender's.
std::string SmtpSession::authentication_results() const {
    const bool leaves = std::ranges::any_of(
        transaction_->targets, [](const Target& target) { return target.home.empty(); });
    return wire::write_authentication_results(
        {.authserv_id = service_.settings().authserv_id,
         .iprev = iprev(client_name_.state),
         .client = peer_.client.address,
         .client_name = client_name_.name,
         .authenticated = !login_.empty(),
         .login = leaves ? std::string_view() : std::string_view(login_)});
}

Task<SmtpSession::Next> SmtpSession::data(std::string_view) {
    if (in_message_) {  // begun with BDAT
        complain(kOutOfOrder);
        co_return Next::Go;
    }
    reply(354, {}, "Go ahead, end with a dot on a line of its own");
    co_await flush();
    co_await learn_client_name();
    begin_intake();
    while (!intake_->done()) {
        expect_more(intake_->size());
        const std::string_view chunk = co_await reader_.some(kDataChunk);
        if (chunk.empty()) co_return Next::Leave;
        reader_.consume(intake_->feed_data(chunk));
        if (is_hopeless(intake_->size())) {
            co_await end_with(kTooLarge);
            co_return Next::Leave;
        }
    }
    co_await end_message();
    co_return Next::Go;
}

Task<SmtpSession::Next> SmtpSession::bdat(std::string_view rest) {
    const auto chunk = wire::smtp::parse_bdat(rest);
    if (!chunk) {
        reply(chunk.error());
        co_return Next::Leave;  // nobody knows where the next command begins
    }
    // Out of order or without a recipient it is read all the same (RFC 3030, 2): it would else be
    // taken for commands.
    const bool wanted = transaction_ && !transaction_->recipients.empty();
    if (wanted && !in_message_) {
        if (looking_up_) co_await flush();
        co_await learn_client_name();
        begin_intake();
    }
    if (!wanted) message_began_ = net::Clock::now();
    const std::uint64_t before = wanted ? intake_->size() : 0;
    if (is_hopeless(chunk->size) || is_hopeless(before + chunk->size)) {
        co_await end_with(kTooLarge);
        co_return Next::Leave;
    }
    expect_more(before);
    std::uint64_t left = chunk->size;
    while (left != 0) {
        // The client may wait for what it was not sent yet before it goes on.
        if (!out_.empty() && !reader_.has_more()) co_await flush();
        expect_more(wanted ? intake_->size() : chunk->size - left);
        const std::string_view piece = co_await reader_.some(kDataChunk);
        if (piece.empty()) co_return Next::Leave;
        const std::size_t taken = std::min<std::uint64_t>(left, piece.size());
        if (wanted) intake_->feed_chunk(piece.substr(0, taken));
        reader_.consume(taken);
        left -= taken;
    }
    if (!wanted) {
        complain(kOutOfOrder);
        co_return Next::Go;
    }
    if (chunk->last) {
        co_await end_message();
    } else if (intake_->refusal()) {
        const Refusal refusal = *intake_->refusal();
        reset();
        reply(refusal);
    } else {
        reply(250, "2.0.0", "Ok");
    }
    co_return Next::Go;
}

delivery::ClientFacts SmtpSession::client_facts() const {
    return {.client = peer_.client,
            .name = client_name_.name,
            .no_name_yet = client_name_.state == ClientName::State::TempError,
            .helo = helo_,
            .login = login_,
            .session = peer_.session.text,
            .esmtp = extended_};
}

MessageIdentity SmtpSession::identity_of_message() const {
    MessageIdentity identity{.client = peer_.client.address,
                             .sender = transaction_->mail.path.text(),
                             .message_id = intake_->message_id(),
                             .size = intake_->size(),
                             .checksum = intake_->checksum()};
    for (const Recipient& each : transaction_->recipients) {
        identity.recipients.push_back(each.given.path.text());
    }
    return identity;
}

Task<void> SmtpSession::end_message() {
    auto content = intake_->finish();
    if (!content) {
        const Refusal refusal = content.error();
        log::info("mail-refused", {{"session", peer_.session},
                                   {"client", peer_.client.text()},
                                   {"from", transaction_->mail.path.text()},
                                   {"reason", refusal.text}});
        reset();
        reply(refusal);
        co_return;
    }
    Message message{.transaction = *transaction_,
                    .content = std::move(*content),
                    .id = id_,
                    .client = client_facts(),
                    .route_class = submits() ? "submission" : "mx",
                    .identity = identity_of_message(),
                    .iprev = iprev(client_name_.state)};
    client_.expire_never();  // each server has a deadline of its own
    const Answer answer = co_await service_.in_line().deliver(message);
    client_.expire_after(service_.settings().idle);
    if (answer.code == 250) {
        fruitless_ = 0;
        unheard_.push_back({std::move(message.identity), taken_targets(*transaction_, true)});
    }
    reset();
    reply(answer.code, answer.enhanced, answer.text);
}

}  // namespace muster::mx
