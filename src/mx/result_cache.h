#pragma once
// Messages that some server has although their client was not told so: when the client sends them
// again, nothing is delivered twice.

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/endpoint.h"
#include "net/timer.h"

namespace muster::mx {

/// What makes a message the same one when its client sends it again. Another client's is never the
/// same, so that nobody can make mail of others vanish.
struct MessageIdentity {
    IpAddress client{};
    std::string sender{};
    std::vector<std::string> recipients{};  ///< as the client gave them
    std::string message_id{};
    std::uint64_t size = 0;
    std::uint64_t checksum = 0;  ///< of what the client sent

    /// Its hash; empty without a Message-ID: then nobody can tell a second try from a second
    /// message.
    [[nodiscard]] std::string key() const;
};

/// The targets that have a message, by its key, for some hours. Bounded; thread-safe; costs nothing
/// while there is nothing in it. Lost with the process.
class ResultCache {
public:
    using Targets = std::vector<std::string>;

    /// Adds to what is known of the message.
    void remember(const MessageIdentity& message, const Targets& targets);
    /// Which targets have it already.
    [[nodiscard]] Targets find(const MessageIdentity& message);

private:
    struct Known {
        Targets targets;
        net::Clock::time_point until;
    };
    void forget_old(net::Clock::time_point now);

    std::atomic<std::size_t> size_{0};
    std::mutex mutex_;
    std::map<std::string, Known> known_;
};

}  // namespace muster::mx
