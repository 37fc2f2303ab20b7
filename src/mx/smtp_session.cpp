#include "mx/smtp_session.h"

#include <algorithm>

#include "base/log.h"
#include "mx/answers.h"
#include "mx/mail_service.h"
#include "net/yield.h"
#include "wire/ascii.h"

namespace muster::mx {

using wire::smtp::Refusal;

namespace {

constexpr unsigned kCommandsATurn = 32;  ///< then other sessions have theirs
constexpr std::size_t kAnswersTogether = std::size_t{16} << 10;  ///< then they are sent
/// Since the last message that was taken. Clients that look whether a connection still works need
/// a few; who sends no mail at all keeps a connection from those who do.
constexpr unsigned kFruitlessCommands = 100;

constexpr Refusal kUnknownCommand{500, "5.5.2", "Unknown command"};
constexpr Refusal kLineTooLong{500, "5.5.2", "The line is too long, or no text"};
constexpr Refusal kTooOften{450, "4.7.1", "Too many messages from your address; try again later"};
constexpr Refusal kTooManyErrors{421, "4.7.0", "Too many errors"};
constexpr Refusal kBareLineEnd{521, "5.5.2", "Lines end with CRLF"};

}  // namespace

const std::array<SmtpSession::Verb, 15> SmtpSession::kVerbs{{
    {"RCPT", &SmtpSession::rcpt, After::Mail, true},
    {"MAIL", &SmtpSession::mail, After::Hello, true},
    {"DATA", &SmtpSession::data, After::Recipient, true},
    {"BDAT", &SmtpSession::bdat, After::Anything, true},  // its chunk is on its way all the same
    {"EHLO", &SmtpSession::ehlo, After::Anything},
    {"HELO", &SmtpSession::helo, After::Anything},
    {"QUIT", &SmtpSession::quit, After::Anything},
    {"RSET", &SmtpSession::rset, After::Anything},
    {"NOOP", &SmtpSession::noop, After::Anything},
    {"STARTTLS", &SmtpSession::starttls, After::Hello},
    {"AUTH", &SmtpSession::auth, After::Hello},
    {"XCLIENT", &SmtpSession::xclient, After::Anything},
    {"VRFY", &SmtpSession::vrfy, After::Anything},
    {"EXPN", &SmtpSession::expn, After::Anything},
    {"HELP", &SmtpSession::help, After::Anything},
}};

SmtpSession::SmtpSession(MailService& service, const frontend::ListenerSettings& listener,
                         net::SocketStream& client, frontend::Peer& peer)
    : ClientSession(service.worker(), listener, client, peer),
      service_(service),
      changeable_peer_(peer),
      may_introduce_(any_contains(service.settings().xclient_from, peer.client.address)),
      connected_(peer.client) {}

SmtpSession::~SmtpSession() {
    for (const Unheard& each : unheard_) {
        service_.shared().results.remember(each.message, each.targets);
    }
    service_.refusal_log().tell(refusals_, peer_.session, peer_.client, helo_);
}

void SmtpSession::reply(int code, std::string_view enhanced, std::string_view text) {
    wire::smtp::append_reply(out_, code, enhanced, text);
}

void SmtpSession::reply(const Refusal& refusal) { wire::smtp::append_reply(out_, refusal); }

void SmtpSession::complain(const Refusal& refusal) {
    ++mistakes_;
    reply(refusal);
}

Task<void> SmtpSession::flush() {
    if (unknown_ != 0) co_await slow_down_guessing();
    if (out_.empty()) co_return;
    client_.descriptor().throw_if_ended();  // then it goes before the farewell
    // What was written in part is not written again.
    std::string text = std::exchange(out_, {});
    co_await client_.write(text);
    for (Unheard& each : unheard_) {
        if (each.told_at == kUntold) each.told_at = reader_.received();
    }
    text.clear();
    if (text.capacity() <= 4 * kAnswersTogether) out_ = std::move(text);
}

void SmtpSession::expect_line() {
    if (transaction_) return expect_more(intake_ ? intake_->size() : 0);
    net::Duration wait = service_.settings().idle;
    if (submits() && !is_trusted_to_relay()) {
        const auto left = began_ + host_.limits().login_time - net::Clock::now();
        wait = std::clamp(std::chrono::ceil<net::Duration>(left), net::Duration{0}, wait);
    }
    client_.expire_after(wait);
}

void SmtpSession::note_line(std::uint64_t octets) {
    std::erase_if(unheard_, [octets](const Unheard& each) { return each.told_at <= octets; });
}

/// Answers of one packet are delayed together: it is the rate that counts.
Task<void> SmtpSession::slow_down_guessing() {
    const std::uint32_t unknown = std::exchange(unknown_, 0);
    service_.counters().unknown.add(unknown);
    const bool too_many = service_.shared().rates.note_unknown(peer_.client.address, unknown);
    if (!too_many || service_.settings().tarpit.count() == 0 || is_trusted_to_relay()) co_return;
    refusals_.slow_down();
    co_await net::Sleep(service_.worker().loop(), service_.settings().tarpit);
    client_.descriptor().throw_if_ended();
}

Task<void> SmtpSession::greet() {
    reply(220, {}, service_.settings().host_name + " ESMTP");
    co_await flush();
}

Task<void> SmtpSession::serve() {
    look_up_client();
    for (;;) {
        if (!reader_.has_line()) {
            co_await flush();
            expect_line();
        }
        const std::uint64_t begins = reader_.received() - reader_.waiting();
        const auto line = co_await reader_.line(wire::smtp::kMaxAuthLine);
        if (!line) co_return;
        note_line(begins);
        if (host_.draining() && !in_message_) {
            throw net::ConversationOver(net::EndReason::Draining);
        }
        Next next = Next::Leave;
        if (line->bare_lf && minds_bare_line_ends()) {
            co_return co_await end_with(kBareLineEnd);
        }
        if (line->fault == net::LineFault::None) {
            next = co_await obey(line->text);
        } else {
            reply(kLineTooLong);
        }
        if (mistakes_ > service_.settings().errors || fruitless_ > kFruitlessCommands) {
            co_return co_await end_with(kTooManyErrors);
        }
        if (next == Next::Leave) co_return co_await flush();
        if (host_.draining() && !in_message_) {  // a message that ended only now
            co_await flush();
            throw net::ConversationOver(net::EndReason::Draining);
        }
        if (out_.size() > kAnswersTogether) co_await flush();
        if (++commands_ % kCommandsATurn == 0) co_await net::Yield(service_.worker().loop());
    }
}

/// What ends its lines so at port 25 is broken, or wants to be taken for two ("SMTP smuggling").
/// People who try a session by hand do it from listed addresses, or where clients send.
bool SmtpSession::minds_bare_line_ends() const {
    return !submits() && !may_introduce_ && !is_trusted_to_relay();
}

Task<void> SmtpSession::end_with(Refusal why) {
    reply(why);
    log::info("smtp-sent-away",
              {{"session", peer_.session}, {"client", peer_.client.text()}, {"reason", why.text}});
    co_await flush();
}

bool SmtpSession::may_come(After after) {
    switch (after) {
        case After::Anything: return true;
        case After::Hello: return !helo_.empty();
        case After::Mail: return transaction_.has_value();
        case After::Recipient: return transaction_ && !transaction_->recipients.empty();
    }
    return false;
}

Task<SmtpSession::Next> SmtpSession::obey(std::string_view line) {
    const auto command = wire::smtp::parse_command(line);
    if (!command) {
        complain(command.error());
        co_return Next::Go;
    }
    if (line.size() > wire::smtp::kMaxLine && !wire::equal_folded(command->verb, "AUTH")) {
        complain(kLineTooLong);
        co_return Next::Go;
    }
    for (const Verb& verb : kVerbs) {
        if (!wire::equal_folded(command->verb, verb.name)) continue;
        if (!verb.leads_on) ++fruitless_;
        if (!may_come(verb.after)) {
            complain(kOutOfOrder);
            co_return Next::Go;
        }
        co_return co_await (this->*verb.run)(command->rest);
    }
    complain(kUnknownCommand);
    co_return Next::Go;
}

void SmtpSession::reset() {
    transaction_.reset();
    intake_.reset();
    in_message_ = false;
}

void SmtpSession::start_hello(std::string_view rest, bool extended) {
    reset();
    helo_ = wire::smtp::parse_helo_name(rest).text;
    if (helo_.empty()) helo_ = "?";
    extended_ = extended;
}

Task<SmtpSession::Next> SmtpSession::helo(std::string_view rest) {
    start_hello(rest, false);
    reply(250, {}, service_.settings().host_name);
    co_return Next::Go;
}

Task<SmtpSession::Next> SmtpSession::ehlo(std::string_view rest) {
    start_hello(rest, true);
    std::string text = service_.settings().host_name;
    text += "\nPIPELINING\nSIZE " + std::to_string(service_.settings().message_bytes);
    text += "\n8BITMIME\nSMTPUTF8\nDSN\nENHANCEDSTATUSCODES\nCHUNKING";
    text += "\nLIMITS RCPTMAX=" + std::to_string(service_.settings().recipients);
    if (can_start_tls()) text += "\nSTARTTLS";
    if (submits() && passwords_allowed() && login_.empty()) text += "\nAUTH " + mechanisms();
    if (may_introduce_) {
        text += "\nXCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT";
    }
    reply(250, {}, text);
    co_return Next::Go;
}

Task<SmtpSession::Next> SmtpSession::mail(std::string_view rest) {
    if (transaction_) {
        complain(kOutOfOrder);
        co_return Next::Go;
    }
    auto mail = wire::smtp::parse_mail(rest);
    if (!mail) {
        complain(mail.error());
        co_return Next::Go;
    }
    if (const auto refusal = judge_sender(mail->path)) {
        complain(*refusal);
        co_return Next::Go;
    }
    if (!may_send_now()) {
        ++fruitless_;
        reply(kTooOften);
        co_return Next::Go;
    }
    const std::uint64_t size = mail->size.value_or(0);
    if (size > service_.settings().message_bytes) {
        ++fruitless_;
        reply(kTooLarge);
        co_return Next::Go;
    }
    if (const auto* spool = service_.shared().spool; spool != nullptr && !spool->accepts(size)) {
        ++fruitless_;
        reply(kNoRoom);
        co_return Next::Go;
    }
    transaction_.emplace(MailTransaction{std::move(*mail)});
    told_ = {};
    message_began_ = net::Clock::now();
    reply(250, "2.1.0", "Ok");
    co_return Next::Go;
}

Task<SmtpSession::Next> SmtpSession::rcpt(std::string_view rest) {
    if (in_message_) {  // begun with BDAT
        complain(kOutOfOrder);
        co_return Next::Go;
    }
    auto recipient = wire::smtp::parse_rcpt(rest, {.smtputf8 = transaction_->mail.smtputf8});
    if (!recipient) {
        complain(recipient.error());
        co_return Next::Go;
    }
    if (const auto refusal = judge_recipient(*recipient)) {
        reply(*refusal);
        refusals_.add(refusals_.count() == 0 ? recipient->path.text() : std::string(), *refusal);
    } else {
        reply(250, "2.1.5", "Ok");
    }
    co_return Next::Go;
}

Task<SmtpSession::Next> SmtpSession::rset(std::string_view) {
    reset();
    reply(250, "2.0.0", "Ok");
    co_return Next::Go;
}

Task<SmtpSession::Next> SmtpSession::noop(std::string_view) {
    reply(250, "2.0.0", "Ok");
    co_return Next::Go;
}

Task<SmtpSession::Next> SmtpSession::vrfy(std::string_view) {
    reply(252, "2.5.0", "Send some mail, and we shall see");
    co_return Next::Go;
}

Task<SmtpSession::Next> SmtpSession::expn(std::string_view) {
    complain({502, "5.5.1", "Lists are not told"});
    co_return Next::Go;
}

Task<SmtpSession::Next> SmtpSession::help(std::string_view) {
    reply(214, "2.0.0", "See RFC 5321");
    co_return Next::Go;
}

Task<SmtpSession::Next> SmtpSession::starttls(std::string_view rest) {
    if (!rest.empty()) {
        complain({501, "5.5.4", "STARTTLS takes no arguments"});
        co_return Next::Go;
    }
    if (!can_start_tls()) {
        complain({502, "5.5.1", "TLS is not available here"});
        co_return Next::Go;
    }
    reply(220, "2.0.0", "Begin TLS negotiation now");
    co_await flush();
    // Everything that was learnt before is forgotten (RFC 3207, 4.2).
    reset();
    login_.clear();
    forget_introduction();
    helo_.clear();
    co_return co_await start_tls() ? Next::Go : Next::Leave;
}

Task<SmtpSession::Next> SmtpSession::quit(std::string_view) {
    reply(221, "2.0.0", "Bye");
    co_return Next::Leave;
}

std::string SmtpSession::welcome(const frontend::Login&, std::string_view) const {
    return "235 2.7.0 Authentication succeeded\r\n";
}

std::string SmtpSession::refusal(const frontend::Login&, const Error& error) const {
    switch (error.kind) {
        case ErrorKind::Syntax: return "501 5.5.4 " + error.public_text + "\r\n";
        case ErrorKind::Refused:
            return error.detail == "privacy-required" ? "538 5.7.11 Use TLS first\r\n"
                                                      : "535 5.7.8 Authentication failed\r\n";
        case ErrorKind::Limit: return "454 4.7.0 " + error.public_text + "\r\n";
        default: return "454 4.7.0 Temporarily unavailable\r\n";
    }
}

std::string SmtpSession::farewell(net::EndReason reason) const {
    const std::string& host = service_.settings().host_name;
    switch (reason) {
        case net::EndReason::Deadline: return "421 4.4.2 " + host + " You took too long\r\n";
        case net::EndReason::Draining: return "421 4.3.2 " + host + " Going away\r\n";
        default: return {};
    }
}

std::string SmtpSession::turned_away(std::string_view text) const {
    return "421 4.7.0 " + service_.settings().host_name + ' ' + std::string(text) + "\r\n";
}

}  // namespace muster::mx
