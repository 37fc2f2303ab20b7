#include "delivery/mail_flight.h"

#include <algorithm>

#include "delivery/smtp_commands.h"
#include "wire/smtp_data.h"

namespace muster::delivery {

using wire::smtp::Reply;

namespace {

// More replies than these might fill the server's sending side while we still write (RFC 2920).
constexpr std::size_t kGroup = 100;
constexpr std::size_t kGroupBytes = std::size_t{16} * 1024;
/// Of one send(): results are not to wait long for being written down.
constexpr unsigned kMostTransactions = 20;
constexpr std::size_t kSlice = std::size_t{16} * 1024;
constexpr std::size_t kBlock = std::size_t{32} * 1024;

bool has_delivered(const TransactionResult& result) {
    return std::ranges::any_of(result.recipients, [](const RecipientResult& one) {
        return one.outcome == Outcome::Delivered;
    });
}

/// "Too many recipients" (RFC 5321, 4.5.3.1.10): the server's, or ours on its behalf.
bool is_too_many(const RecipientResult& result) {
    constexpr std::uint16_t kNotNow = 452;
    const bool says_so =
        result.enhanced == wire::smtp::EnhancedStatus{4, 5, 3} || !result.enhanced.given();
    return result.outcome == Outcome::Deferred && result.code == kNotNow && says_so;
}

/// Recipients that the next transaction is for.
std::vector<std::size_t> left_over(const TransactionResult& result) {
    std::vector<std::size_t> found;
    for (std::size_t i = 0; i < result.recipients.size(); ++i) {
        if (is_too_many(result.recipients[i])) found.push_back(i);
    }
    return found;
}

}  // namespace

Task<TransactionResult> MailUpstream::send(Transaction transaction) {
    until_ = transaction.until;
    Flight flight(*this, transaction);
    auto result = co_await flight.run();
    unsigned made = 1;
    for (bool goes_on = has_delivered(result); goes_on && may_go_on(); ++made) {
        const std::vector<std::size_t> left = left_over(result);
        if (left.empty()) break;
        if (made == kMostTransactions) {
            for (const std::size_t which : left) result.recipients[which].at_once = true;
            break;
        }
        std::vector<Recipient> recipients;
        for (const std::size_t which : left) recipients.push_back(transaction.recipients[which]);
        Transaction rest = transaction;
        rest.recipients = recipients;
        Flight next(*this, rest);
        auto heard = co_await next.run();
        goes_on = has_delivered(heard);
        for (std::size_t i = 0; i < left.size(); ++i) {
            result.recipients[left[i]] = std::move(heard.recipients[i]);
        }
    }
    stream_->expire_never();
    out_.clear();
    if (out_.capacity() > kSlice) out_.shrink_to_fit();
    co_return result;
}

MailUpstream::Flight::Flight(MailUpstream& upstream, Transaction transaction)
    : up_(upstream), transaction_(transaction) {
    result_.recipients.resize(transaction.recipients.size());
    result_.reached = true;
}

Task<TransactionResult> MailUpstream::Flight::run() {
    if (!check()) co_return std::move(result_);
    if (!up_.usable_ || !up_.fits(transaction_.client)) {
        up_.loss_ = Loss::Closed;
        lose("the connection is not usable");
        result_.stale = true;
        co_return std::move(result_);
    }
    if (co_await envelope()) co_await message();
    co_return std::move(result_);
}

bool MailUpstream::Flight::check() {
    if (net::Clock::now() >= transaction_.until) {
        conclude(own_result(Outcome::Deferred, 451, {4, 4, 7}, "no time is left"));
        return false;
    }
    if (auto whole = check_message(); whole.code != 0) {
        conclude(whole);
        return false;
    }
    std::size_t sent = 0;
    for (std::size_t i = 0; i < result_.recipients.size(); ++i) {
        result_.recipients[i] = check_recipient(i);
        const unsigned most = up_.extensions_.max_recipients;
        if (result_.recipients[i].code != 0 || most == 0 || sent++ < most) continue;
        result_.recipients[i] = own_result(Outcome::Deferred, 452, {4, 5, 3},
                                           "the server takes no more recipients at once");
    }
    return std::ranges::any_of(result_.recipients, [](const auto& one) { return one.code == 0; });
}

RecipientResult MailUpstream::Flight::check_message() const {
    const auto& server = up_.extensions_;
    if (!is_safe_address(transaction_.sender)) {
        return own_result(Outcome::Refused, 553, {5, 1, 7}, "the sender's address cannot be sent");
    }
    if (transaction_.smtp_utf8 && !server.smtp_utf8) {
        return own_result(Outcome::Refused, 553, {5, 6, 7},
                          "the server does not take internationalised mail (SMTPUTF8)");
    }
    if (server.size_limit != 0 && transaction_.body->size() > server.size_limit) {
        return own_result(Outcome::Refused, 552, {5, 3, 4}, "the server takes no message so large");
    }
    return {};
}

RecipientResult MailUpstream::Flight::check_recipient(std::size_t which) const {
    const std::string_view address = transaction_.recipients[which].address;
    if (!address.empty() && is_safe_address(address)) return {};
    return own_result(Outcome::Refused, 553, {5, 1, 3}, "the address cannot be sent");
}

bool MailUpstream::Flight::introduces_ahead() const {
    return !up_.knows(transaction_.client) && up_.target_->introduce_ahead &&
           up_.extensions_.pipelining;
}

/// MAIL, RCPT and DATA; true when the message may be sent.
Task<bool> MailUpstream::Flight::envelope() {
    if (!up_.knows(transaction_.client) && !introduces_ahead()) {
        auto introduced = co_await up_.introduce(*transaction_.client);
        if (!introduced) {
            lose(introduced.error().detail);
            result_.stale = up_.loss_ != Loss::Deadline;
            co_return false;
        }
    }
    bool last = false;
    while (!last) {
        const Group group = write_group();
        last = group.data;
        const bool written = co_await up_.flush(up_.limits_.command);
        // A server that has gone may have said why.
        const bool read = co_await read_group(group);
        if (read && !written) lose("connection lost");
        if (!read || !written) co_return false;
        if (next_ == result_.recipients.size() && !any_accepted() && !last) co_return false;
    }
    if (!go_ahead_) co_return false;
    if (any_accepted()) co_return true;
    up_.usable_ = false;  // it waits for a message that nobody is to get: never send the dot
    co_return false;
}

MailUpstream::Flight::Group MailUpstream::Flight::write_group() {
    const bool together = up_.extensions_.pipelining;
    Group group;
    if (!mail_sent_) {
        write_opening(group);
        if (!together) return group;
    }
    group.first = next_;
    std::size_t sent = 0;
    for (; next_ < result_.recipients.size(); ++next_) {
        if (sent == (together ? kGroup : 1) || up_.out_.size() > kGroupBytes) break;
        if (result_.recipients[next_].code != 0) continue;
        append_rcpt(up_.out_, transaction_.recipients[next_], up_.extensions_);
        ++sent;
    }
    group.end = next_;
    if (next_ == result_.recipients.size() && (together || sent == 0)) {
        up_.out_ += "DATA\r\n";
        group.data = true;
    }
    return group;
}

void MailUpstream::Flight::write_opening(Group& group) {
    if (std::exchange(up_.needs_reset_, false)) {
        up_.out_ += "RSET\r\n";
        group.reset = true;
        if (!up_.extensions_.pipelining) return;
    }
    if (introduces_ahead()) {
        group.introductions = append_xclient(up_.out_, *transaction_.client, up_.extensions_);
        up_.append_hello(up_.target_->protocol == MailProtocol::Lmtp ? "LHLO" : "EHLO");
        group.hello = true;
    }
    append_mail(up_.out_, transaction_, transaction_.body->size(), up_.extensions_);
    group.mail = mail_sent_ = true;
}

Task<bool> MailUpstream::Flight::read_group(Group group) {
    if (!co_await read_opening(group)) co_return false;
    if (group.mail) {
        const auto reply = co_await answer(up_.limits_.command);
        if (!reply) co_return false;
        if (!reply->positive()) co_return co_await refuse_all(group, from_reply(*reply));
        up_.needs_reset_ = true;
    }
    for (std::size_t i = group.first; i < group.end; ++i) {
        if (result_.recipients[i].code != 0) continue;
        const auto reply = co_await answer(up_.limits_.command);
        if (!reply) co_return false;
        result_.recipients[i] = from_reply(*reply);
    }
    if (!group.data) co_return true;
    const auto reply = co_await answer(up_.limits_.command);
    if (!reply) co_return false;
    go_ahead_ = reply->intermediate();
    if (!go_ahead_) conclude(from_reply(*reply));
    // A 2yz to DATA is of a server that has lost step.
    if (reply->positive()) lose("unexpected answer to DATA");
    co_return true;
}

Task<bool> MailUpstream::Flight::read_opening(Group group) {
    if (group.reset) {
        const auto reply = co_await answer(up_.limits_.command);
        if (!reply) co_return false;
    }
    unsigned taken = 0;
    for (unsigned i = 0; i < group.introductions; ++i) {
        auto reply = co_await answer(up_.limits_.command);
        if (!reply) co_return false;
        if (up_.introduced(std::move(*reply), taken)) continue;
        lose("it did not take the introduction: " + up_.introduction_refusal_);
        result_.stale = true;
        co_return false;
    }
    if (!group.hello) co_return true;
    auto reply = co_await answer(up_.limits_.command);
    if (!reply) co_return false;
    if (taken > 0) up_.told_ = *transaction_.client;
    if (reply->positive()) up_.learn(std::move(*reply));
    co_return true;
}

/// MAIL was refused: the answers to what was written along have to be read.
Task<bool> MailUpstream::Flight::refuse_all(Group group, RecipientResult refusal) {
    std::size_t answers = group.data ? 1 : 0;
    for (std::size_t i = group.first; i < group.end; ++i) {
        if (result_.recipients[i].code == 0) ++answers;
    }
    conclude(refusal);
    for (; answers > 0; --answers) {
        const auto reply = co_await up_.reply(up_.limits_.command);
        if (!reply) break;
        if (reply->intermediate()) up_.usable_ = false;
    }
    co_return false;
}

Task<void> MailUpstream::Flight::message() {
    const auto written = co_await write_body();
    if (!written) {
        // Without its dot the server has no message. The connection cannot be used again.
        up_.usable_ = false;
        conclude(own_result(Outcome::Deferred, 451, {4, 3, 0}, written.error().detail));
        co_return;
    }
    if (!*written) up_.usable_ = false;
    complete_ = *written;
    co_await read_verdicts();
    up_.needs_reset_ = false;
    ++up_.transactions_;
}

Task<Result<bool>> MailUpstream::Flight::write_body() {
    wire::smtp::DotStuffer stuffer;
    BodySource& body = *transaction_.body;
    body.rewind();
    for (;;) {
        const auto piece = co_await body.next();
        if (!piece) co_return std::unexpected(piece.error());
        if (piece->empty()) break;
        for (std::string_view rest = *piece; !rest.empty();) {
            const std::string_view slice = rest.substr(0, kSlice);
            rest.remove_prefix(slice.size());
            stuffer.feed(slice, up_.out_);
            if (up_.out_.size() < kBlock) continue;
            if (!co_await up_.flush(up_.limits_.block)) co_return false;
        }
    }
    stuffer.finish(up_.out_);
    co_return co_await up_.flush(up_.limits_.block);
}

/// One answer for all (SMTP), or one for each accepted recipient in turn (RFC 2033, 4.2).
Task<void> MailUpstream::Flight::read_verdicts() {
    const bool each = up_.target_->protocol == MailProtocol::Lmtp;
    // Of what broke off only an answer that is there already is of interest.
    constexpr net::Duration kAtOnce{1};
    const net::Duration limit = complete_ ? up_.limits_.final : kAtOnce;
    for (std::size_t i = 0; i < result_.recipients.size(); ++i) {
        if (!waits(i)) continue;
        const auto reply = co_await answer(limit, i);
        if (!reply) co_return;
        // Before the dot a server can only have refused; 3yz means that it has lost step.
        if (reply->intermediate() || (reply->positive() && !complete_)) {
            co_return lose("unexpected answer to the message", i);
        }
        if (!each) co_return conclude(from_reply(*reply), i);
        result_.recipients[i] = from_reply(*reply);
    }
}

Task<std::optional<Reply>> MailUpstream::Flight::answer(net::Duration limit, std::size_t from) {
    auto reply = co_await up_.reply(limit);
    if (!reply) {
        lose(reply.error().detail, from);
        result_.stale = !answered_ && up_.loss_ == Loss::Closed;
        co_return std::nullopt;
    }
    constexpr std::uint16_t kClosing = 421;  // RFC 5321, 3.8: it says so at any time, and goes
    if (reply->code == kClosing) {
        up_.usable_ = false;
        farewell_ = *reply;
        if (!answered_) {
            lose({}, from);
            result_.stale = true;
            co_return std::nullopt;
        }
    }
    answered_ = true;
    co_return std::move(*reply);
}

bool MailUpstream::Flight::waits(std::size_t which) const {
    const auto& result = result_.recipients[which];
    return result.code == 0 || result.outcome == Outcome::Delivered;
}

bool MailUpstream::Flight::any_accepted() const {
    return std::ranges::any_of(result_.recipients, [](const RecipientResult& one) {
        return one.outcome == Outcome::Delivered;
    });
}

void MailUpstream::Flight::conclude(const RecipientResult& result, std::size_t from) {
    for (std::size_t i = from; i < result_.recipients.size(); ++i) {
        if (waits(i)) result_.recipients[i] = result;
    }
}

void MailUpstream::Flight::lose(const std::string& why, std::size_t from) {
    up_.usable_ = false;
    const std::uint16_t detail = up_.loss_ == Loss::Deadline ? 1 : 2;  // RFC 3463, 3.5
    auto result = farewell_ ? from_reply(*farewell_)
                            : own_result(Outcome::Deferred, 421, {4, 4, detail},
                                         up_.target_->name + ": " + why);
    result.uncertain = complete_;
    conclude(result, from);
}

}  // namespace muster::delivery
