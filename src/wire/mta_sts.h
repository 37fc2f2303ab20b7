#pragma once
// MTA-STS (RFC 8461): the TXT record that names a policy, the policy, and whether an MX host keeps
// it. Fetching and caching are the caller's.

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace muster::wire::mta_sts {

inline constexpr std::size_t kMaxPolicy = std::size_t{64} * 1024;  ///< RFC 8461, 3.3 suggests it
inline constexpr std::size_t kMaxPatterns = 256;
inline constexpr std::chrono::seconds kMaxAge{31'557'600};  ///< RFC 8461, 3.2

/// The id in the TXT record(s) of `_mta-sts.DOMAIN` (3.1), each joined from its strings. Nothing:
/// the domain has no policy, because there is no valid record or more than one.
std::optional<std::string> record_id(std::span<const std::string> records);

enum class Mode { None, Testing, Enforce };

struct Policy {
    Mode mode = Mode::None;
    std::chrono::seconds max_age{};
    std::vector<std::string> patterns{};  ///< lower case: `mx.example.com`, `*.example.com`

    friend bool operator==(const Policy&, const Policy&) = default;
};
/// The text at `https://mta-sts.DOMAIN/.well-known/mta-sts.txt` (3.2). Of a key given twice the
/// first holds (but for mx); other keys are ignored. Syntax: a required key is missing or invalid.
Result<Policy> parse_policy(std::string_view text);

/// Whether an MX host (with or without its final dot, in any case, A-labels) is one of the
/// policy's: `*.` stands for exactly one label (4.1).
bool allows(const Policy& policy, std::string_view host);

}  // namespace muster::wire::mta_sts
