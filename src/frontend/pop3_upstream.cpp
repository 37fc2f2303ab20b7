#include "frontend/pop3_upstream.h"

#include "base/base64.h"

namespace muster::frontend {

namespace pop3 = wire::pop3;

namespace {

// RFC 5034, 4: an initial response must fit into a line of 255 octets, else it is asked for.
constexpr std::size_t kInlineInitial = 200;

}  // namespace

Task<Result<>> Pop3Upstream::read_greeting() {
    const auto text = co_await line();
    if (!text) co_return std::unexpected(text.error());
    const auto greeting = pop3::parse_response(*text);
    if (!greeting || greeting->kind != pop3::ResponseKind::Ok) {
        co_return broken("greeted with " + std::string(text->substr(0, 100)));
    }
    takes_xclient_ = pop3::offers_xclient(*greeting);
    co_return Result<>{};
}

Task<Result<>> Pop3Upstream::request_tls() { co_return co_await send_and_expect_ok("STLS\r\n"); }

Task<Result<>> Pop3Upstream::learn_capabilities() {
    // A Dovecot is known to take AUTH with an initial response.
    if (target_->kind == cluster::ServerKind::Dovecot) {
        capabilities_.set("SASL", "PLAIN");
        co_return Result<>{};
    }
    if (auto listed = co_await send_and_expect_ok("CAPA\r\n"); !listed) co_return Result<>{};
    auto listing = co_await read_listing();
    if (!listing) co_return std::unexpected(listing.error());
    capabilities_ = std::move(*listing);
    co_return Result<>{};
}

Task<Result<wire::Capabilities>> Pop3Upstream::list_capabilities() {
    if (auto listed = co_await send_and_expect_ok("CAPA\r\n"); !listed) {
        co_return std::unexpected(listed.error());
    }
    co_return co_await read_listing();
}

Task<Result<wire::Capabilities>> Pop3Upstream::read_listing() {
    pop3::CapabilityListing listing;
    for (;;) {
        const auto text = co_await line();
        if (!text) co_return std::unexpected(text.error());
        const auto complete = listing.add(*text);
        if (!complete) co_return std::unexpected(complete.error());
        if (*complete) co_return listing.capabilities();
    }
}

Task<Result<>> Pop3Upstream::expect_ok() {
    const auto text = co_await line();
    if (!text) co_return std::unexpected(text.error());
    const auto response = pop3::parse_response(*text);
    if (!response || response->kind != pop3::ResponseKind::Ok) {
        co_return broken(text->substr(0, 100));
    }
    co_return Result<>{};
}

Task<Result<>> Pop3Upstream::introduced() {
    if (!introduces()) co_return Result<>{};
    auto taken = co_await expect_ok();
    if (!taken) refusal_ = taken.error().detail;
    co_return taken;
}

Task<Result<>> Pop3Upstream::send_and_expect_ok(std::string command) {
    co_await stream_->write(command);
    co_return co_await expect_ok();
}

bool Pop3Upstream::introduces() const {
    return target_->introduce == cluster::Introduce::Xclient && takes_xclient_;
}

Task<Result<SaslStep>> Pop3Upstream::begin(UpstreamLogin login) {
    std::string commands;
    // A Dovecot offers it to whom it trusts; the others' clients it calls by our address.
    if (target_->introduce == cluster::Introduce::Xclient && !takes_xclient_) {
        refusal_ = "it offers no XCLIENT";
    }
    if (introduces()) {
        auto xclient = wire::write_xclient(login.introduction);
        if (!xclient) co_return std::unexpected(xclient.error());
        commands = std::move(*xclient);
    }
    const std::string_view mechanism = wire::sasl::name(login.mechanism);
    if (login.mechanism == wire::sasl::Mechanism::Plain &&
        !capabilities_.has_word("SASL", "PLAIN")) {
        co_return co_await begin_user_pass(std::move(commands), login.message);
    }
    std::string initial = login.message.empty() ? "=" : base64_encode(login.message);
    const bool is_inline = initial.size() <= kInlineInitial;
    commands += "AUTH ";
    commands += mechanism;
    if (is_inline) {
        commands += ' ';
        commands += initial;
    }
    commands += "\r\n";
    co_await stream_->write(commands);
    if (auto taken = co_await introduced(); !taken) co_return std::unexpected(taken.error());
    auto step = co_await outcome();
    if (is_inline || !step || step->kind != SaslStep::Kind::Challenge) co_return step;
    co_return co_await answer(std::move(initial));
}

Task<Result<SaslStep>> Pop3Upstream::begin_user_pass(std::string introduction,
                                                     std::string_view message) {
    const auto plain = wire::sasl::parse_plain(message);
    if (!plain) co_return std::unexpected(plain.error());
    if (!plain->authzid.empty() && plain->authzid != plain->authcid) {
        co_return broken("it offers no SASL PLAIN, which a login for another account needs");
    }
    const auto user = pop3::write_command("USER", plain->authcid);
    const auto pass = pop3::write_command("PASS", plain->password);
    if (!user) co_return std::unexpected(user.error());
    if (!pass) co_return std::unexpected(pass.error());
    co_await stream_->write(introduction + *user);
    if (auto taken = co_await introduced(); !taken) co_return std::unexpected(taken.error());
    auto known = co_await outcome();
    if (!known || known->kind != SaslStep::Kind::Accepted) co_return known;
    co_await stream_->write(*pass);
    co_return co_await outcome();
}

Task<Result<SaslStep>> Pop3Upstream::answer(std::string base64) {
    base64 += "\r\n";
    co_await stream_->write(base64);
    co_return co_await outcome();
}

Task<Result<SaslStep>> Pop3Upstream::outcome() {
    const auto text = co_await line();
    if (!text) co_return std::unexpected(text.error());
    const auto response = pop3::parse_response(*text);
    if (!response) co_return broken(text->substr(0, 100));
    switch (response->kind) {
        case pop3::ResponseKind::Continuation:
            co_return SaslStep{SaslStep::Kind::Challenge, std::string(response->text)};
        case pop3::ResponseKind::Ok: co_return SaslStep{SaslStep::Kind::Accepted, "Logged in."};
        case pop3::ResponseKind::Err: break;
    }
    // RFC 3206 and 2449: these are not about the credentials.
    if (response->code.starts_with("SYS/") || response->code == "IN-USE" ||
        response->code == "LOGIN-DELAY") {
        co_return fail(ErrorKind::Unavailable, "unavailable", std::string(response->text));
    }
    co_return SaslStep{SaslStep::Kind::Denied, {}};
}

}  // namespace muster::frontend
