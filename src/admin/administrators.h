#pragma once
// Who may administer the cluster from afar: names and passwords.

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "admin/api.h"
#include "admin/attempt_limit.h"
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
    explicit Administrators(NodeContext& node);

    /// The value of an Authorization header (basic), shown by a client at `from`. A node that
    /// passes a call on (`member`; else empty) says where it came from, and may say anything: what
    /// it passes on is limited, too. Errors: Refused; Limit after too many failures from one
    /// address or by one member; Unavailable when it cannot be told.
    Result<AdministratorRights> check(std::string_view authorization, const IpAddress& from,
                                      const std::string& member = {});

private:
    using Clock = std::chrono::steady_clock;
    /// What was proven holds while the administrator's entry stays as it was; where the entry is
    /// not seen, for a few seconds.
    struct Proven {
        AdministratorRights rights;
        std::string entry;
        Clock::time_point until;
    };
    [[nodiscard]] bool sees_entries() const;
    Result<std::string> entry_of(const std::string& name) const;
    std::optional<AdministratorRights> remembered(const std::string& digest);
    Result<Proven> judge(const std::string& authorization, const IpAddress& from);
    Result<Proven> verify(const std::string& name, const std::string& password);
    Result<Proven> ask_master(const std::string& authorization, const IpAddress& from);

    NodeContext& node_;
    /// Counts the attempt for its address and its member, where both have one left.
    bool begin_attempt(const IpAddress& from, const std::string& member);

    AttemptLimit attempts_;
    AttemptLimit passed_on_;  ///< by member
    std::mutex mutex_;
    std::map<std::string, Proven> proven_;  // by digest of what was shown
};

}  // namespace muster::admin
