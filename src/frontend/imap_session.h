#pragma once
// IMAP before login (RFC 3501 and 9051, section 6.1 and 6.2; RFC 4959 SASL-IR; RFC 7888 literals).

#include <variant>

#include "frontend/client_session.h"
#include "wire/imap.h"

namespace muster::frontend {

class ImapSession final : public ClientSession {
public:
    using ClientSession::ClientSession;

    Task<void> greet() override;
    Task<std::optional<Login>> identify() override;
    Task<std::optional<std::string>> ask(std::string_view challenge) override;
    [[nodiscard]] std::string welcome(const Login& login, std::string_view text) const override;
    [[nodiscard]] std::string refusal(const Login& login, const Error& error) const override;
    [[nodiscard]] std::string farewell(net::EndReason reason) const override;
    [[nodiscard]] std::string turned_away(std::string_view text) const override;

private:
    struct Again {};
    struct Leave {};
    using Step = std::variant<Again, Login, Leave>;
    using Command = wire::imap::Command;
    struct Verb {
        std::string_view name;
        Task<Step> (ImapSession::*run)(Command);
    };
    static const std::array<Verb, 7> kVerbs;

    /// Reads one command, literals included, into `assembler`; empty when the client left or broke
    /// a limit.
    Task<bool> read_command(wire::CommandAssembler& assembler);
    Task<bool> read_literal(wire::CommandAssembler& assembler, wire::Literal literal);
    /// False: the conversation cannot go on.
    Task<bool> refuse_literal(wire::CommandAssembler& assembler, std::string why);
    Task<Step> serve(std::string_view text);
    Task<Step> answer(std::string_view tag, std::string_view rest);

    Task<Step> capability(Command command);
    Task<Step> noop(Command command);
    Task<Step> id(Command command);
    Task<Step> logout(Command command);
    Task<Step> starttls(Command command);
    Task<Step> login(Command command);
    Task<Step> authenticate(Command command);

    [[nodiscard]] const std::string& capability_words() const;
};

}  // namespace muster::frontend
