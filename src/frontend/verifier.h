#pragma once
// Credentials judged at a back end, for servers that the session enters by other ones: a one-use
// token of the account's home, or a foreign server's master user.

#include <optional>
#include <string>

#include "base/endpoint.h"
#include "base/error.h"
#include "base/ids.h"
#include "cluster/entries.h"
#include "frontend/login.h"

namespace muster::frontend {

struct VerifyRequest {
    ServerName home;  ///< of the account; any back end judges for a foreign one
    cluster::Service service = cluster::Service::Imap;
    bool wants_token = false;
    wire::sasl::Mechanism mechanism = wire::sasl::Mechanism::Plain;
    std::string message;  ///< the client's first, decoded
    Endpoint client;
    SessionId session;
};

/// What a server is entered with.
struct EntryCredentials {
    std::string user;
    std::string password;
};

struct VerifyStep {
    /// A challenge's text is base64, and so is Accepted's: the last server message of SCRAM, where
    /// it came with the verdict; else empty.
    SaslStep step;
    std::string exchange;  ///< goes with the answer to a challenge
    std::optional<EntryCredentials> token;
    std::string account;  ///< after Accepted: whose credentials they were
};

/// Thread-safe; calls block for as long as the other node takes. Errors: nobody could judge.
class Verifier {
public:
    virtual ~Verifier() = default;
    virtual Result<VerifyStep> begin(const VerifyRequest& request) = 0;
    /// `answer` is base64.
    virtual Result<VerifyStep> answer(const VerifyRequest& request, const std::string& exchange,
                                      const std::string& answer) = 0;
};

}  // namespace muster::frontend
