#pragma once
// Where a follower's lines come from: an HTTP client, or the sender itself in tests.

#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace muster::state {

/// One place that changes can be read from. get() blocks and is called on the follower's thread
/// only; cancel() comes from any thread, makes a running get() return soon and every later one at
/// once.
class Source {
public:
    /// Takes the next bytes of a body; false ends the transfer (get() then succeeds).
    using Sink = std::function<bool(std::string_view bytes)>;

    virtual ~Source() = default;

    /// For the log and the status, such as `master1.example.com:7700`.
    [[nodiscard]] virtual std::string name() const = 0;
    /// Reads `target` (`/v1/changes?since=…`), hands the body to `sink` as it arrives and returns
    /// when it has ended. The bodies of 200, 409 and 410 are feed lines (errors are lines, too).
    /// Everything else is an error: 401 and 403 Refused, the rest Unavailable. A body that ends
    /// early or nothing heard for the inactivity time-out: Unavailable.
    virtual Result<> get(const std::string& target, const Sink& sink) = 0;
    virtual void cancel() = 0;
};

}  // namespace muster::state
