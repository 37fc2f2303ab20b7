#include "delivery/mail_upstream.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/base64.h"
#include "delivery/smtp_commands.h"
#include "wire/proxy_protocol.h"
#include "wire/sasl.h"

namespace muster::delivery {

using wire::smtp::Reply;

namespace {

std::unexpected<Error> unavailable(std::string detail) {
    return fail(ErrorKind::Unavailable, "unavailable", std::move(detail));
}

}  // namespace

MailUpstream::MailUpstream(std::unique_ptr<net::SocketStream> stream,
                           std::shared_ptr<const MailTarget> target, PhaseLimits limits)
    : stream_(std::move(stream)), reader_(*stream_), target_(std::move(target)), limits_(limits) {}

Task<Result<>> MailUpstream::open(net::Clock::time_point until, const ClientFacts* client) {
    until_ = until;
    if (client != nullptr) proxied_ = client->client;
    auto opened = co_await open_within();
    usable_ = opened.has_value();
    stream_->expire_never();
    co_return opened;
}

Task<Result<>> MailUpstream::open_within() {
    if (target_->proxy && !co_await write_proxy_header()) {
        co_return unavailable("it closed the connection");
    }
    if (target_->tls == MailTls::Implicit) {
        if (auto done = co_await secure(); !done) co_return done;
    }
    if (auto greeted = co_await greet(); !greeted) co_return greeted;
    if (auto done = co_await say_hello(); !done) co_return done;
    if (auto done = co_await start_tls(); !done) co_return done;
    if (!target_->login) co_return Result<>{};
    co_return co_await log_in();
}

Task<bool> MailUpstream::write_proxy_header() {
    namespace proxy = wire::proxy_protocol;
    out_ = proxied_ ? proxy::write_v2(*proxied_, {proxied_->address, target_->endpoint.port})
                    : proxy::write_v2_local();
    co_return co_await flush(limits_.open);
}

Task<Result<>> MailUpstream::greet() {
    auto greeting = co_await reply(limits_.open);
    if (!greeting) co_return std::unexpected(greeting.error());
    constexpr std::uint16_t kReady = 220;
    if (greeting->code != kReady) co_return std::unexpected(refused(std::move(*greeting)));
    greeting_name_ = greeting->text.substr(0, greeting->text.find_first_of(" \n"));
    co_return Result<>{};
}

void MailUpstream::append_hello(std::string_view verb) {
    out_.append(verb).append(" ").append(target_->helo).append("\r\n");
}

Task<Result<>> MailUpstream::say_hello() {
    const bool lmtp = target_->protocol == MailProtocol::Lmtp;
    append_hello(lmtp ? "LHLO" : "EHLO");
    if (!co_await flush(limits_.open)) co_return unavailable("it closed the connection");
    auto answer = co_await reply(limits_.open);
    if (!answer) co_return std::unexpected(answer.error());
    const bool old = answer->permanent() && !lmtp && target_->tls != MailTls::Required;
    if (old) {  // RFC 5321, 3.2: a server that knows only HELO
        append_hello("HELO");
        co_return co_await command(250);
    }
    if (!answer->positive()) co_return std::unexpected(refused(std::move(*answer)));
    learn(std::move(*answer));
    co_return Result<>{};
}

void MailUpstream::learn(Reply hello) {
    if (hello.text == hello_ && !hello_.empty()) return;
    extensions_ = wire::smtp::ServerExtensions::from(hello);
    hello_ = std::move(hello.text);
}

Task<Result<>> MailUpstream::start_tls() {
    const bool required = target_->tls == MailTls::Required;
    if (!required && target_->tls != MailTls::Opportunistic) co_return Result<>{};
    if (!extensions_.starttls) {
        if (!required) co_return Result<>{};
        co_return fail(ErrorKind::Refused, "TLS is required", "it does not offer STARTTLS");
    }
    out_ = "STARTTLS\r\n";
    if (auto begun = co_await command(220); !begun) {
        // A server that says no in order can be used as it is, if need not be more.
        if (!required && refusal_ && refusal_->code != 421) co_return Result<>{};
        co_return begun;
    }
    reader_.take_rest();  // what came behind the answer in clear may be anybody's
    extensions_ = {};
    hello_.clear();
    if (auto done = co_await secure(); !done) co_return done;
    co_return co_await say_hello();
}

Task<Result<>> MailUpstream::secure() {
    if (!target_->trust) co_return fail(ErrorKind::Refused, "TLS is not available");
    expire(limits_.open);
    std::string why;
    try {
        auto done = co_await stream_->connect_tls(*target_->trust, target_->tls_name);
        if (done) co_return done;
        why = done.error().detail;
    } catch (const net::ConversationOver& over) {
        why = "TLS handshake: " + std::string(net::name(over.reason()));
    }
    tls_failed_ = true;
    co_return unavailable(std::move(why));
}

Task<Result<>> MailUpstream::log_in() {
    if (!stream_->encrypted()) {
        co_return fail(ErrorKind::Refused, "TLS is required", "no login without TLS");
    }
    const bool only_login = extensions_.offers_auth("LOGIN") && !extensions_.offers_auth("PLAIN");
    if (only_login) co_return co_await log_in_step_by_step(*target_->login);
    co_return co_await log_in_plain(*target_->login);
}

// The target holds the login.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)
Task<Result<>> MailUpstream::log_in_plain(const MailLogin& login) {
    const auto message = wire::sasl::write_plain({}, login.user, login.password);
    if (!message) co_return std::unexpected(message.error());
    out_ = "AUTH PLAIN " + base64_encode(*message) + "\r\n";
    co_return co_await command(235);
}

/// AUTH LOGIN: its prompts mean name and password, whatever they say.
Task<Result<>> MailUpstream::log_in_step_by_step(const MailLogin& login) {
    constexpr std::uint16_t kGoOn = 334;
    out_ = "AUTH LOGIN\r\n";
    if (auto asked = co_await command(kGoOn); !asked) co_return asked;
    out_ = base64_encode(login.user) + "\r\n";
    if (auto asked = co_await command(kGoOn); !asked) co_return asked;
    out_ = base64_encode(login.password) + "\r\n";
    co_return co_await command(235);
}

// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)

Task<Result<>> MailUpstream::command(std::uint16_t wanted) {
    if (!co_await flush(limits_.open)) co_return unavailable("it closed the connection");
    auto answer = co_await reply(limits_.open);
    if (!answer) co_return std::unexpected(answer.error());
    if (answer->code != wanted) co_return std::unexpected(refused(std::move(*answer)));
    co_return Result<>{};
}

Error MailUpstream::refused(Reply reply) {
    const auto kind = reply.permanent() ? ErrorKind::Refused : ErrorKind::Unavailable;
    std::string detail = std::to_string(reply.code) + ' ' + reply.text;
    refusal_ = std::move(reply);
    return {kind, "unavailable", std::move(detail)};
}

Task<bool> MailUpstream::flush(net::Duration limit) {
    expire(limit);
    bool written = true;
    try {
        co_await stream_->write(out_);
    } catch (const net::ConversationOver&) {
        written = false;
    }
    out_.clear();
    co_return written;
}

Task<Result<Reply>> MailUpstream::reply(net::Duration limit) {
    expire(limit);
    try {
        for (;;) {
            const auto line = co_await reader_.line(wire::smtp::kMaxServerLine);
            if (!line) co_return lost(Loss::Closed, "it closed the connection");
            if (line->fault != net::LineFault::None) {
                co_return lost(Loss::Garbage, "unexpected answer: a line too long, or no text");
            }
            const auto complete = parser_.add(line->text);
            if (!complete) {
                co_return lost(Loss::Garbage, "unexpected answer: " + complete.error().detail);
            }
            if (*complete) co_return parser_.take();
        }
    } catch (const net::ConversationOver& over) {
        const bool late = over.reason() == net::EndReason::Deadline;
        co_return lost(late ? Loss::Deadline : Loss::Closed,
                       late ? "it did not answer in time"
                            : "connection lost: " + std::string(net::name(over.reason())));
    }
}

std::unexpected<Error> MailUpstream::lost(Loss loss, std::string why) {
    loss_ = loss;
    usable_ = false;
    return unavailable(std::move(why));
}

void MailUpstream::expire(net::Duration limit) {
    constexpr net::Duration kLeast{1};
    if (until_ != net::Clock::time_point::max()) {
        const auto left = std::chrono::ceil<net::Duration>(until_ - net::Clock::now());
        limit = std::clamp(left, kLeast, std::max(limit, kLeast));
    }
    stream_->expire_after(limit);
}

Task<Result<>> MailUpstream::introduce(ClientFacts facts) {
    if (std::exchange(needs_reset_, false)) {
        out_ = "RSET\r\n";
        if (auto reset = co_await command(250); !reset) co_return reset;
    }
    const unsigned commands = append_xclient(out_, facts, extensions_);
    if (commands == 0) co_return Result<>{};
    if (!co_await flush(limits_.open)) co_return unavailable("it closed the connection");
    unsigned taken = 0;
    for (unsigned i = 0; i < commands; ++i) {
        auto answer = co_await reply(limits_.open);
        if (!answer) co_return std::unexpected(answer.error());
        auto heard = introduced(std::move(*answer), taken);
        if (!heard) co_return heard;
    }
    if (taken == 0) co_return Result<>{};
    told_ = std::move(facts);
    co_return co_await say_hello();
}

Result<> MailUpstream::introduced(Reply answer, unsigned& taken) {
    if (answer.code == 220 && introduction_refusal_.empty()) {
        ++taken;
        return {};
    }
    introduction_refusal_ = answer.text.empty() ? "it refused XCLIENT" : answer.text;
    // What it has taken of another client, or of this one in part, would be wrong.
    const bool mixed = told_ || taken > 0 || answer.code == 220;
    if (!mixed && answer.permanent()) return {};
    usable_ = false;
    return std::unexpected(refused(std::move(answer)));
}

bool MailUpstream::knows(const ClientFacts* client) const {
    if (target_->proxy) {
        return client != nullptr ? proxied_ && proxied_->address == client->client.address
                                 : !proxied_;
    }
    if (told_) return client != nullptr && told_ == *client;
    // Whoever will not hear of clients takes all mail for ours.
    return client == nullptr || !target_->introduce || !introduction_refusal_.empty() ||
           !extensions_.takes("ADDR");
}

bool MailUpstream::fits(const ClientFacts* client) const {
    if (knows(client)) return true;
    if (target_->proxy) return false;
    if (!told_) return true;
    // Postfix offers XCLIENT no more to whom it takes for a stranger by then.
    return client != nullptr && extensions_.takes("ADDR") && can_replace(*told_, *client);
}

bool MailUpstream::quiet() {
    if (!usable_ || reader_.has_more()) return false;
    std::array<char, 1> byte{};
    try {
        return stream_->try_read(byte).state == net::Attempt::State::WantRead;
    } catch (const net::ConversationOver&) {
        return false;
    }
}

void MailUpstream::quit() {
    if (!usable_) return;
    usable_ = false;
    try {
        stream_->try_write("QUIT\r\n");
    } catch (const net::ConversationOver&) {
        return;  // it has gone by itself
    }
}

}  // namespace muster::delivery
