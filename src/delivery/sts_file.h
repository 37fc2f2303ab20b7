#pragma once
// MTA-STS policies that outlive the process (RFC 8461, 10.2: without them the next look-up may be
// an attacker's).

#include <chrono>
#include <cstddef>
#include <mutex>
#include <string>
#include <vector>

#include "base/error.h"

namespace muster::delivery {

struct KeptPolicy {
    std::string domain;
    std::string id;
    std::chrono::sys_seconds until{};
    std::string text;  ///< as it was fetched

    friend bool operator==(const KeptPolicy&, const KeptPolicy&) = default;
};

/// One text file: a line for each policy, later ones of a domain in place of earlier ones. Written
/// anew when it holds more than twice what is in force. Blocks; thread-safe.
class StsFile {
public:
    static constexpr std::size_t kLongestText =
        std::size_t{8} * 1024;                                      ///< longer ones are not kept
    static constexpr std::size_t kLargest = std::size_t{16} << 20;  ///< bytes of the file

    /// An empty path: nothing is kept.
    explicit StsFile(std::string path) : path_(std::move(path)) {}

    /// Those in force at `now`, one a domain. What cannot be read is passed over.
    std::vector<KeptPolicy> load(std::chrono::sys_seconds now);
    /// Adds one. Io; Limit: the file is full of others in force.
    Result<> add(const KeptPolicy& policy, std::chrono::sys_seconds now);

private:
    std::vector<KeptPolicy> read(std::chrono::sys_seconds now);
    Result<> write(const std::vector<KeptPolicy>& policies);

    const std::string path_;
    std::mutex mutex_;
    std::size_t size_ = 0;      ///< of the file
    std::size_t in_force_ = 0;  ///< bytes of it when it was written anew
};

}  // namespace muster::delivery
