#pragma once
// The agent as other threads see it: each call runs on the agent's loop while the caller waits.
// Blocking threads only; the loop must be running.

#include <nlohmann/json_fwd.hpp>

#include <string>

#include "backend/agent.h"

namespace muster::backend {

class AgentCalls {
public:
    /// Both must outlive the calls.
    AgentCalls(net::Loop& loop, Agent& agent) : loop_(loop), agent_(agent) {}

    /// Ends all that the account has open here now; returns when it is gone, with the number of
    /// processes.
    Result<std::size_t> end_sessions(const std::string& address);

    /// {"account","service"} → {"id","secret"}: one login within a minute.
    Result<nlohmann::json> issue_token(const nlohmann::json& request);

    /// What Dovecot said of a probe's login: {"client","session"}, or NotFound.
    Result<nlohmann::json> probe(const std::string& name);

    /// A step of a SASL exchange; messages are base64. Begins with
    ///   {"mechanism","service","initial"?,"client"? "ADDRESS:PORT","session"?}
    /// and goes on with {"exchange","data"}. Answers are
    ///   {"state":"challenge","exchange","data"}, {"state":"accepted","account","data"} or
    ///   {"state":"refused","temporary"}.
    Result<nlohmann::json> authenticate(const nlohmann::json& request);

private:
    net::Loop& loop_;
    Agent& agent_;
};

/// Pure halves of authenticate().
Result<AuthenticateRequest> authenticate_request(const nlohmann::json& request);
nlohmann::json to_json(const AuthStep& step);

}  // namespace muster::backend
