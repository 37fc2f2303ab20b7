#include "frontend/client_session.h"

#include "base/base64.h"
#include "base/log.h"

namespace muster::frontend {

using wire::sasl::Mechanism;

Task<Result<Login>> ClientSession::read_sasl(wire::sasl::AuthRequest request) {
    const auto mechanism = wire::sasl::routable(request.mechanism);
    if (!mechanism || (*mechanism == Mechanism::ScramSha1 && !offer().scram) ||
        (*mechanism == Mechanism::ScramSha256 && !offer().scram)) {
        co_return fail(ErrorKind::Syntax, "Unsupported authentication mechanism.");
    }
    if (wire::sasl::reveals_secret(*mechanism) && !passwords_allowed()) {
        co_return fail(ErrorKind::Refused, "Use TLS first.", "privacy-required");
    }
    std::optional<std::string> initial;
    if (request.initial) {
        initial.emplace(*request.initial);
    } else if (*mechanism != Mechanism::Login) {
        initial = co_await ask("");
        if (!initial) co_return fail(ErrorKind::Syntax, "Authentication cancelled.");
    }
    if (*mechanism == Mechanism::Login) co_return co_await read_login_mechanism(std::move(initial));
    auto message = wire::sasl::decode(*initial);
    if (!message) co_return std::unexpected(message.error());
    const auto identity = wire::sasl::identity(*mechanism, *message);
    if (!identity) co_return fail(ErrorKind::Syntax, identity.error().public_text);
    co_return Login{{}, *mechanism, identity->account(), std::move(*message)};
}

Task<Result<Login>> ClientSession::read_login_mechanism(std::optional<std::string> user) {
    if (!user) user = co_await ask("VXNlcm5hbWU6");  // "Username:"
    if (!user) co_return fail(ErrorKind::Syntax, "Authentication cancelled.");
    const auto name = wire::sasl::decode(*user);
    if (!name) co_return std::unexpected(name.error());
    const auto answer = co_await ask("UGFzc3dvcmQ6");  // "Password:"
    if (!answer) co_return fail(ErrorKind::Syntax, "Authentication cancelled.");
    const auto password = wire::sasl::decode(*answer);
    if (!password) co_return std::unexpected(password.error());
    co_return from_password(*name, *password);
}

// RFC 9051, 6.2.2 and RFC 5034, 4: a challenge more, which the client answers with nothing.
Task<std::optional<std::string>> ClientSession::conclude(std::string last) {
    if (!co_await ask(last)) co_return std::nullopt;
    co_return std::string();
}

Result<Login> ClientSession::from_password(std::string_view user, std::string_view password) {
    auto message = wire::sasl::write_plain({}, user, password);
    if (!message) return std::unexpected(message.error());
    return Login{{}, Mechanism::Plain, std::string(user), std::move(*message)};
}

Task<bool> ClientSession::start_tls() {
    reader_.take_rest();
    const auto certificates = host_.certificates();
    const auto done = co_await client_.accept_tls(*certificates);
    if (!done) {
        log::info("tls-failed", {{"session", peer_.session},
                                 {"client", peer_.client.text()},
                                 {"reason", done.error().detail}});
    }
    co_return done.has_value();
}

bool ClientSession::can_start_tls() const {
    return !client_.encrypted() && listener_.tls == cluster::TlsMode::StartTls &&
           host_.certificates() != nullptr;
}

bool ClientSession::passwords_allowed() const {
    return client_.encrypted() || listener_.tls == cluster::TlsMode::None;
}

wire::Offer ClientSession::offer() const {
    return {.tls = client_.encrypted(),
            .starttls = can_start_tls(),
            .cleartext = listener_.tls == cluster::TlsMode::None,
            .scram = host_.scram_works(listener_.service, context(client_.tls_server_name()))};
}

const std::string& ClientSession::announcement() const {
    return host_.announcement(listener_.service, offer(), context(client_.tls_server_name()));
}

cluster::LoginContext ClientSession::context(std::string_view tls_name) const {
    return {peer_.local.address, tls_name,
            listener_.default_domain ? listener_.default_domain->view() : std::string_view()};
}

Task<void> ClientSession::send_away(std::string farewell, std::string_view why) {
    log::info("connection-ended",
              {{"session", peer_.session}, {"client", peer_.client.text()}, {"reason", why}});
    co_await client_.write(farewell);
}

bool ClientSession::count_command() { return ++commands_ <= host_.limits().commands_before_login; }

}  // namespace muster::frontend
