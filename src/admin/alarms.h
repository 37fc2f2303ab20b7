#pragma once
// What an operator should look at before it breaks. Pure.

#include <nlohmann/json.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace muster::admin {

using WallTime = std::chrono::system_clock::time_point;

/// Begins to warn this long before a certificate ends.
inline constexpr auto kCertificateWarning = std::chrono::days(30);

struct Alarm {
    std::string about;  ///< "certificate mail", "server sv2" …
    std::string text;
    bool severe = false;  ///< something does not work now
};

struct NamedCertificate {
    std::string about;
    std::string chain;  ///< PEM
};

/// Of one certificate, when there is something to say. `advice` stands behind it.
std::optional<Alarm> end_alarm(const std::string& about, WallTime end, WallTime now,
                               std::string_view advice = {});
std::vector<Alarm> certificate_alarms(const std::vector<NamedCertificate>& certificates,
                                      WallTime now);
nlohmann::json to_json(const std::vector<Alarm>& alarms);

}  // namespace muster::admin
