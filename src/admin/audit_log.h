#pragma once
// Who changed what, when: one JSON line for each change, synced before the answer goes out.

#include <nlohmann/json.hpp>

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "base/error.h"

namespace muster::admin {

struct AuditRecord {
    std::string who;     ///< "unix:UID", "admin:NAME", "node:NAME"
    std::string from;    ///< address of the caller
    std::string action;  ///< "account add", "server set" …
    std::string object;
    nlohmann::json before{};  ///< null: there was none
    nlohmann::json after{};
    std::string outcome = "done";  ///< else the reason why not
};

/// What stands under keys that hold secrets, at any depth, becomes "…".
nlohmann::json redacted(nlohmann::json value);

/// Appends only. Thread-safe; blocks on the disk.
class AuditLog {
public:
    static Result<std::unique_ptr<AuditLog>> open(const std::string& path);
    ~AuditLog();
    AuditLog(const AuditLog&) = delete;
    AuditLog& operator=(const AuditLog&) = delete;

    Result<> append(const AuditRecord& record);
    /// The newest `count` records, oldest first.
    Result<std::vector<nlohmann::json>> newest(std::size_t count) const;

private:
    AuditLog(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

    std::string path_;
    int fd_;
    std::mutex mutex_;
};

/// UTC with milliseconds, as in the log (RFC 3339).
std::string timestamp_now();

}  // namespace muster::admin
