#include "mx/result_cache.h"

#include <algorithm>
#include <iterator>
#include <unordered_set>

#include "base/seal.h"

namespace muster::mx {
namespace {

constexpr std::size_t kMost = 20'000;
constexpr net::Duration kKept{4 * 3600 * 1000};  // mail servers try again well within that

}  // namespace

std::string MessageIdentity::key() const {
    if (message_id.empty()) return {};
    std::string text(message_id);
    text += '\n';
    text += client.text();
    text += '\n';
    text += std::to_string(size) + ' ' + std::to_string(checksum);
    text += '\n';
    text += sender;
    for (const std::string& recipient : recipients) {
        text += '\n';
        text += recipient;
    }
    return sha256(text);
}

void ResultCache::remember(const MessageIdentity& message, const Targets& targets) {
    if (targets.empty()) return;
    const std::string key = message.key();
    if (key.empty()) return;
    const auto now = net::Clock::now();
    const std::lock_guard lock(mutex_);
    if (known_.size() >= kMost) forget_old(now);
    Known& known = known_[key];
    const std::unordered_set<std::string> before(known.targets.begin(), known.targets.end());
    std::ranges::copy_if(targets, std::back_inserter(known.targets),
                         [&](const std::string& target) { return !before.contains(target); });
    known.until = now + kKept;
    size_ = known_.size();
}

ResultCache::Targets ResultCache::find(const MessageIdentity& message) {
    if (size_.load(std::memory_order_relaxed) == 0) return {};
    const std::string key = message.key();
    const auto now = net::Clock::now();
    const std::lock_guard lock(mutex_);
    const auto found = known_.find(key);
    return found != known_.end() && found->second.until > now ? found->second.targets : Targets();
}

/// Those that are over, and when that does not help half of them: a flood must not grow it.
void ResultCache::forget_old(net::Clock::time_point now) {
    std::erase_if(known_, [&](const auto& item) { return item.second.until <= now; });
    while (known_.size() > kMost / 2) known_.erase(known_.begin());
}

}  // namespace muster::mx
