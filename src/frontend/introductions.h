#pragma once
// Which servers take it from us who their clients are, so that one that does not is told of once.

#include <atomic>
#include <mutex>
#include <set>
#include <string_view>
#include <utility>

#include "cluster/entries.h"

namespace muster::frontend {

/// One a front end; thread-safe.
class Introductions {
public:
    /// Writes a warning when the server has taken introductions so far.
    void refused(const ServerName& server, cluster::Service service, std::string_view answer);
    /// Says so in the log when it did not before. Takes no lock while no server refuses.
    void taken(const ServerName& server, cluster::Service service);

private:
    using Key = std::pair<std::string, cluster::Service>;

    std::mutex mutex_;
    std::set<Key> refusing_;
    std::atomic<std::size_t> count_{0};
};

}  // namespace muster::frontend
