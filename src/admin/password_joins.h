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
#include "admin/join.h"
#include "admin/join_proof.h"
#include "admin/node_context.h"
#include "base/endpoint.h"

namespace muster::admin {

/// Thread-safe; calls are short. Attempts by address are limited by whoever calls, those by name
/// here.
class PasswordJoins {
public:
    explicit PasswordJoins(NodeContext& node) : node_(node) {}

    /// Whether a wish to join comes with a password rather than with a token.
    static bool is_begun_by(const nlohmann::json& wish) { return wish.contains("scram"); }
    /// Both add to `wish` who asks; for finish() it becomes what begin() was asked for.
    Result<nlohmann::json> begin(nlohmann::json& wish, const JoinCaller& caller);
    /// Of a refused proof the public text is the answer; the detail may say more, for the log.
    Result<nlohmann::json> finish(nlohmann::json& wish, const JoinCaller& caller);

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

    NodeContext& node_;
    Pending<Begun> begun_;
    AttemptLimit by_name_{20, std::chrono::minutes(5)};
};

}  // namespace muster::admin
