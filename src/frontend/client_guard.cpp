#include "frontend/client_guard.h"

#include <algorithm>

#include "base/client_network.h"

namespace muster::frontend {
namespace {

constexpr net::Duration kFirstDelay{2'000};
constexpr net::Duration kLongestDelay{15'000};
constexpr std::size_t kAttemptsAtOnce = 64;  // of an address without a failure

}  // namespace

ClientGuard::Stripe& ClientGuard::stripe(const IpAddress& client) {
    return stripes_[std::hash<IpAddress>{}(client) % kStripes];
}

ClientGuard::Verdict ClientGuard::enter(const IpAddress& client) {
    if (connections_.load(std::memory_order_relaxed) >= limits_.connections) {
        return Verdict::TooMany;
    }
    const IpAddress key = client_network(client);
    Stripe& home = stripe(key);
    const std::scoped_lock lock(home.mutex);
    if (home.records.size() >= kMaxRecordsPerStripe) forget_old(home, net::Clock::now());
    Record& record = home.records[key];
    if (record.connections >= limits_.connections_per_address) {
        return Verdict::TooManyFromAddress;
    }
    if (record.failures >= limits_.failures && net::Clock::now() < record.window_ends) {
        return Verdict::TooManyFailures;
    }
    ++record.connections;
    connections_.fetch_add(1, std::memory_order_relaxed);
    return Verdict::Welcome;
}

void ClientGuard::leave(const IpAddress& client) {
    const IpAddress key = client_network(client);
    Stripe& home = stripe(key);
    const std::scoped_lock lock(home.mutex);
    const auto found = home.records.find(key);
    if (found == home.records.end() || found->second.connections == 0) return;
    --found->second.connections;
    connections_.fetch_sub(1, std::memory_order_relaxed);
    // What was forgiven is remembered for the window, whoever leaves meanwhile.
    const Record& record = found->second;
    const bool is_clean = record.failures == 0 && record.forgiven == 0;
    if (record.connections == 0 && is_clean) home.records.erase(found);
}

ClientGuard::Turn ClientGuard::begin(const IpAddress& client) {
    const IpAddress key = client_network(client);
    Stripe& home = stripe(key);
    const std::scoped_lock lock(home.mutex);
    Record& record = home.records[key];
    if (record.failures != 0 && net::Clock::now() >= record.window_ends) {
        record.failures = record.forgiven = 0;
    }
    if (record.failures >= limits_.failures) return Turn::Never;
    const std::size_t room =
        record.failures == 0 ? kAttemptsAtOnce : limits_.failures - record.failures;
    if (record.attempts >= room) return Turn::Later;
    ++record.attempts;
    return Turn::Now;
}

void ClientGuard::end_attempt(Record& record) {
    if (record.attempts != 0) --record.attempts;
}

net::Duration ClientGuard::failed(const IpAddress& client) {
    const IpAddress key = client_network(client);
    Stripe& home = stripe(key);
    const std::scoped_lock lock(home.mutex);
    Record& record = home.records[key];
    end_attempt(record);
    const auto now = net::Clock::now();
    if (now >= record.window_ends) record.failures = record.forgiven = 0;
    if (record.failures++ == 0) record.window_ends = now + limits_.failure_window;
    return std::min(kFirstDelay * record.failures, kLongestDelay);
}

void ClientGuard::succeeded(const IpAddress& client) {
    const IpAddress key = client_network(client);
    Stripe& home = stripe(key);
    const std::scoped_lock lock(home.mutex);
    const auto found = home.records.find(key);
    if (found == home.records.end()) return;
    Record& record = found->second;
    end_attempt(record);
    if (record.failures == 0 || record.forgiven >= limits_.failures) return;
    --record.failures;
    ++record.forgiven;
}

void ClientGuard::withdrawn(const IpAddress& client) {
    const IpAddress key = client_network(client);
    Stripe& home = stripe(key);
    const std::scoped_lock lock(home.mutex);
    const auto found = home.records.find(key);
    if (found != home.records.end()) end_attempt(found->second);
}

void ClientGuard::forget_old(Stripe& stripe, net::Clock::time_point now) {
    std::erase_if(stripe.records, [now](const auto& item) {
        return item.second.connections == 0 && now >= item.second.window_ends;
    });
    if (stripe.records.size() < kMaxRecordsPerStripe) return;
    std::erase_if(stripe.records, [](const auto& item) { return item.second.connections == 0; });
}

}  // namespace muster::frontend
