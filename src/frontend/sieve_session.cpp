#include "frontend/sieve_session.h"

#include "wire/ascii.h"

namespace muster::frontend {

namespace sieve = wire::sieve;

const std::array<SieveSession::Verb, 5> SieveSession::kVerbs{{
    {"AUTHENTICATE", &SieveSession::authenticate},
    {"STARTTLS", &SieveSession::starttls},
    {"CAPABILITY", &SieveSession::capability},
    {"NOOP", &SieveSession::noop},
    {"LOGOUT", &SieveSession::logout},
}};

wire::CommandLimits SieveSession::command_limits() const {
    // An initial response is a string like any other, and OAuth tokens are long.
    constexpr std::uint32_t kToken = wire::sasl::kMaxMessage * 2;
    return {.total = host_.limits().line + kToken, .literal = kToken, .literals = 4};
}

Task<void> SieveSession::greet() {
    co_await client_.write(announcement() + sieve::write_response("OK", {}, "Ready."));
}

Task<std::optional<Login>> SieveSession::identify() {
    wire::CommandAssembler assembler(command_limits());
    for (;;) {
        assembler.clear();
        if (!co_await read_text(assembler)) co_return std::nullopt;
        if (host_.draining()) throw net::ConversationOver(net::EndReason::Draining);
        if (!count_command()) {
            co_await send_away(sieve::write_response("BYE", {}, "Too many commands before login."),
                               kTooManyCommands);
            co_return std::nullopt;
        }
        Step step = co_await serve(assembler.text());
        if (auto* login = std::get_if<Login>(&step)) co_return std::move(*login);
        if (std::holds_alternative<Leave>(step)) co_return std::nullopt;
    }
}

// The assembler belongs to the caller, who awaits at once.
// NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters)
Task<bool> SieveSession::read_text(wire::CommandAssembler& assembler) {
    for (;;) {
        const auto line = co_await reader_.line(command_limits().total);
        if (!line) co_return false;
        std::optional<wire::Literal> literal;
        std::string problem;
        if (line->fault != net::LineFault::None) {
            problem = "The line is too long, or no text.";
        } else if (auto added = assembler.add_line(line->text); added) {
            literal = *added;
        } else {
            problem = added.error().public_text;
        }
        if (!problem.empty()) {
            co_await send_away(sieve::write_response("BYE", {}, problem), problem);
            co_return false;
        }
        if (!literal) co_return true;
        const auto bytes = co_await reader_.exactly(literal->size);
        if (!bytes || !assembler.add_literal(*bytes)) co_return false;
    }
}

Task<SieveSession::Step> SieveSession::serve(std::string_view text) {
    const auto command = sieve::parse_command(text);
    if (!command) co_return co_await answer("NO", {}, command.error().public_text);
    for (const Verb& verb : kVerbs) {
        if (wire::equal_folded(command->verb, verb.name)) {
            co_return co_await (this->*verb.run)(*command);
        }
    }
    co_return co_await answer("NO", {}, "Unknown command, or not allowed before login.");
}

Task<SieveSession::Step> SieveSession::answer(std::string_view status, std::string_view code,
                                              std::string_view text) {
    co_await client_.write(sieve::write_response(status, code, text));
    co_return Again{};
}

Task<SieveSession::Step> SieveSession::authenticate(Command command) {
    // The text stays in the assembler of identify() until the exchange is over.
    const auto request = sieve::parse_authenticate(command.rest);
    if (!request) co_return co_await answer("NO", {}, request.error().public_text);
    auto login = co_await read_sasl(*request);
    if (login) co_return std::move(*login);
    const bool privacy = login.error().kind == ErrorKind::Refused;
    co_return co_await answer("NO", privacy ? "ENCRYPT-NEEDED" : "", login.error().public_text);
}

Task<SieveSession::Step> SieveSession::starttls(Command) {
    if (!can_start_tls()) co_return co_await answer("NO", {}, "TLS is not available here.");
    co_await answer("OK", {}, "Begin TLS negotiation now.");
    if (!co_await start_tls()) co_return Leave{};
    co_await greet();  // RFC 5804, 2.2: the capabilities come again, unasked
    co_return Again{};
}

Task<SieveSession::Step> SieveSession::capability(Command) {
    co_await greet();
    co_return Again{};
}

Task<SieveSession::Step> SieveSession::noop(Command command) {
    const auto tag = sieve::parse_noop(command.rest);
    if (!tag) co_return co_await answer("NO", {}, tag.error().public_text);
    if (!*tag) co_return co_await answer("OK", {}, "NOOP completed.");
    std::string code = "TAG ";
    sieve::append_server_string(code, **tag);
    co_return co_await answer("OK", code, "NOOP completed.");
}

Task<SieveSession::Step> SieveSession::logout(Command) {
    co_await answer("OK", {}, "Logging out.");
    co_return Leave{};
}

Task<std::optional<std::string>> SieveSession::ask(std::string_view challenge) {
    std::string line;
    sieve::append_server_string(line, challenge);
    line += "\r\n";
    co_await client_.write(line);
    wire::CommandAssembler assembler(command_limits());
    if (!co_await read_text(assembler)) throw net::ConversationOver(net::EndReason::ClientClosed);
    const auto text = sieve::parse_response_string(assembler.text());
    if (!text || wire::sasl::is_cancel(*text)) co_return std::nullopt;
    co_return std::string(*text);
}

// RFC 5804, 2.1: it travels with the OK.
Task<std::optional<std::string>> SieveSession::conclude(std::string last) {
    std::string code = "(SASL ";
    sieve::append_server_string(code, last);
    co_return code + ") ";
}

std::string SieveSession::welcome(const Login&, std::string_view text) const {
    // A code such as (SASL "…") stands in front of the text when the server gave one.
    return "OK " + std::string(text) + "\r\n";
}

std::string SieveSession::refusal(const Login&, const Error& error) const {
    switch (error.kind) {
        case ErrorKind::Syntax: return sieve::write_response("NO", {}, error.public_text);
        case ErrorKind::Refused:
            return sieve::write_response("NO", error.public_text, "Authentication failed.");
        case ErrorKind::Limit: return sieve::write_response("NO", "TRYLATER", error.public_text);
        default: return sieve::write_response("NO", "TRYLATER", "Temporarily unavailable.");
    }
}

std::string SieveSession::farewell(net::EndReason reason) const {
    switch (reason) {
        case net::EndReason::Deadline:
            return sieve::write_response("BYE", {}, "Login took too long.");
        case net::EndReason::Draining: return turned_away("Going away; please connect again.");
        default: return {};
    }
}

std::string SieveSession::turned_away(std::string_view text) const {
    return sieve::write_response("BYE", "TRYLATER", text);
}

}  // namespace muster::frontend
