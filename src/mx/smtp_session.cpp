#include "mx/smtp_session.h"

#include <algorithm>

#include "base/log.h"
#include "mx/mail_service.h"
#include "net/yield.h"
#include "wire/ascii.h"
#include "wire/authentication_results.h"
#include "wire/message.h"

namespace muster::mx {

using wire::smtp::Refusal;

namespace {

constexpr unsigned kCommandsATurn = 32;  ///< then other sessions have theirs
constexpr std::uint64_t kBytesASecond = 1024;
constexpr std::size_t kDataChunk = std::size_t{16} << 10;

constexpr Refusal kUnknownCommand{500, "5.5.2", "Unknown command"};
constexpr Refusal kOutOfOrder{503, "5.5.1", "Not now: commands out of order"};
constexpr Refusal kLineTooLong{500, "5.5.2", "The line is too long, or no text"};
constexpr Refusal kTooLarge{552, "5.3.4", "The message is larger than is taken here"};
constexpr Refusal kTooOften{450, "4.7.1", "Too many messages from your address; try again later"};
constexpr Refusal kTooManyErrors{421, "4.7.0", "Too many errors"};
constexpr Refusal kBareLineEnd{521, "5.5.2", "Lines end with CRLF"};
constexpr Refusal kNoRoom{452, "4.3.1", "No room to take the message now"};

}  // namespace

const std::array<SmtpSession::Verb, 15> SmtpSession::kVerbs{{
    {"RCPT", &SmtpSession::rcpt, After::Mail},
    {"MAIL", &SmtpSession::mail, After::Hello},
    {"DATA", &SmtpSession::data, After::Recipient},
    {"BDAT", &SmtpSession::bdat, After::Anything},  // its chunk is on its way all the same
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
      may_introduce_(any_contains(service.settings().xclient_from, peer.client.address)) {}

SmtpSession::~SmtpSession() {
    if (unheard_) service_.shared().results.remember(unheard_->message, unheard_->targets);
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
    co_await client_.write(out_);
    out_.clear();
    if (out_.capacity() > 4 * kDataChunk) out_ = std::string();
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

void SmtpSession::look_up_client() {
    client_name_ = {};
    looking_up_.reset();
    const IpAddress& client = peer_.client.address;
    const bool is_listed = any_contains(service_.settings().xclient_from, client);
    const bool is_stranger = !submits() && !client.is_loopback() && !client.is_unspecified() &&
                             !is_listed && !is_trusted_to_relay();
    if (is_stranger && service_.settings().client_names) {
        looking_up_ = service_.client_names().find(client);
    }
}

Task<void> SmtpSession::learn_client_name() {
    if (!looking_up_) co_return;
    client_name_ = co_await service_.client_names().result(std::exchange(looking_up_, {}));
    client_.descriptor().throw_if_ended();
    log::info("client-name", {{"session", peer_.session},
                              {"client", peer_.client.text()},
                              {"name", client_name_.name},
                              {"iprev", iprev(client_name_.state)}});
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
            client_.expire_after(service_.settings().idle);
        }
        const auto line = co_await reader_.line(wire::smtp::kMaxAuthLine);
        if (!line) co_return;
        // A line that was on its way before the answer says nothing of it.
        if (sent_ahead_ > 0) {
            --sent_ahead_;
        } else {
            unheard_.reset();
        }
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
        if (mistakes_ > service_.settings().errors) {
            co_return co_await end_with(kTooManyErrors);
        }
        if (next == Next::Leave) co_return co_await flush();
        if (host_.draining() && !in_message_) {  // a message that ended only now
            co_await flush();
            throw net::ConversationOver(net::EndReason::Draining);
        }
        if (out_.size() > kDataChunk) co_await flush();
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
    for (const Verb& verb : kVerbs) {
        if (!wire::equal_folded(command->verb, verb.name)) continue;
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
        reply(kTooOften);
        co_return Next::Go;
    }
    const std::uint64_t size = mail->size.value_or(0);
    if (size > service_.settings().message_bytes) {
        reply(kTooLarge);
        co_return Next::Go;
    }
    if (const auto* spool = service_.shared().spool; spool != nullptr && !spool->accepts(size)) {
        reply(kNoRoom);
        co_return Next::Go;
    }
    transaction_.emplace(MailTransaction{std::move(*mail)});
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
    // Who may relay is ours, or speaks for others who are not.
    const bool believed = may_introduce_ || (login_.empty() && is_trusted_to_relay());
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

/// An octet now and then would else keep a message, and its memory, for ever.
void SmtpSession::expect_more(std::uint64_t received) {
    const std::chrono::seconds earned(received / kBytesASecond);
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
        co_await learn_client_name();
        begin_intake();
    }
    if (!wanted) message_began_ = net::Clock::now();
    std::uint64_t left = chunk->size;
    while (left != 0) {
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
                             .size = intake_->size()};
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
    sent_ahead_ = reader_.has_more() ? 1 : 0;
    if (answer.code == 250) {
        unheard_ = Unheard{std::move(message.identity), taken_targets(*transaction_, true)};
    }
    reset();
    reply(answer.code, answer.enhanced, answer.text);
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
    helo_.clear();
    login_.clear();
    co_return co_await start_tls() ? Next::Go : Next::Leave;
}

Task<SmtpSession::Next> SmtpSession::xclient(std::string_view rest) {
    if (transaction_ || !may_introduce_) {
        complain({550, "5.7.0", "Not from you, or not now"});
        co_return Next::Go;
    }
    const auto facts = wire::smtp::parse_xclient(rest);
    if (!facts) {
        complain(facts.error());
        co_return Next::Go;
    }
    // What is said to be unknown is nobody's: not the client's before.
    const bool is_another = facts->address.said != wire::smtp::Said::Nothing;
    if (is_another || facts->login.said != wire::smtp::Said::Nothing) login_.clear();
    if (facts->login.given()) login_ = account_of(facts->login.value);
    if (facts->address.said != wire::smtp::Said::Nothing) changeable_peer_.client = {};
    if (facts->address.given()) changeable_peer_.client.address = facts->address.value;
    if (facts->port.given()) changeable_peer_.client.port = facts->port.value;
    take_client_name(*facts);
    reset();
    helo_.clear();
    if (facts->helo.given()) helo_ = facts->helo.value;
    co_await greet();
    co_return Next::Go;
}

/// The account that has the name; empty when nobody has it, or may not log in now.
std::string SmtpSession::account_of(const std::string& name) {
    const std::string tls_name = client_.tls_server_name();
    const auto located = service_.worker().directory().locate(name, context(tls_name));
    if (!located || !located->known || located->disabled) {
        log::info("xclient-login-unknown", {{"session", peer_.session}, {"user", name}});
        return {};
    }
    return located->address.text;
}

/// A name is looked up here where the peer says nothing of it.
void SmtpSession::take_client_name(const wire::smtp::Xclient& facts) {
    using State = ClientName::State;
    if (facts.name.said == wire::smtp::Said::Nothing) {
        if (facts.address.given()) look_up_client();
        return;
    }
    looking_up_.reset();
    const bool is_late = facts.name.said == wire::smtp::Said::TemporarilyUnavailable;
    client_name_ = {.state = is_late ? State::TempError : State::PermError};
    if (facts.name.given() && is_host_name(facts.name.value)) {
        client_name_ = {.state = State::Pass, .name = facts.name.value};
    }
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
