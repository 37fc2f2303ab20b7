#include "cluster/health.h"

#include <unordered_set>

#include "cluster/topology.h"

namespace muster::cluster {

std::string_view name(Observed observed) {
    switch (observed) {
        case Observed::Unknown: return "unknown";
        case Observed::Up: return "up";
        case Observed::Down: return "down";
    }
    return "unknown";
}

std::optional<Observed> HealthMachine::become(Observed next) {
    if (observed_ == next) return std::nullopt;
    observed_ = next;
    failures_.clear();
    return next;
}

std::optional<Observed> HealthMachine::checked(bool good, HealthTime now) {
    forget_before(now - policy_->traffic_window);
    good_ = good ? good_ + 1 : 0;
    bad_ = good ? 0 : bad_ + 1;
    if (observed_ == Observed::Unknown && good) return become(Observed::Up);
    if (good && good_ >= policy_->up_after) return become(Observed::Up);
    if (!good && bad_ >= policy_->down_after) return become(Observed::Down);
    return std::nullopt;
}

std::optional<Observed> HealthMachine::traffic_failed(const IpAddress& client, HealthTime now) {
    if (observed_ == Observed::Down) return std::nullopt;
    forget_before(now - policy_->traffic_window);
    if (failures_.size() == kMaxFailures) failures_.erase(failures_.begin());
    failures_.push_back({client, now});
    std::vector<IpAddress> clients;
    for (const Failure& failure : failures_) {
        if (std::ranges::find(clients, failure.client) == clients.end()) {
            clients.push_back(failure.client);
        }
    }
    if (failures_.size() < policy_->traffic_failures || clients.size() < policy_->traffic_clients) {
        return std::nullopt;
    }
    good_ = 0;
    return become(Observed::Down);
}

void HealthMachine::traffic_succeeded() { failures_.clear(); }

HealthTime HealthMachine::due(HealthTime last_check) const {
    const bool calm = observed_ == Observed::Up && bad_ == 0 && failures_.empty();
    return last_check + (calm ? policy_->interval : policy_->fast_interval);
}

void HealthMachine::forget_before(HealthTime start) {
    std::erase_if(failures_, [&](const Failure& failure) { return failure.at < start; });
}

std::shared_ptr<const ServerHealth> HealthTable::of(const ServerName& server) {
    const std::scoped_lock lock(mutex_);
    return servers_[server].shared;
}

HealthTable::Tracked& HealthTable::tracked(const CheckTarget& target) {
    auto& slot = servers_[target.server].services[static_cast<std::size_t>(target.service)];
    if (!slot) slot.emplace(Tracked{HealthMachine(policy_), std::nullopt, {}, {}});
    return *slot;
}

std::optional<HealthChange> HealthTable::publish(const CheckTarget& target,
                                                 std::optional<Observed> change,
                                                 std::string_view reason) {
    if (!change) return std::nullopt;
    auto& cell = servers_[target.server].shared->cells_[static_cast<std::size_t>(target.service)];
    cell.store(*change, std::memory_order_relaxed);
    return HealthChange{target.server, target.service, *change, std::string(reason)};
}

std::optional<HealthChange> HealthTable::checked(const CheckTarget& target, bool good,
                                                 std::string_view error, HealthTime now) {
    const std::scoped_lock lock(mutex_);
    Tracked& row = tracked(target);
    row.last_check = now;
    row.last_error = good ? std::string_view{} : error;
    return publish(target, row.machine.checked(good, now), error);
}

void HealthTable::saw_certificate(const CheckTarget& target,
                                  std::chrono::system_clock::time_point end) {
    const std::scoped_lock lock(mutex_);
    tracked(target).certificate_end = end;
}

std::optional<HealthChange> HealthTable::traffic_failed(const CheckTarget& target,
                                                        const IpAddress& client,
                                                        std::string_view error, HealthTime now) {
    const std::scoped_lock lock(mutex_);
    Tracked& row = tracked(target);
    row.last_error = error;
    return publish(target, row.machine.traffic_failed(client, now), error);
}

void HealthTable::traffic_succeeded(const CheckTarget& target) {
    const std::scoped_lock lock(mutex_);
    tracked(target).machine.traffic_succeeded();
}

std::vector<CheckTarget> HealthTable::due(const std::vector<CheckTarget>& wanted, HealthTime now) {
    const std::scoped_lock lock(mutex_);
    std::unordered_set<ServerName> names;
    std::vector<CheckTarget> result;
    for (const CheckTarget& target : wanted) {
        names.insert(target.server);
        Tracked& row = tracked(target);
        if (row.last_check && row.machine.due(*row.last_check) > now) continue;
        row.last_check = now;
        result.push_back(target);
    }
    std::erase_if(servers_, [&](const auto& server) {
        return !names.contains(server.first) && server.second.shared.use_count() == 1;
    });
    return result;
}

std::vector<HealthRow> HealthTable::rows() const {
    const std::scoped_lock lock(mutex_);
    std::vector<HealthRow> result;
    for (const auto& [server, row] : servers_) {
        for (const Service service : kServices) {
            const auto& slot = row.services[static_cast<std::size_t>(service)];
            if (!slot) continue;
            result.push_back({server, service, slot->machine.observed(), slot->last_error,
                              slot->last_check, slot->certificate_end});
        }
    }
    std::ranges::sort(result, [](const HealthRow& a, const HealthRow& b) {
        return std::tie(a.server, a.service) < std::tie(b.server, b.service);
    });
    return result;
}

std::vector<CheckTarget> check_targets(const Topology& topology) {
    std::vector<CheckTarget> result;
    for (const ServerView& view : topology.servers()) {
        if (view.server.admin == AdminState::Down) continue;
        for (const Service service : kServices) {
            if (view.server.service(service)) result.push_back({view.server.name, service});
        }
    }
    return result;
}

}  // namespace muster::cluster
