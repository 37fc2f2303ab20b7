#include "delivery/sts_file.h"

#include <fstream>
#include <map>
#include <optional>
#include <ranges>

#include "base/base64.h"
#include "queue/disk.h"
#include "wire/ascii.h"

namespace muster::delivery {
namespace {

constexpr std::size_t kRewriteFrom = std::size_t{64} * 1024;

std::string line_of(const KeptPolicy& policy) {
    return policy.domain + ' ' + policy.id + ' ' +
           std::to_string(policy.until.time_since_epoch().count()) + ' ' +
           base64_encode(policy.text) + '\n';
}

std::optional<KeptPolicy> parse_line(std::string_view line) {
    std::vector<std::string_view> words;
    for (const auto word : line | std::views::split(' ')) {
        words.emplace_back(word.begin(), word.end());
    }
    if (words.size() != 4 || words[0].empty() || words[1].empty()) return std::nullopt;
    const auto until = wire::parse_number(words[2], INT64_MAX / 1'000'000'000);
    auto text = base64_decode(words[3], StsFile::kLongestText);
    if (!until || !text) return std::nullopt;
    return KeptPolicy{std::string(words[0]), std::string(words[1]),
                      std::chrono::sys_seconds(std::chrono::seconds(*until)), std::move(*text)};
}

}  // namespace

std::vector<KeptPolicy> StsFile::read(std::chrono::sys_seconds now) {
    std::map<std::string, KeptPolicy> latest;
    std::ifstream file(path_, std::ios::binary);
    std::string line;
    for (std::size_t size = 0; std::getline(file, line);) {
        size += line.size() + 1;
        if (size > kLargest) break;
        auto policy = parse_line(line);
        if (policy) latest[policy->domain] = std::move(*policy);
    }
    std::vector<KeptPolicy> found;
    for (auto& [domain, policy] : latest) {
        if (policy.until > now) found.push_back(std::move(policy));
    }
    return found;
}

std::vector<KeptPolicy> StsFile::load(std::chrono::sys_seconds now) {
    if (path_.empty()) return {};
    const std::scoped_lock lock(mutex_);
    auto found = read(now);
    if (!found.empty()) (void)write(found);  // else it stays as it is until something is added
    return found;
}

Result<> StsFile::write(const std::vector<KeptPolicy>& policies) {
    std::string text;
    for (const KeptPolicy& each : policies) text += line_of(each);
    const std::size_t slash = path_.rfind('/');
    auto written = queue::replace_file(path_.substr(0, slash), path_.substr(slash + 1), text);
    if (written) size_ = in_force_ = text.size();
    return written;
}

Result<> StsFile::add(const KeptPolicy& policy, std::chrono::sys_seconds now) {
    if (path_.empty() || policy.text.size() > kLongestText) return {};
    const std::string line = line_of(policy);
    const std::scoped_lock lock(mutex_);
    if (size_ + line.size() > 2 * in_force_ + kRewriteFrom) {
        if (auto written = write(read(now)); !written) return written;
    }
    if (size_ + line.size() > kLargest) return fail(ErrorKind::Limit, path_ + " is full");
    std::ofstream file(path_, std::ios::binary | std::ios::app);
    file << line << std::flush;
    if (!file) return fail(ErrorKind::Io, path_ + " cannot be written");
    size_ += line.size();
    return {};
}

}  // namespace muster::delivery
