#pragma once
// Messages that were just taken in, so that their first try reads no file.

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "queue/body.h"
#include "queue/envelope.h"

namespace muster::queue {

/// What is here stands in its file just as it was committed: forget() before anything changes it.
/// Bounded: what finds no room is read from its file. Thread-safe.
class Recent {
public:
    struct Message {
        std::shared_ptr<const Envelope> envelope;
        std::shared_ptr<const Content> content;
    };

    /// `most`: bytes of memory, as far as they can be estimated.
    explicit Recent(std::uint64_t most) : most_(most) {}
    Recent(const Recent&) = delete;
    Recent& operator=(const Recent&) = delete;
    ~Recent() = default;

    /// Texts in files are not kept: each would cost an open file.
    void add(const QueueId& id, Message message);
    [[nodiscard]] std::optional<Message> find(const QueueId& id) const;
    void forget(const QueueId& id);

private:
    static std::uint64_t bytes_of(const Message& message);

    const std::uint64_t most_;
    mutable std::mutex mutex_;
    std::unordered_map<std::string, Message> messages_;  ///< by id
    std::uint64_t bytes_ = 0;
};

}  // namespace muster::queue
