#pragma once
// The master's side of joins with an administrator's password (join_proof.h): two calls.
//
//   POST /v1/join        {"name", "scope", "cluster", "user", "scram": first message}
//                     -> {"scram": challenge}
//   POST /v1/join/proof  {"scram": last message}
//                     -> {"scram": the master's proof, and what a member has to know}
//
// What is asked for is signed with the proof; both keys are, too.

#include <nlohmann/json.hpp>

#include <string>

#include "admin/attempt_limit.h"
#include "admin/join_proof.h"
#include "admin/node_admission.h"
#include "admin/node_context.h"
#include "base/endpoint.h"

namespace muster::admin {

/// Thread-safe; calls are short. Calls by address are limited by whoever calls; wrong proofs here:
/// by name and the client's network, so that nobody far away keeps an administrator out, and by
/// name alone, with more of them. What was only begun counts for nothing.
class PasswordJoins {
public:
    explicit PasswordJoins(NodeContext& node) : node_(node) {}

    /// Whether a wish to join comes with a password rather than with a token.
    static bool is_begun_by(const nlohmann::json& wish) { return wish.contains("scram"); }
    /// Both add to `wish` who asks; for finish() it becomes what begin() was asked for.
    Result<nlohmann::json> begin(nlohmann::json& wish, const JoinCaller& caller);
    /// Of a refused proof the public text is the answer; the detail may say more, for the log.
    Result<nlohmann::json> finish(nlohmann::json& wish, const JoinCaller& caller);
    /// Whether there is such an administrator.
    [[nodiscard]] bool knows(const std::string& user) const;

private:
    struct Begun {
        nlohmann::json wish;
        std::string pin;
        std::string user;
        ScramServer exchange;
        std::string unusable;
    };
    struct Known {
        ScramKey key;            ///< one that nothing fits, when there is none
        std::string unusable{};  ///< why this administrator cannot let nodes join
    };
    Result<Known> key_of(const std::string& user) const;
    /// Whether this administrator may add nodes.
    Result<> check_rights(const std::string& user) const;

    /// Counts a proof before it is looked at; false when there were too many wrong ones.
    bool begin_proof(const std::string& user, const IpAddress& from);
    void forgive(const std::string& user, const IpAddress& from);

    NodeContext& node_;
    Pending<Begun> begun_;
    AttemptLimit by_network_{20, std::chrono::minutes(5)};
    AttemptLimit by_name_{100, std::chrono::minutes(5)};
};

}  // namespace muster::admin
