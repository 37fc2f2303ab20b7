#include "delivery/connection_cache.h"

#include <algorithm>
#include <iterator>

namespace muster::delivery {

/// Takes one out of both lists.
std::unique_ptr<MailUpstream> ConnectionCache::extract(Order::iterator which) {
    auto upstream = std::move(which->upstream);
    std::erase(by_key_.find(upstream->target()->key)->second, which);
    waiting_.erase(which);
    return upstream;
}

std::unique_ptr<MailUpstream> ConnectionCache::take(const std::string& key,
                                                    const ClientFacts* client) {
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) return nullptr;
    while (const auto which = choose(found->second, client)) {
        const bool fresh = net::Clock::now() - (*which)->since < limits_.idle;
        auto upstream = extract(*which);
        if (fresh && upstream->quiet()) return upstream;
        upstream->quit();
    }
    return nullptr;
}

/// The newest that knows the client, else the newest that can be told of it.
std::optional<ConnectionCache::Order::iterator> ConnectionCache::choose(const Waiters& waiters,
                                                                        const ClientFacts* client) {
    std::optional<Order::iterator> chosen;
    for (auto each = waiters.rbegin(); each != waiters.rend(); ++each) {
        const MailUpstream& upstream = *(*each)->upstream;
        if (upstream.knows(client)) return *each;
        if (!chosen && upstream.fits(client)) chosen = *each;
    }
    return chosen;
}

void ConnectionCache::put(std::unique_ptr<MailUpstream> upstream) {
    const unsigned servers = upstream->extensions().max_transactions;
    const unsigned most =
        servers == 0 ? limits_.transactions : std::min(servers, limits_.transactions);
    if (!upstream->usable() || upstream->transactions() >= most || limits_.connections == 0 ||
        limits_.per_target == 0) {
        return upstream->quit();
    }
    const auto found = by_key_.find(upstream->target()->key);
    if (found != by_key_.end() && found->second.size() >= limits_.per_target) {
        extract(found->second.front())->quit();
    }
    if (waiting_.size() >= limits_.connections) extract(waiting_.begin())->quit();
    waiting_.push_back({std::move(upstream), net::Clock::now()});
    by_key_[waiting_.back().upstream->target()->key].push_back(std::prev(waiting_.end()));
}

void ConnectionCache::forget(const std::string& key) {
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) return;
    while (!found->second.empty()) extract(found->second.front())->quit();
}

void ConnectionCache::sweep(net::Clock::time_point now) {
    while (!waiting_.empty() && now - waiting_.front().since >= limits_.idle) {
        extract(waiting_.begin())->quit();
    }
    for (auto each = waiting_.begin(); each != waiting_.end();) {
        const auto which = each++;
        if (which->upstream->stirs() && !which->upstream->quiet()) extract(which)->quit();
    }
    std::erase_if(by_key_, [](const auto& one) { return one.second.empty(); });
}

void ConnectionCache::clear() {
    while (!waiting_.empty()) extract(waiting_.begin())->quit();
    by_key_.clear();
}

}  // namespace muster::delivery
