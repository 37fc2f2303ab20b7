#include "frontend/imap_session.h"

#include "wire/ascii.h"

namespace muster::frontend {

namespace imap = wire::imap;

const std::array<ImapSession::Verb, 7> ImapSession::kVerbs{{
    {"AUTHENTICATE", &ImapSession::authenticate},
    {"LOGIN", &ImapSession::login},
    {"CAPABILITY", &ImapSession::capability},
    {"ID", &ImapSession::id},
    {"STARTTLS", &ImapSession::starttls},
    {"NOOP", &ImapSession::noop},
    {"LOGOUT", &ImapSession::logout},
}};

Task<void> ImapSession::greet() {
    co_await client_.write("* OK [CAPABILITY " + capability_words() + "] Ready.\r\n");
}

Task<std::optional<Login>> ImapSession::identify() {
    wire::CommandAssembler assembler({.total = host_.limits().line + host_.limits().literal * 2,
                                      .literal = static_cast<std::uint32_t>(host_.limits().literal),
                                      .literals = 4});
    for (;;) {
        assembler.clear();
        if (!co_await read_command(assembler)) co_return std::nullopt;
        if (host_.draining()) throw net::ConversationOver(net::EndReason::Draining);
        if (!count_command()) {
            co_await send_away("* BYE Too many commands before login.\r\n", kTooManyCommands);
            co_return std::nullopt;
        }
        Step step = co_await serve(assembler.text());
        if (auto* login = std::get_if<Login>(&step)) co_return std::move(*login);
        if (std::holds_alternative<Leave>(step)) co_return std::nullopt;
    }
}

// The assembler is identify()'s own.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)
Task<bool> ImapSession::read_command(wire::CommandAssembler& assembler) {
    for (;;) {
        const auto line = co_await reader_.line(host_.limits().line);
        if (!line) co_return false;
        if (line->fault != net::LineFault::None) {
            co_await send_away("* BYE The line is too long, or no text.\r\n", kBadLine);
            co_return false;
        }
        const auto literal = assembler.add_line(line->text);
        if (!literal) {
            if (!co_await refuse_literal(assembler, literal.error().public_text)) co_return false;
            continue;
        }
        if (!*literal) co_return true;
        if (!co_await read_literal(assembler, **literal)) co_return false;
    }
}

Task<bool> ImapSession::refuse_literal(wire::CommandAssembler& assembler, std::string why) {
    const std::string reply =
        std::string(imap::reply_tag(assembler.text())) + " BAD " + why + "\r\n";
    const auto refused = assembler.refused_literal();
    // The bytes of a refused non-synchronising literal would be read as commands.
    if (refused && !refused->synchronising) {
        co_await send_away(reply, "a literal too large");
        co_return false;
    }
    co_await client_.write(reply);
    assembler.clear();
    if (count_command()) co_return true;
    co_await send_away("* BYE Too many commands before login.\r\n", kTooManyCommands);
    co_return false;
}

Task<bool> ImapSession::read_literal(wire::CommandAssembler& assembler, wire::Literal literal) {
    if (literal.synchronising) co_await client_.write("+ OK\r\n");
    const auto bytes = co_await reader_.exactly(literal.size);
    co_return bytes&& assembler.add_literal(*bytes).has_value();
}

// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)
Task<ImapSession::Step> ImapSession::serve(std::string_view text) {
    const auto command = imap::parse_command(text);
    if (!command) {
        co_return co_await answer(imap::reply_tag(text), "BAD " + command.error().public_text);
    }
    for (const Verb& verb : kVerbs) {
        if (wire::equal_folded(command->verb, verb.name)) {
            co_return co_await (this->*verb.run)(*command);
        }
    }
    co_return co_await answer(command->tag, "BAD Unknown command, or not allowed before login.");
}

Task<ImapSession::Step> ImapSession::answer(std::string_view tag, std::string_view rest) {
    std::string line(tag);
    line += ' ';
    line += rest;
    line += "\r\n";
    co_await client_.write(line);
    co_return Again{};
}

Task<ImapSession::Step> ImapSession::capability(Command command) {
    co_await client_.write("* CAPABILITY " + capability_words() + "\r\n" +
                           std::string(command.tag) + " OK Capability completed.\r\n");
    co_return Again{};
}

Task<ImapSession::Step> ImapSession::noop(Command command) {
    co_return co_await answer(command.tag, "OK NOOP completed.");
}

Task<ImapSession::Step> ImapSession::id(Command command) {
    // What a client says here, x- fields included, goes nowhere (RFC 2971 allows NIL).
    if (const auto fields = imap::parse_id(command.rest); !fields) {
        co_return co_await answer(command.tag, "BAD " + fields.error().public_text);
    }
    co_await client_.write("* ID NIL\r\n" + std::string(command.tag) + " OK ID completed.\r\n");
    co_return Again{};
}

Task<ImapSession::Step> ImapSession::logout(Command command) {
    co_await client_.write("* BYE Logging out.\r\n" + std::string(command.tag) +
                           " OK Logout completed.\r\n");
    co_return Leave{};
}

Task<ImapSession::Step> ImapSession::starttls(Command command) {
    if (!can_start_tls()) co_return co_await answer(command.tag, "BAD TLS is not available here.");
    co_await answer(command.tag, "OK Begin TLS negotiation now.");
    if (!co_await start_tls()) co_return Leave{};
    co_return Again{};
}

Task<ImapSession::Step> ImapSession::login(Command command) {
    if (!passwords_allowed()) {
        co_return co_await answer(command.tag, "NO [PRIVACYREQUIRED] Use STARTTLS first.");
    }
    const auto credentials = imap::parse_login(command.rest);
    if (!credentials) {
        co_return co_await answer(command.tag, "BAD " + credentials.error().public_text);
    }
    auto login = from_password(credentials->user, credentials->password);
    if (!login) co_return co_await answer(command.tag, "BAD " + login.error().public_text);
    login->tag = command.tag;
    co_return std::move(*login);
}

Task<ImapSession::Step> ImapSession::authenticate(Command command) {
    const std::string tag(command.tag);
    const auto request = imap::parse_auth_request(command.rest);
    if (!request) co_return co_await answer(tag, "BAD " + request.error().public_text);
    auto login = co_await read_sasl(*request);
    if (login) {
        login->tag = tag;
        co_return std::move(*login);
    }
    const Error& error = login.error();
    if (error.kind == ErrorKind::Refused) {
        co_return co_await answer(tag, "NO [PRIVACYREQUIRED] " + error.public_text);
    }
    co_return co_await answer(tag, "BAD " + error.public_text);
}

Task<std::optional<std::string>> ImapSession::ask(std::string_view challenge) {
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

std::string ImapSession::welcome(const Login& login, std::string_view text) const {
    std::string line = login.tag;
    line += " OK ";
    line += text;
    line += "\r\n";
    return line;
}

std::string ImapSession::refusal(const Login& login, const Error& error) const {
    switch (error.kind) {
        case ErrorKind::Syntax: return login.tag + " BAD " + error.public_text + "\r\n";
        case ErrorKind::Refused: {
            // RFC 5530: a code that the server gave is passed on; without one it is this.
            const std::string& code = error.public_text;
            return login.tag + " NO [" + (code.empty() ? "AUTHENTICATIONFAILED" : code) +
                   "] Authentication failed.\r\n";
        }
        case ErrorKind::Limit: return login.tag + " NO [LIMIT] " + error.public_text + "\r\n";
        default: return login.tag + " NO [UNAVAILABLE] Temporarily unavailable.\r\n";
    }
}

std::string ImapSession::farewell(net::EndReason reason) const {
    switch (reason) {
        case net::EndReason::Deadline: return "* BYE Login took too long.\r\n";
        case net::EndReason::Draining: return turned_away("Going away; please connect again.");
        default: return {};
    }
}

std::string ImapSession::turned_away(std::string_view text) const {
    return "* BYE " + std::string(text) + "\r\n";
}

const std::string& ImapSession::capability_words() const { return announcement(); }

}  // namespace muster::frontend
