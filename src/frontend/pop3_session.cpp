#include "frontend/pop3_session.h"

#include "wire/ascii.h"

namespace muster::frontend {

namespace pop3 = wire::pop3;

const std::array<Pop3Session::Verb, 7> Pop3Session::kVerbs{{
    {"USER", &Pop3Session::user},
    {"PASS", &Pop3Session::pass},
    {"AUTH", &Pop3Session::auth},
    {"CAPA", &Pop3Session::capa},
    {"STLS", &Pop3Session::stls},
    {"NOOP", &Pop3Session::noop},
    {"QUIT", &Pop3Session::quit},
}};

Task<void> Pop3Session::greet() { co_await client_.write("+OK Ready.\r\n"); }

Task<std::optional<Login>> Pop3Session::identify() {
    for (;;) {
        const auto line = co_await reader_.line(host_.limits().line);
        if (!line) co_return std::nullopt;
        if (line->fault != net::LineFault::None) {
            co_await send_away("-ERR The line is too long, or no text.\r\n", kBadLine);
            co_return std::nullopt;
        }
        if (host_.draining()) throw net::ConversationOver(net::EndReason::Draining);
        if (!count_command()) {
            co_await send_away("-ERR Too many commands before login.\r\n", kTooManyCommands);
            co_return std::nullopt;
        }
        Step step = co_await serve(line->text);
        if (auto* login = std::get_if<Login>(&step)) co_return std::move(*login);
        if (std::holds_alternative<Leave>(step)) co_return std::nullopt;
    }
}

Task<Pop3Session::Step> Pop3Session::serve(std::string_view line) {
    const auto command = pop3::parse_command(line);
    if (!command) co_return co_await answer("-ERR " + command.error().public_text);
    for (const Verb& verb : kVerbs) {
        if (wire::equal_folded(command->verb, verb.name)) {
            co_return co_await (this->*verb.run)(*command);
        }
    }
    co_return co_await answer("-ERR Unknown command, or not allowed before login.");
}

Task<Pop3Session::Step> Pop3Session::answer(std::string_view line) {
    std::string text(line);
    text += "\r\n";
    co_await client_.write(text);
    co_return Again{};
}

Task<Pop3Session::Step> Pop3Session::capa(Command) {
    const std::string text = announcement();  // its owner may make it anew while the client reads
    co_await client_.write(text);
    co_return Again{};
}

Task<Pop3Session::Step> Pop3Session::noop(Command) { co_return co_await answer("+OK"); }

Task<Pop3Session::Step> Pop3Session::quit(Command) {
    co_await client_.write("+OK Logging out.\r\n");
    co_return Leave{};
}

Task<Pop3Session::Step> Pop3Session::stls(Command) {
    if (!can_start_tls()) co_return co_await answer("-ERR TLS is not available here.");
    user_.clear();
    co_await answer("+OK Begin TLS negotiation now.");
    if (!co_await start_tls()) co_return Leave{};
    co_return Again{};
}

Task<Pop3Session::Step> Pop3Session::user(Command command) {
    if (!passwords_allowed()) co_return co_await answer("-ERR [AUTH] Use STLS first.");
    if (command.rest.empty() || command.rest.size() > wire::sasl::kMaxName) {
        co_return co_await answer("-ERR Give a name.");
    }
    user_ = command.rest;
    co_return co_await answer("+OK");
}

Task<Pop3Session::Step> Pop3Session::pass(Command command) {
    if (user_.empty()) co_return co_await answer("-ERR Give USER first.");
    auto login = from_password(std::exchange(user_, {}), command.rest);
    if (!login) co_return co_await answer("-ERR " + login.error().public_text);
    co_return std::move(*login);
}

Task<Pop3Session::Step> Pop3Session::auth(Command command) {
    const auto request = pop3::parse_auth_request(command.rest);
    if (!request) co_return co_await answer("-ERR " + request.error().public_text);
    auto login = co_await read_sasl(*request);
    if (login) co_return std::move(*login);
    const bool privacy = login.error().kind == ErrorKind::Refused;
    co_return co_await answer((privacy ? "-ERR [AUTH] " : "-ERR ") + login.error().public_text);
}

Task<std::optional<std::string>> Pop3Session::ask(std::string_view challenge) {
    std::string line = "+ ";
    line += challenge;
    line += "\r\n";
    co_await client_.write(line);
    const auto answer = co_await reader_.line(wire::sasl::kMaxMessage * 2);
    if (!answer) throw net::ConversationOver(net::EndReason::ClientClosed);
    if (answer->fault != net::LineFault::None) co_return std::nullopt;
    if (wire::sasl::is_cancel(answer->text)) co_return std::nullopt;
    co_return std::string(answer->text);
}

std::string Pop3Session::welcome(const Login&, std::string_view text) const {
    std::string line = "+OK ";
    line += text;
    line += "\r\n";
    return line;
}

std::string Pop3Session::refusal(const Login&, const Error& error) const {
    switch (error.kind) {
        case ErrorKind::Syntax: return "-ERR " + error.public_text + "\r\n";
        case ErrorKind::Refused: {
            // RFC 3206: AUTH is a matter of the credentials.
            const std::string& code = error.public_text;
            return "-ERR [" + (code.empty() ? "AUTH" : code) + "] Authentication failed.\r\n";
        }
        case ErrorKind::Limit: return "-ERR [LOGIN-DELAY] " + error.public_text + "\r\n";
        default: return "-ERR [SYS/TEMP] Temporarily unavailable.\r\n";
    }
}

std::string Pop3Session::farewell(net::EndReason reason) const {
    switch (reason) {
        case net::EndReason::Deadline: return "-ERR Login took too long.\r\n";
        case net::EndReason::Draining: return turned_away("Going away; please connect again.");
        default: return {};
    }
}

std::string Pop3Session::turned_away(std::string_view text) const {
    return "-ERR [SYS/TEMP] " + std::string(text) + "\r\n";
}

}  // namespace muster::frontend
