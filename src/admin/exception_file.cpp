#include "admin/exception_file.h"

#include "admin/files.h"
#include "base/log.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;

constexpr std::size_t kMostBytes = 8 << 20;
constexpr const char* kDomains = "domains";

Result<json> parsed(const std::string& text) {
    json content = state::parse_json(text);
    if (!content.is_object()) return fail(ErrorKind::Corrupt, "it is no JSON object");
    const json domains = content.value(kDomains, json::object());
    if (!domains.is_object()) return fail(ErrorKind::Corrupt, "\"domains\" is no JSON object");
    if (domains.size() > cluster::kMaxExceptions) return fail(ErrorKind::Limit, "too many domains");
    for (const auto& [domain, patch] : domains.items()) {
        if (!patch.is_object()) return fail(ErrorKind::Corrupt, domain + ": no JSON object");
    }
    return content;
}

}  // namespace

ExceptionFile::ExceptionFile(std::string path) : path_(std::move(path)) {
    if (auto done = read(); !done) {
        log::error("exceptions_unreadable", {{"file", path_}, {"reason", done.error().detail}});
    }
}

Result<> ExceptionFile::read() {
    content_ = json::object();
    trouble_.clear();
    if (exists(path_)) {
        const auto text = read_file(path_, kMostBytes);
        auto content = text ? parsed(*text) : Result<json>(std::unexpected(text.error()));
        if (!content) {
            trouble_ = content.error().detail;
            return std::unexpected(content.error());
        }
        content_ = std::move(*content);
    }
    use();
    return {};
}

void ExceptionFile::use() {
    cluster::DomainPatches patches;
    const json domains = content_.value(kDomains, json::object());
    for (const auto& [domain, patch] : domains.items()) {
        patches.emplace(domain, state::json_line(patch));
    }
    exceptions_->replace(std::move(patches));
}

std::string ExceptionFile::trouble() const {
    const std::scoped_lock lock(mutex_);
    return trouble_;
}

json ExceptionFile::all() const {
    const std::scoped_lock lock(mutex_);
    return content_.value(kDomains, json::object());
}

json ExceptionFile::of(std::string_view domain) const {
    const std::scoped_lock lock(mutex_);
    const auto domains = content_.find(kDomains);
    if (domains == content_.end()) return nullptr;
    const auto found = domains->find(domain);
    return found == domains->end() ? json() : *found;
}

Result<> ExceptionFile::put(const std::string& domain, const json& patch) {
    const std::scoped_lock lock(mutex_);
    if (!trouble_.empty()) {  // it may have been repaired
        if (auto again = read(); !again) {
            return fail(ErrorKind::Conflict,
                        path_ + " is damaged, repair or remove it: " + trouble_);
        }
    }
    json next = content_;
    json& domains = next[kDomains];
    if (patch.empty()) {
        domains.erase(domain);
    } else {
        domains[domain] = patch;
    }
    const std::string text = next.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
    if (text.size() > kMostBytes || domains.size() > cluster::kMaxExceptions) {
        return fail(ErrorKind::Limit, "too many exceptions");
    }
    if (auto written = write_file(path_, text, 0600); !written) return written;
    content_ = std::move(next);
    use();
    return {};
}

}  // namespace muster::admin
