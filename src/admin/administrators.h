#pragma once
// Who may administer the cluster from afar: names and passwords.

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "admin/api.h"
#include "base/endpoint.h"
#include "base/error.h"

namespace muster::admin {

struct AdministratorRights {
    std::string name;
    bool may_write = false;
};

/// Checks name and password against the state; a node that may not see administrators asks a
/// master. Thread-safe; blocks (hashing costs milliseconds on purpose).
class Administrators {
public:
    explicit Administrators(NodeContext& node) : node_(node) {}

    /// The value of an Authorization header (basic). Errors: Refused; Limit after too many
    /// failures from one address; Unavailable when it cannot be told.
    Result<AdministratorRights> check(std::string_view authorization, const IpAddress& from);
    /// Without limits and memory: what a master answers to another node.
    Result<AdministratorRights> verify(const std::string& name, const std::string& password);

private:
    using Clock = std::chrono::steady_clock;
    struct Proven {
        AdministratorRights rights;
        Clock::time_point until;
    };
    struct Failures {
        int count = 0;
        Clock::time_point since;
    };
    Result<AdministratorRights> ask_master(const std::string& authorization);
    bool may_try(const IpAddress& from);
    void failed(const IpAddress& from);

    NodeContext& node_;
    std::mutex mutex_;
    std::map<std::string, Proven> proven_;  // by digest of what was shown
    std::map<IpAddress, Failures> failures_;
};

}  // namespace muster::admin
