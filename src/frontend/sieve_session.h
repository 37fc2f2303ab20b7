#pragma once
// ManageSieve before login (RFC 5804).

#include <variant>

#include "frontend/client_session.h"
#include "wire/sieve.h"

namespace muster::frontend {

class SieveSession final : public ClientSession {
public:
    using ClientSession::ClientSession;

    Task<void> greet() override;
    Task<std::optional<Login>> identify() override;
    Task<std::optional<std::string>> ask(std::string_view challenge) override;
    Task<std::optional<std::string>> conclude(std::string last) override;
    [[nodiscard]] std::string welcome(const Login& login, std::string_view text) const override;
    [[nodiscard]] std::string refusal(const Login& login, const Error& error) const override;
    [[nodiscard]] std::string farewell(net::EndReason reason) const override;
    [[nodiscard]] std::string turned_away(std::string_view text) const override;

private:
    struct Again {};
    struct Leave {};
    using Step = std::variant<Again, Login, Leave>;
    using Command = wire::sieve::Command;
    struct Verb {
        std::string_view name;
        Task<Step> (SieveSession::*run)(Command);
    };
    static const std::array<Verb, 5> kVerbs;

    /// Reads lines and literals of one command into `assembler`; false when the client left or
    /// broke a limit (it was told).
    Task<bool> read_text(wire::CommandAssembler& assembler);
    Task<Step> serve(std::string_view text);
    Task<Step> answer(std::string_view status, std::string_view code, std::string_view text);

    Task<Step> authenticate(Command command);
    Task<Step> starttls(Command command);
    Task<Step> capability(Command command);
    Task<Step> noop(Command command);
    Task<Step> logout(Command command);

    [[nodiscard]] wire::CommandLimits command_limits() const;
};

}  // namespace muster::frontend
