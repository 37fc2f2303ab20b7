#pragma once
// What one node does otherwise than its directory says, of single domains: JSON merge patches
// (RFC 7396) that stay on this node.

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/error.h"

namespace muster::cluster {

inline constexpr std::size_t kMaxExceptions = 10'000;  ///< domains

/// By the domain's name: the text of a JSON object.
using DomainPatches = std::map<std::string, std::string, std::less<>>;

/// The domain with this node's patch. Corrupt or Syntax when the patch is no object, touches what
/// makes the domain this one (`name`, `kind`), or what comes of it is no domain.
Result<std::string> patched_domain(std::string_view name, std::string_view json,
                                   std::string_view patch);

/// The patches in force, for all threads.
class DomainExceptions {
public:
    [[nodiscard]] std::shared_ptr<const DomainPatches> current() const;
    void replace(DomainPatches patches);

private:
    mutable std::mutex mutex_;
    std::shared_ptr<const DomainPatches> patches_ = std::make_shared<const DomainPatches>();
};

}  // namespace muster::cluster
