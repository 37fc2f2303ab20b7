#include "queue/recent.h"

#include <utility>

namespace muster::queue {
namespace {

/// What the parts of a message and of an address cost beside the texts.
constexpr std::uint64_t kOfMessage = 1024;
constexpr std::uint64_t kOfRecipient = 256;

}  // namespace

std::uint64_t Recent::bytes_of(const Message& message) {
    return kOfMessage + message.content->size() +
           message.envelope->recipients.size() * kOfRecipient;
}

void Recent::add(const QueueId& id, Message message) {
    if (!message.content->in_memory()) return;
    const std::uint64_t bytes = bytes_of(message);
    const std::scoped_lock lock(mutex_);
    if (bytes_ + bytes > most_) return;
    if (messages_.try_emplace(id.text, std::move(message)).second) bytes_ += bytes;
}

std::optional<Recent::Message> Recent::find(const QueueId& id) const {
    const std::scoped_lock lock(mutex_);
    const auto found = messages_.find(id.text);
    if (found == messages_.end()) return {};
    return found->second;
}

void Recent::forget(const QueueId& id) {
    Message last;  // freed without the lock
    const std::scoped_lock lock(mutex_);
    const auto found = messages_.find(id.text);
    if (found == messages_.end()) return;
    last = std::move(found->second);
    bytes_ -= bytes_of(last);
    messages_.erase(found);
}

}  // namespace muster::queue
