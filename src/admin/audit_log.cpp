#include "admin/audit_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <fstream>

#include "base/log.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 6> kSecretFields{"password", "keys",  "key",
                                                        "secret",   "token", "passphrase"};

bool is_secret(std::string_view field) {
    return std::ranges::find(kSecretFields, field) != kSecretFields.end();
}

/// 0, or the errno of what went wrong.
int write_whole(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t count = ::write(fd, text.data(), text.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return errno;
        text.remove_prefix(static_cast<std::size_t>(count));
    }
    return ::fdatasync(fd) == 0 ? 0 : errno;
}

}  // namespace

json redacted(json value) {
    if (value.is_array()) {
        for (json& item : value) item = redacted(std::move(item));
    }
    if (!value.is_object()) return value;
    for (auto& [field, inner] : value.items()) {
        if (is_secret(field) && !inner.is_null()) {
            inner = "…";
        } else {
            inner = redacted(std::move(inner));
        }
    }
    return value;
}

std::string timestamp_now() {
    const auto now = std::chrono::system_clock::now();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(now);
    const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(now - seconds);
    const std::time_t time = std::chrono::system_clock::to_time_t(seconds);
    std::tm parts{};
    gmtime_r(&time, &parts);
    std::array<char, 40> text{};
    const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
    std::array<char, 8> fraction{};
    std::snprintf(fraction.data(), fraction.size(), ".%03dZ", static_cast<int>(millis.count()));
    return std::string(text.data(), size) + fraction.data();
}

Result<std::unique_ptr<AuditLog>> AuditLog::open(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) return fail(ErrorKind::Io, path + ": " + std::strerror(errno));
    char last = '\n';  // of an empty file
    const off_t size = ::lseek(fd, 0, SEEK_END);
    const bool torn = size > 0 && ::pread(fd, &last, 1, size - 1) == 1 && last != '\n';
    if (torn && write_whole(fd, "\n") != 0) {
        ::close(fd);
        return fail(ErrorKind::Io, path + ": ends within a line and cannot be written");
    }
    return std::unique_ptr<AuditLog>(new AuditLog(path, fd));
}

AuditLog::~AuditLog() { ::close(fd_); }

Result<> AuditLog::append(const AuditRecord& record) {
    const json line{{"time", timestamp_now()},
                    {"who", record.who},
                    {"from", record.from},
                    {"action", record.action},
                    {"object", record.object},
                    {"before", redacted(record.before)},
                    {"after", redacted(record.after)},
                    {"outcome", record.outcome}};
    const std::string text = state::json_line(line) + "\n";
    const std::scoped_lock lock(mutex_);
    const off_t before = ::lseek(fd_, 0, SEEK_END);
    const int trouble = write_whole(fd_, text);
    if (trouble == 0) return {};
    // Half a line would damage the next one, too.
    if (before >= 0 && ::ftruncate(fd_, before) != 0) {
        log::error("audit_torn", {{"file", path_}, {"reason", std::strerror(errno)}});
    }
    return fail(ErrorKind::Io, path_ + ": " + std::strerror(trouble));
}

Result<std::vector<json>> AuditLog::newest(std::size_t count) const {
    std::ifstream stream(path_);
    if (!stream) return fail(ErrorKind::Io, path_ + ": cannot be read");
    std::deque<std::string> lines;
    for (std::string line; std::getline(stream, line);) {
        lines.push_back(std::move(line));
        if (lines.size() > count) lines.pop_front();
    }
    std::vector<json> records;
    for (const std::string& line : lines) {
        json record = state::parse_json(line);
        if (record.is_object()) records.push_back(std::move(record));
    }
    return records;
}

}  // namespace muster::admin
