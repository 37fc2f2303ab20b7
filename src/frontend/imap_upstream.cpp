#include "frontend/imap_upstream.h"

#include <array>

#include "base/base64.h"

namespace muster::frontend {

namespace imap = wire::imap;

namespace {

constexpr std::string_view kIntroductionTag = "M1";
constexpr std::string_view kLoginTag = "M2";
constexpr std::string_view kOtherTag = "M0";

/// Codes that tell a client something about its own credentials (RFC 5530).
constexpr std::array<std::string_view, 4> kCredentialCodes{
    "AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED", "CONTACTADMIN"};
/// Codes of a server that would take the login at another time, or from a better neighbour: a
/// server that misses privacy means our connection to it, not the client's to us.
constexpr std::array<std::string_view, 4> kServerTroubleCodes{"UNAVAILABLE", "INUSE", "SERVERBUG",
                                                              "PRIVACYREQUIRED"};

}  // namespace

Task<Result<>> ImapUpstream::read_greeting() {
    const auto text = co_await line();
    if (!text) co_return std::unexpected(text.error());
    KnownGreeting& known = target_->greeting;
    if (!known.line.empty() && known.line == *text) {
        capabilities_ = known.capabilities;
        co_return Result<>{};
    }
    const auto greeting = imap::parse_response(*text);
    if (!greeting) co_return broken("the greeting");
    // PREAUTH would be somebody's mailbox, but whose? (RFC 3501, 7.1.4)
    if (greeting->status != imap::Status::Ok) {
        co_return broken("greeted with " + std::string(text->substr(0, 100)));
    }
    if (auto found = imap::capabilities_in(*greeting)) {
        capabilities_ = std::make_shared<const wire::Capabilities>(std::move(*found));
    }
    known = {std::string(*text), capabilities_};
    co_return Result<>{};
}

Task<Result<>> ImapUpstream::request_tls() {
    co_await stream_->write(std::string(kOtherTag) + " STARTTLS\r\n");
    auto done = co_await expect_ok(kOtherTag);
    capabilities_.reset();
    co_return done;
}

Task<Result<>> ImapUpstream::learn_capabilities() {
    if (capabilities_) co_return Result<>{};
    co_await stream_->write(std::string(kOtherTag) + " CAPABILITY\r\n");
    co_return co_await expect_ok(kOtherTag);
}

Task<Result<wire::Capabilities>> ImapUpstream::list_capabilities() {
    capabilities_.reset();
    if (auto learnt = co_await learn_capabilities(); !learnt) {
        co_return std::unexpected(learnt.error());
    }
    co_return capabilities_ ? *capabilities_ : wire::Capabilities();
}

Task<Result<>> ImapUpstream::expect_ok(std::string_view tag) {
    for (;;) {
        const auto text = co_await line();
        if (!text) co_return std::unexpected(text.error());
        const auto response = imap::parse_response(*text);
        if (!response) co_return broken(*text);
        if (auto found = imap::capabilities_in(*response)) {
            capabilities_ = std::make_shared<const wire::Capabilities>(std::move(*found));
        }
        if (response->kind != imap::ResponseKind::Tagged || response->tag != tag) continue;
        if (response->status == imap::Status::Ok) co_return Result<>{};
        co_return broken(text->substr(0, 100));
    }
}

bool ImapUpstream::introduces() const { return target_->introduce == cluster::Introduce::Xclient; }

Task<Result<SaslStep>> ImapUpstream::begin(UpstreamLogin login) {
    std::string commands;
    if (introduces()) {
        auto introduction = imap::write_introduction(kIntroductionTag, login.introduction);
        if (!introduction) co_return std::unexpected(introduction.error());
        commands = std::move(*introduction);
    }
    const std::string_view mechanism = wire::sasl::name(login.mechanism);
    const bool announced = capabilities_ && capabilities_->has("AUTH=" + std::string(mechanism));
    if (!announced && login.mechanism == wire::sasl::Mechanism::Plain) {
        co_return co_await begin_login(std::move(commands), login.message);
    }
    commands += kLoginTag;
    commands += " AUTHENTICATE ";
    commands += mechanism;
    std::string initial = login.message.empty() ? "=" : base64_encode(login.message);
    if (capabilities_ && capabilities_->has("SASL-IR")) {
        commands += ' ';
        commands += initial;
        commands += "\r\n";
        co_await stream_->write(commands);
        co_return co_await outcome();
    }
    commands += "\r\n";
    co_await stream_->write(commands);
    auto prompt = co_await outcome();
    if (!prompt || prompt->kind != SaslStep::Kind::Challenge) co_return prompt;
    co_return co_await answer(login.message.empty() ? std::string() : std::move(initial));
}

Task<Result<SaslStep>> ImapUpstream::begin_login(std::string introduction,
                                                 std::string_view message) {
    const auto plain = wire::sasl::parse_plain(message);
    if (!plain) co_return std::unexpected(plain.error());
    if (!plain->authzid.empty() && plain->authzid != plain->authcid) {
        co_return broken("it offers no AUTH=PLAIN, which a login for another account needs");
    }
    if (capabilities_ && capabilities_->has("LOGINDISABLED")) {
        co_return broken("it offers neither AUTH=PLAIN nor LOGIN");
    }
    const bool literal_plus =
        capabilities_ && (capabilities_->has("LITERAL+") || capabilities_->has("LITERAL-"));
    auto pieces = imap::write_login(kLoginTag, plain->authcid, plain->password, literal_plus);
    if (!pieces) co_return std::unexpected(pieces.error());
    pieces->front().insert(0, introduction);
    for (std::size_t i = 0; i < pieces->size(); ++i) {
        co_await stream_->write((*pieces)[i]);
        if (i + 1 == pieces->size()) break;
        auto go_on = co_await outcome();
        if (!go_on || go_on->kind != SaslStep::Kind::Challenge) co_return go_on;
    }
    co_return co_await outcome();
}

Task<Result<SaslStep>> ImapUpstream::answer(std::string base64) {
    base64 += "\r\n";
    co_await stream_->write(base64);
    co_return co_await outcome();
}

Task<Result<SaslStep>> ImapUpstream::outcome() {
    for (;;) {
        const auto text = co_await line();
        if (!text) co_return std::unexpected(text.error());
        const auto response = imap::parse_response(*text);
        if (!response) co_return broken(text->substr(0, 100));
        if (response->kind == imap::ResponseKind::Continuation) {
            co_return SaslStep{SaslStep::Kind::Challenge, std::string(response->text)};
        }
        if (response->status == imap::Status::Bye) co_return broken(text->substr(0, 100));
        if (response->kind == imap::ResponseKind::Untagged) {
            if (auto found = imap::capabilities_in(*response)) {
                untagged_capabilities_ = imap::write_capabilities(*found);
            }
            continue;
        }
        if (response->tag == kLoginTag) co_return judge(*response);
        const bool is_refusal = response->tag == kIntroductionTag;
        if (is_refusal && response->status != imap::Status::Ok) refusal_ = text->substr(0, 100);
    }
}

Result<SaslStep> ImapUpstream::judge(const imap::Response& response) const {
    if (response.status == imap::Status::Ok) {
        std::string text;
        if (response.code_is("CAPABILITY")) {
            text = "[" + std::string(response.code) + "] ";
        } else if (!untagged_capabilities_.empty()) {
            text = "[CAPABILITY " + untagged_capabilities_ + "] ";
        }
        return SaslStep{SaslStep::Kind::Accepted, text + "Logged in."};
    }
    for (const std::string_view code : kServerTroubleCodes) {
        if (response.code_is(code)) {
            return fail(ErrorKind::Unavailable, "unavailable", std::string(response.text));
        }
    }
    if (response.code_is("LIMIT")) {
        return fail(ErrorKind::Limit, "Too many connections.", std::string(response.text));
    }
    if (response.status == imap::Status::Bad) {
        // No verdict on the password, and what we sent was well formed.
        return fail(ErrorKind::Unavailable, "unavailable",
                    "it answered BAD to the login: " + std::string(response.text));
    }
    for (const std::string_view code : kCredentialCodes) {
        if (response.code_is(code)) return SaslStep{SaslStep::Kind::Denied, std::string(code)};
    }
    return SaslStep{SaslStep::Kind::Denied, {}};
}

}  // namespace muster::frontend
