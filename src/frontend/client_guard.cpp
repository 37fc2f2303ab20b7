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

bool ClientGuard::has_room(const Record& record, std::size_t server,
                           net::Clock::time_point now) const {
    const std::size_t room =
        record.failures == 0 ? kAttemptsAtOnce : limits_.failures - record.failures;
    std::size_t prompt = 0;
    std::size_t at_server = 0;
    for (const UnderWay& each : record.attempts) {
        if (each.waits_for_client || now - each.since < patience_) ++prompt;
        if (each.server == server) ++at_server;
    }
    return prompt < room && at_server < (room + 1) / 2;
}

ClientGuard::Turn ClientGuard::begin(const IpAddress& client, std::string_view server,
                                     Attempt& attempt) {
    const IpAddress key = client_network(client);
    const std::size_t place = std::hash<std::string_view>{}(server);
    const auto now = net::Clock::now();
    Stripe& home = stripe(key);
    const std::scoped_lock lock(home.mutex);
    Record& record = home.records[key];
    if (record.failures != 0 && now >= record.window_ends) record.failures = record.forgiven = 0;
    if (record.failures >= limits_.failures) return Turn::Never;
    if (!has_room(record, place, now)) return Turn::Later;
    record.last_attempt = std::max(record.last_attempt + 1, std::uint32_t{1});
    attempt = Attempt{record.last_attempt};
    record.attempts.push_back({attempt, false, place, now});
    return Turn::Now;
}

void ClientGuard::waits_for_client(const IpAddress& client, Attempt attempt, bool waits) {
    const IpAddress key = client_network(client);
    Stripe& home = stripe(key);
    const std::scoped_lock lock(home.mutex);
    const auto found = home.records.find(key);
    if (found == home.records.end()) return;
    const auto each = std::ranges::find(found->second.attempts, attempt, &UnderWay::attempt);
    if (each == found->second.attempts.end()) return;
    each->waits_for_client = waits;
    each->since = net::Clock::now();
}

void ClientGuard::end_attempt(Record& record, Attempt attempt) {
    std::erase_if(record.attempts,
                  [attempt](const UnderWay& each) { return each.attempt == attempt; });
    // A record stays for as long as its connections; room for a crowd need not.
    if (record.attempts.empty()) record.attempts = {};
}

net::Duration ClientGuard::failed(const IpAddress& client, Attempt attempt) {
    const IpAddress key = client_network(client);
    Stripe& home = stripe(key);
    const std::scoped_lock lock(home.mutex);
    Record& record = home.records[key];
    end_attempt(record, attempt);
    const auto now = net::Clock::now();
    if (now >= record.window_ends) record.failures = record.forgiven = 0;
    if (record.failures++ == 0) record.window_ends = now + limits_.failure_window;
    return std::min(kFirstDelay * record.failures, kLongestDelay);
}

void ClientGuard::succeeded(const IpAddress& client, Attempt attempt) {
    const IpAddress key = client_network(client);
    Stripe& home = stripe(key);
    const std::scoped_lock lock(home.mutex);
    const auto found = home.records.find(key);
    if (found == home.records.end()) return;
    Record& record = found->second;
    end_attempt(record, attempt);
    if (record.failures == 0 || record.forgiven >= limits_.failures) return;
    --record.failures;
    ++record.forgiven;
}

void ClientGuard::withdrawn(const IpAddress& client, Attempt attempt) {
    const IpAddress key = client_network(client);
    Stripe& home = stripe(key);
    const std::scoped_lock lock(home.mutex);
    const auto found = home.records.find(key);
    if (found != home.records.end()) end_attempt(found->second, attempt);
}

void ClientGuard::forget_old(Stripe& stripe, net::Clock::time_point now) {
    std::erase_if(stripe.records, [now](const auto& item) {
        return item.second.connections == 0 && now >= item.second.window_ends;
    });
    if (stripe.records.size() < kMaxRecordsPerStripe) return;
    std::erase_if(stripe.records, [](const auto& item) { return item.second.connections == 0; });
}

}  // namespace muster::frontend
