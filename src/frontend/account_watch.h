#pragma once
// Sessions that the replica no longer lets in are ended, whoever told us or did not.

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "cluster/directory.h"
#include "cluster/session_table.h"

namespace muster::frontend {

/// Why a session may not go on, by its account as it stands now: "removed", "disabled", "moved";
/// empty when it may. Pure.
std::string_view why_it_ends(const cluster::SessionInfo& session,
                             const std::optional<cluster::Account>& account);

/// Follows the changes of accounts on a thread of its own and ends the sessions of those that were
/// disabled, removed or moved: this node may have been cut off when it was asked to, or have let
/// in somebody by a replica that was behind. start() and stop() by the owner; the rest is
/// thread-safe.
class AccountWatch {
public:
    using Kick = std::function<void(cluster::SessionHandle handle, const std::string& reason)>;

    /// What is passed by reference must outlive it.
    AccountWatch(const cluster::TopologyTable& topology, const cluster::SessionTable& sessions,
                 Kick kick);
    ~AccountWatch();
    AccountWatch(const AccountWatch&) = delete;
    AccountWatch& operator=(const AccountWatch&) = delete;

    void start();
    void stop();

    /// Moves with every change of accounts.
    [[nodiscard]] std::uint64_t changes() const { return changes_.load(); }
    /// For a session that stands in the table now and was let in by what was read after
    /// changes() was `seen`: looks at it once more if anything has changed in between.
    void entered(const AccountAddress& account, std::uint64_t seen);

private:
    using Addresses = std::set<std::string, std::less<>>;
    void changed(const state::Changed& changed);
    void run(const std::stop_token& stop);
    void look(const Addresses* addresses);

    const cluster::DirectorySources sources_;
    const cluster::SessionTable& sessions_;
    Kick kick_;
    cluster::Directory directory_;  ///< of the thread
    std::atomic<std::uint64_t> changes_{0};
    std::mutex mutex_;
    std::condition_variable_any woken_;
    Addresses addresses_;
    bool all_ = false;
    std::vector<state::Watch> watches_;
    std::jthread thread_;
};

}  // namespace muster::frontend
