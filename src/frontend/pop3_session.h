#pragma once
// POP3 before login (RFC 1939 AUTHORIZATION state, RFC 2449 CAPA, RFC 2595 STLS, RFC 5034 AUTH).

#include <variant>

#include "frontend/client_session.h"
#include "wire/pop3.h"

namespace muster::frontend {

class Pop3Session final : public ClientSession {
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
    using Command = wire::pop3::Command;
    struct Verb {
        std::string_view name;
        Task<Step> (Pop3Session::*run)(Command);
    };
    static const std::array<Verb, 7> kVerbs;

    Task<Step> serve(std::string_view line);
    Task<Step> answer(std::string_view line);

    Task<Step> capa(Command command);
    Task<Step> noop(Command command);
    Task<Step> quit(Command command);
    Task<Step> stls(Command command);
    Task<Step> user(Command command);
    Task<Step> pass(Command command);
    Task<Step> auth(Command command);

    std::string user_;  ///< of a USER that waits for its PASS (RFC 1939, 7)
};

}  // namespace muster::frontend
