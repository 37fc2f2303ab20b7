#include "frontend/account_watch.h"

#include "base/log.h"
#include "cluster/entry_keys.h"

namespace muster::frontend {
namespace {

constexpr std::chrono::milliseconds kSettle{50};    ///< several changes in a row: one look
constexpr std::chrono::milliseconds kPause{1'000};  ///< between two looks at all sessions
constexpr std::size_t kMostAddresses = 10'000;      ///< more: all sessions are looked at

}  // namespace

std::string_view why_it_ends(const cluster::SessionInfo& session,
                             const std::optional<cluster::Account>& account) {
    if (!account || account->id != session.account_id) return "removed";
    if (account->disabled) return "disabled";
    if (account->home != session.server) return "moved";
    return {};
}

AccountWatch::AccountWatch(const cluster::TopologyTable& topology,
                           const cluster::SessionTable& sessions, Kick kick)
    : sources_(topology.sources()),
      sessions_(sessions),
      kick_(std::move(kick)),
      directory_(topology) {}

AccountWatch::~AccountWatch() { stop(); }

void AccountWatch::start() {
    for (const cluster::DirectorySource& source : sources_) {
        watches_.push_back(
            source.replica->watch([this](const state::Changed& some) { changed(some); }));
    }
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

void AccountWatch::stop() {
    watches_.clear();
    if (!thread_.joinable()) return;
    thread_.request_stop();
    thread_.join();
}

void AccountWatch::changed(const state::Changed& changed) {
    Addresses found;
    for (const std::string_view key : changed.keys) {
        const auto [prefix, name] = cluster::split_key(key);
        if (prefix == cluster::kAccountPrefix) found.emplace(name);
    }
    if (found.empty() && !changed.everything) return;
    changes_.fetch_add(1);
    {
        const std::scoped_lock lock(mutex_);
        addresses_.merge(found);
        all_ |= changed.everything || addresses_.size() > kMostAddresses;
        if (all_) addresses_.clear();
    }
    woken_.notify_one();
}

void AccountWatch::entered(const AccountAddress& account, std::uint64_t seen) {
    if (changes_.load() == seen) return;
    {
        const std::scoped_lock lock(mutex_);
        addresses_.insert(account.text);
    }
    woken_.notify_one();
}

void AccountWatch::run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
        Addresses addresses;
        bool all = false;
        {
            std::unique_lock lock(mutex_);
            woken_.wait(lock, stop, [this] { return all_ || !addresses_.empty(); });
            woken_.wait_for(lock, stop, kSettle, [] { return false; });
            std::swap(addresses, addresses_);
            all = std::exchange(all_, false);
        }
        if (stop.stop_requested()) return;
        look(all ? nullptr : &addresses);
        std::unique_lock lock(mutex_);
        if (!all && addresses_.empty()) continue;
        woken_.wait_for(lock, stop, kPause, [] { return false; });
    }
}

void AccountWatch::look(const Addresses* addresses) {
    cluster::SessionFilter filter;
    filter.accounts = addresses;
    for (const auto& [handle, session] : sessions_.list(filter, SIZE_MAX)) {
        if (session.account_id.empty()) continue;  // a name that its server alone knows
        const auto account = directory_.account(session.account);
        if (!account) {  // the copy cannot be read now: again with the next look
            const std::scoped_lock lock(mutex_);
            addresses_.insert(session.account.text);
            continue;
        }
        const std::string_view why = why_it_ends(session, *account);
        if (!why.empty()) kick_(handle, std::string(why));
    }
}

}  // namespace muster::frontend
