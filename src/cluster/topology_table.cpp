// The current snapshot of a process: read from the replica, replaced when that changes.

#include "base/log.h"
#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"
#include "cluster/topology.h"

namespace muster::cluster {
namespace {

constexpr std::size_t kPage = 1'000;
constexpr std::chrono::milliseconds kSettle{20};  ///< several changes in a row: one rebuild
constexpr std::chrono::seconds kRetry{1};         ///< after a read that failed
constexpr std::array kTopologyPrefixes{kDomainPrefix,  kServerPrefix,      kNodePrefix,
                                       kSettingPrefix, kCertificatePrefix, kCredentialPrefix,
                                       kSecretPrefix,  kDkimPrefix};

bool matters(const state::Changed& changed) {
    if (changed.everything) return true;
    return std::ranges::any_of(changed.keys, [](const std::string& key) {
        return std::ranges::any_of(
            kTopologyPrefixes, [&](std::string_view prefix) { return key.starts_with(prefix); });
    });
}

template <auto Decode, typename T>
Result<> read_kind(state::ReplicaReader& reader, std::string_view prefix, std::vector<T>& out) {
    const std::string end = state::prefix_end(prefix);
    std::string from(prefix);
    while (true) {
        const auto entries = reader.range(from, end, kPage);
        if (!entries) return std::unexpected(entries.error());
        for (const state::Entry& entry : *entries) {
            auto object = Decode(std::string_view(entry.key).substr(prefix.size()), entry.value);
            if (object) {
                out.push_back(std::move(*object));
            } else {
                log::error("entry_unreadable",
                           {{"key", entry.key}, {"reason", object.error().detail}});
            }
        }
        if (entries->size() < kPage) return {};
        from = state::after(entries->back().key);
    }
}

}  // namespace

Result<TopologyParts> read_topology(state::ReplicaReader& reader) {
    TopologyParts parts;
    const std::array<Result<>, 8> outcomes{
        read_kind<decode_domain>(reader, kDomainPrefix, parts.domains),
        read_kind<decode_server>(reader, kServerPrefix, parts.servers),
        read_kind<decode_node>(reader, kNodePrefix, parts.nodes),
        read_kind<decode_setting>(reader, kSettingPrefix, parts.settings),
        read_kind<decode_certificate>(reader, kCertificatePrefix, parts.certificates),
        read_kind<decode_credential>(reader, kCredentialPrefix, parts.credentials),
        read_kind<decode_shared_secret>(reader, kSecretPrefix, parts.secrets),
        read_kind<decode_dkim_key>(reader, kDkimPrefix, parts.dkim_keys)};
    for (const Result<>& outcome : outcomes) {
        if (!outcome) return std::unexpected(outcome.error());
    }
    return parts;
}

TopologyTable::TopologyTable(std::shared_ptr<state::Replica> replica, HealthTable& health)
    : health_(health),
      reader_(replica),
      current_(std::make_shared<const Topology>(TopologyParts{}, health)) {
    watch_ = replica->watch([this](const state::Changed& changed) {
        if (!matters(changed)) return;
        {
            const std::scoped_lock lock(mutex_);
            stale_ = true;
        }
        woken_.notify_one();
    });
    if (replica->filled()) {
        if (auto read = refresh(); !read) {
            log::error("topology_unreadable", {{"reason", read.error().detail}});
        }
    }
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

TopologyTable::~TopologyTable() {
    watch_ = {};
    thread_.request_stop();
    thread_.join();
}

std::shared_ptr<const Topology> TopologyTable::current() const {
    const std::scoped_lock lock(mutex_);
    return current_;
}

Result<> TopologyTable::refresh() {
    const std::scoped_lock lock(build_mutex_);
    auto parts = read_topology(reader_);
    if (!parts) return std::unexpected(parts.error());
    replace(std::make_shared<const Topology>(std::move(*parts), health_));
    return {};
}

void TopologyTable::replace(std::shared_ptr<const Topology> next) {
    std::vector<std::function<void(std::shared_ptr<const Topology>)>> listeners;
    {
        const std::scoped_lock lock(mutex_);
        current_ = next;
        listeners = listeners_;
    }
    version_.fetch_add(1, std::memory_order_release);
    for (const auto& listener : listeners) listener(next);
}

void TopologyTable::on_change(std::function<void(std::shared_ptr<const Topology>)> listener) {
    const std::scoped_lock building(build_mutex_);
    {
        const std::scoped_lock lock(mutex_);
        listeners_.push_back(listener);
    }
    listener(current());
}

void TopologyTable::run(const std::stop_token& stop) {
    std::chrono::milliseconds pause = kSettle;
    while (true) {
        {
            std::unique_lock lock(mutex_);
            woken_.wait(lock, stop, [this] { return stale_; });
            woken_.wait_for(lock, stop, pause, [] { return false; });
            stale_ = false;
        }
        if (stop.stop_requested()) return;
        pause = kSettle;
        if (auto read = refresh(); !read) {
            log::error("topology_unreadable", {{"reason", read.error().detail}});
            const std::scoped_lock lock(mutex_);
            stale_ = true;
            pause = kRetry;
        }
    }
}

}  // namespace muster::cluster
