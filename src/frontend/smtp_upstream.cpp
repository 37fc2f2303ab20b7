#include "frontend/smtp_upstream.h"

#include <algorithm>
#include <array>

#include "base/base64.h"
#include "wire/xtext.h"

namespace muster::frontend {
namespace {

constexpr std::string_view kHello = "EHLO muster.invalid\r\n";
// RFC 4954, 4: an initial response must fit into a command line of 512 octets, else it is asked
// for.
constexpr std::size_t kInlineInitial = 450;
/// Answers to AUTH that say nothing of the credentials: commands, mechanisms, TLS (RFC 4954, 6).
constexpr std::array<std::uint16_t, 7> kServerTrouble{500, 502, 503, 504, 530, 534, 538};

std::string shown(const wire::smtp::Reply& reply) {
    return std::to_string(reply.code) + ' ' + reply.text.substr(0, 100);
}

}  // namespace

Task<Result<wire::smtp::Reply>> SmtpUpstream::reply() {
    for (;;) {
        const auto text = co_await line();
        if (!text) co_return std::unexpected(text.error());
        const auto complete = parser_.add(*text);
        if (!complete) co_return broken(complete.error().detail);
        if (*complete) co_return parser_.take();
    }
}

Task<Result<>> SmtpUpstream::expect(std::uint16_t code) {
    const auto answer = co_await reply();
    if (!answer) co_return std::unexpected(answer.error());
    if (answer->code != code) co_return broken(shown(*answer));
    co_return Result<>{};
}

Task<Result<>> SmtpUpstream::read_greeting() { co_return co_await expect(220); }

Task<Result<>> SmtpUpstream::request_tls() {
    if (auto learnt = co_await learn_capabilities(); !learnt) co_return learnt;
    co_await stream_->write("STARTTLS\r\n");
    co_return co_await expect(220);
}

Task<Result<>> SmtpUpstream::learn_capabilities() {
    co_await stream_->write(kHello);
    const auto answer = co_await reply();
    if (!answer) co_return std::unexpected(answer.error());
    if (!answer->positive()) co_return broken(shown(*answer));
    extensions_ = wire::smtp::ServerExtensions::from(*answer);
    co_return Result<>{};
}

Task<Result<wire::Capabilities>> SmtpUpstream::list_capabilities() {
    if (auto learnt = co_await learn_capabilities(); !learnt) {
        co_return std::unexpected(learnt.error());
    }
    wire::Capabilities capabilities;
    for (const std::string& mechanism : extensions_.auth) capabilities.set("AUTH=" + mechanism);
    co_return capabilities;
}

bool SmtpUpstream::introduces() const {
    return target_->introduce == cluster::Introduce::Xclient && extensions_.takes("ADDR");
}

std::string SmtpUpstream::introduction(const wire::Introduction& client) const {
    const IpAddress& address = client.client.address;
    std::string command = address.is_v4() ? "XCLIENT ADDR=" : "XCLIENT ADDR=IPV6:";
    command += address.text();
    if (extensions_.takes("PORT")) command += " PORT=" + std::to_string(client.client.port);
    if (extensions_.takes("SESSION")) {
        command += " SESSION=" + wire::xtext_encode(client.session_id);
    }
    if (extensions_.takes("TTL")) command += " TTL=" + std::to_string(client.ttl);
    return command + "\r\n";
}

/// The server greets anew, and knows nothing of what was said before.
Task<Result<>> SmtpUpstream::introduce(std::string command) {
    co_await stream_->write(command);
    const auto answer = co_await reply();
    if (!answer) co_return std::unexpected(answer.error());
    if (answer->code != 220) {
        refusal_ = shown(*answer);
        co_return broken(refusal_);
    }
    co_return co_await learn_capabilities();
}

Task<Result<SaslStep>> SmtpUpstream::begin(UpstreamLogin login) {
    if (target_->introduce == cluster::Introduce::Xclient && !introduces()) {
        refusal_ = "it offers no XCLIENT";
    }
    if (introduces()) {
        auto taken = co_await introduce(introduction(login.introduction));
        if (!taken) co_return std::unexpected(taken.error());
    }
    const std::string_view mechanism = wire::sasl::name(login.mechanism);
    const bool is_plain = login.mechanism == wire::sasl::Mechanism::Plain;
    if (is_plain && !extensions_.offers_auth(mechanism) && extensions_.offers_auth("LOGIN")) {
        co_return co_await log_in_step_by_step(std::string(login.message));
    }
    if (!extensions_.offers_auth(mechanism)) {
        co_return broken("it offers no AUTH " + std::string(mechanism));
    }
    std::string initial = base64_encode(login.message);
    const bool is_inline = initial.size() <= kInlineInitial;
    std::string command = "AUTH ";
    command += mechanism;
    if (is_inline) command += ' ' + (initial.empty() ? "=" : initial);
    command += "\r\n";
    co_await stream_->write(command);
    auto step = co_await outcome();
    if (is_inline || !step || step->kind != SaslStep::Kind::Challenge) co_return step;
    co_return co_await answer(std::move(initial));
}

/// AUTH LOGIN: its prompts mean name and password, whatever they say.
Task<Result<SaslStep>> SmtpUpstream::log_in_step_by_step(std::string message) {
    const auto plain = wire::sasl::parse_plain(message);
    if (!plain) co_return std::unexpected(plain.error());
    if (!plain->authzid.empty() && plain->authzid != plain->authcid) {
        co_return broken("it offers no AUTH PLAIN, which another's account takes");
    }
    co_await stream_->write("AUTH LOGIN\r\n");
    for (const std::string_view each : {plain->authcid, plain->password}) {
        auto step = co_await outcome();
        if (!step || step->kind == SaslStep::Kind::Denied) co_return step;
        if (step->kind == SaslStep::Kind::Accepted) co_return broken("a success out of place");
        const std::string line = base64_encode(each) + "\r\n";
        co_await stream_->write(line);
    }
    co_return co_await outcome();
}

Task<Result<SaslStep>> SmtpUpstream::answer(std::string base64) {
    base64 += "\r\n";
    co_await stream_->write(base64);
    co_return co_await outcome();
}

Task<Result<SaslStep>> SmtpUpstream::outcome() {
    const auto answer = co_await reply();
    if (!answer) co_return std::unexpected(answer.error());
    constexpr std::uint16_t kChallenge = 334;
    constexpr std::uint16_t kSuccess = 235;  // no other 2yz is one (RFC 4954, 4)
    if (answer->code == kChallenge) co_return SaslStep{SaslStep::Kind::Challenge, answer->text};
    if (answer->code == kSuccess) co_return SaslStep{SaslStep::Kind::Accepted, {}};
    const bool is_trouble = !answer->permanent() ||
                            std::ranges::find(kServerTrouble, answer->code) != kServerTrouble.end();
    if (is_trouble) co_return broken(shown(*answer));
    co_return SaslStep{SaslStep::Kind::Denied, {}};
}

void SmtpUpstream::leave() { say_last("QUIT\r\n"); }

}  // namespace muster::frontend
