// The current snapshot of a process: read from the replicas, replaced when they change.

#include <algorithm>

#include "base/log.h"
#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"
#include "cluster/json_fields.h"
#include "cluster/topology.h"
#include "cluster/topology_merge.h"

namespace muster::cluster {
namespace {

constexpr std::size_t kPage = 1'000;
constexpr std::chrono::milliseconds kSettle{20};  ///< several changes in a row: one rebuild
constexpr std::chrono::seconds kRetry{1};         ///< after a read that failed
constexpr std::size_t kMostTold = 20;             ///< of a kind at a time, a line each
constexpr std::array kTopologyPrefixes{kDomainPrefix,  kServerPrefix,      kNodePrefix,
                                       kSettingPrefix, kCertificatePrefix, kCredentialPrefix,
                                       kSecretPrefix,  kDkimPrefix,        kDeliveryPrefix};

bool matters(const state::Changed& changed) {
    if (changed.everything) return true;
    return std::ranges::any_of(changed.keys, [](const std::string& key) {
        return std::ranges::any_of(
            kTopologyPrefixes, [&](std::string_view prefix) { return key.starts_with(prefix); });
    });
}

using Decoder = Result<> (*)(std::string_view name, std::string_view json, TopologyParts& out);

template <auto Decode, auto List>
Result<> decode_into(std::string_view name, std::string_view json, TopologyParts& out) {
    auto object = Decode(name, json);
    if (!object) return std::unexpected(object.error());
    (out.*List).push_back(std::move(*object));
    return {};
}

void note_unreadable(const state::Entry& entry, const Error& error, TopologyParts& out) {
    out.unreadable.emplace(entry.key, error.detail);
    if (!entry.key.starts_with(kDomainPrefix)) return;
    const auto object = parse_object(entry.value);
    const bool is_remote = object && object->contains("kind") && (*object)["kind"] == "remote";
    out.unreadable_domains.emplace(entry.key.substr(kDomainPrefix.size()), is_remote);
}

template <typename Decode>
Result<> read_kind(state::ReplicaReader& reader, std::string_view prefix, TopologyParts& out,
                   const Decode& decode) {
    const std::string end = state::prefix_end(prefix);
    std::string from(prefix);
    while (true) {
        const auto entries = reader.range(from, end, kPage);
        if (!entries) return std::unexpected(entries.error());
        for (const state::Entry& entry : *entries) {
            const auto name = std::string_view(entry.key).substr(prefix.size());
            if (const auto done = decode(name, entry.value); !done) {
                note_unreadable(entry, done.error(), out);
            }
        }
        if (entries->size() < kPage) return {};
        from = state::after(entries->back().key);
    }
}

bool says_route(std::string_view patch) {
    const auto changes = parse_object(patch);
    return changes && changes->contains("route");
}

/// The domain as this node has it.
Result<> read_domain(std::string_view name, std::string_view json, const DomainPatches& exceptions,
                     TopologyParts& out) {
    const auto exception = exceptions.find(name);
    if (exception != exceptions.end()) {
        const auto patched = patched_domain(name, json, exception->second);
        if (patched && says_route(exception->second)) out.own_routes.emplace(name);
        if (patched)
            return decode_into<decode_domain, &TopologyParts::domains>(name, *patched, out);
        out.misfits.emplace(name, patched.error().detail);
    }
    return decode_into<decode_domain, &TopologyParts::domains>(name, json, out);
}

bool any_of(const std::vector<bool>& flags) {
    return std::ranges::find(flags, true) != flags.end();
}

void add(std::vector<bool>& flags, const std::vector<bool>& more) {
    for (std::size_t i = 0; i < flags.size(); ++i) flags[i] = flags[i] || more[i];
}

}  // namespace

Result<TopologyParts> read_topology(state::ReplicaReader& reader, const DomainPatches& exceptions) {
    struct Kind {
        std::string_view prefix;
        Decoder decode;
    };
    static constexpr std::array kKinds{
        Kind{kServerPrefix, decode_into<decode_server, &TopologyParts::servers>},
        Kind{kNodePrefix, decode_into<decode_node, &TopologyParts::nodes>},
        Kind{kSettingPrefix, decode_into<decode_setting, &TopologyParts::settings>},
        Kind{kCertificatePrefix, decode_into<decode_certificate, &TopologyParts::certificates>},
        Kind{kCredentialPrefix, decode_into<decode_credential, &TopologyParts::credentials>},
        Kind{kDeliveryPrefix, decode_into<decode_delivery_credential, &TopologyParts::deliveries>},
        Kind{kSecretPrefix, decode_into<decode_shared_secret, &TopologyParts::secrets>},
        Kind{kDkimPrefix, decode_into<decode_dkim_key, &TopologyParts::dkim_keys>}};
    TopologyParts parts;
    auto read =
        read_kind(reader, kDomainPrefix, parts, [&](std::string_view name, std::string_view json) {
            return read_domain(name, json, exceptions, parts);
        });
    for (const Kind& kind : kKinds) {
        if (!read) return std::unexpected(read.error());
        read = read_kind(reader, kind.prefix, parts,
                         [&](std::string_view name, std::string_view json) {
                             return kind.decode(name, json, parts);
                         });
    }
    if (!read) return std::unexpected(read.error());
    return parts;
}

TopologyTable::TopologyTable(std::shared_ptr<state::Replica> replica, HealthTable& health)
    : TopologyTable(DirectorySources{{.name = {}, .replica = std::move(replica)}}, health) {}

TopologyTable::TopologyTable(DirectorySources sources, HealthTable& health,
                             std::shared_ptr<const DomainExceptions> exceptions)
    : sources_(std::move(sources)),
      health_(health),
      exceptions_(std::move(exceptions)),
      current_(std::make_shared<const Topology>(TopologyParts{}, health)) {
    stale_.resize(sources_.size());
    for (std::size_t i = 0; i < sources_.size(); ++i) {
        parts_.push_back({state::ReplicaReader(sources_[i].replica)});
        watches_.push_back(sources_[i].replica->watch([this, i](const state::Changed& changed) {
            if (!matters(changed)) return;
            {
                const std::scoped_lock lock(mutex_);
                stale_[i] = true;
            }
            woken_.notify_one();
        }));
    }
    if (auto read = refresh(); !read) {
        log::error("topology_unreadable", {{"reason", read.error().detail}});
    }
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

TopologyTable::~TopologyTable() {
    watches_.clear();
    thread_.request_stop();
    thread_.join();
}

std::shared_ptr<const Topology> TopologyTable::current() const {
    const std::scoped_lock lock(mutex_);
    return current_;
}

Result<> TopologyTable::refresh() {
    Which which(sources_.size(), true);
    auto done = rebuild(which);
    if (any_of(which)) {
        {
            const std::scoped_lock lock(mutex_);
            add(stale_, which);
        }
        woken_.notify_one();
    }
    return done;
}

/// A followed directory that cannot be read now must not keep others from changing.
Result<> TopologyTable::rebuild(Which& which) {
    const std::scoped_lock lock(build_mutex_);
    if (!sources_.front().replica->filled()) {
        which.assign(which.size(), false);  // the first copy will be a change of all
        return {};
    }
    std::vector<NetworkParts> networks;
    for (std::size_t i = 0; i < sources_.size(); ++i) {
        const DirectorySource& source = sources_[i];
        if (which[i] || !parts_[i].read) {
            if (auto read = read_part(i)) {
                which[i] = false;
            } else if (which[i] = true; i == 0) {
                return read;
            } else {
                log::error("topology_unreadable",
                           {{"network", source.name}, {"reason", read.error().detail}});
            }
        }
        networks.push_back({source.name, source.mode, source.hand_to, parts_[i].read,
                            source.authority ? source.authority() : std::string(),
                            source.admission});
    }
    auto parts = merge(networks);
    tell_conflicts(parts);
    tell_of_followed(parts);
    replace(std::make_shared<const Topology>(std::move(parts), health_));
    if (sources_.size() == 1) parts_.front().read.reset();  // nobody else makes it read again
    return {};
}

Result<> TopologyTable::read_part(std::size_t source) {
    static const auto kNone = std::make_shared<const DomainPatches>();
    if (!sources_[source].replica->filled()) return {};
    const auto exceptions = exceptions_ ? exceptions_->current() : kNone;
    auto read = read_topology(parts_[source].reader, *exceptions);
    if (!read) return std::unexpected(read.error());
    Part& part = parts_[source];
    for (const auto& [key, why] : read->unreadable) {
        const auto told = part.told.find(key);
        if (told != part.told.end() && told->second == why) continue;
        log::error("entry_unreadable", {{"key", key}, {"reason", why}});
    }
    part.told = read->unreadable;
    part.read = std::make_shared<const TopologyParts>(std::move(*read));
    return {};
}

void TopologyTable::tell_conflicts(const TopologyParts& parts) {
    std::size_t told = 0;
    for (const DomainConflict& conflict : parts.conflicts) {
        if (told_.contains(conflict) || ++told > kMostTold) continue;
        log::warning("domain_conflict", {{"domain", conflict.domain}, {"what", text_of(conflict)}});
    }
    if (told > kMostTold) log::warning("domain_conflicts", {{"more", told - kMostTold}});
    told_ = {parts.conflicts.begin(), parts.conflicts.end()};
}

/// What comes from other networks was not decided here: each new domain of theirs leaves a line,
/// and each that is not admitted. Those that are there when the node starts are counted.
void TopologyTable::tell_of_followed(const TopologyParts& parts) {
    std::map<std::string, std::size_t, std::less<>> taken;
    std::vector<std::size_t> counts(parts.networks.size());
    std::size_t told = 0;
    for (const Domain& domain : parts.domains) {
        if (domain.directory == 0) continue;
        ++counts[domain.directory];
        taken.emplace(domain.name.text, domain.directory);
        const auto known = taken_.find(domain.name.text);
        const bool is_known = known != taken_.end() && known->second == domain.directory;
        if (!has_told_ || is_known || ++told > kMostTold) continue;
        log::info("domain_followed",
                  {{"domain", domain.name}, {"network", parts.networks[domain.directory].name}});
    }
    if (told > kMostTold) log::info("domains_followed", {{"more", told - kMostTold}});
    taken_ = std::move(taken);
    refused_.resize(parts.networks.size());
    for (std::size_t i = 1; i < parts.networks.size(); ++i) {
        const Network& network = parts.networks[i];
        if (!has_told_ && counts[i] > 0) {
            log::info("domains_followed", {{"network", network.name}, {"domains", counts[i]}});
        }
        const auto shown = std::pair(network.refused, network.refused_first);
        if (refused_[i] != shown && network.refused > 0) {
            log::warning("domains_refused", {{"network", network.name},
                                             {"domains", network.refused},
                                             {"first", first_names(network)},
                                             {"what", "not among the domains of its [[follow]]"}});
        }
        refused_[i] = shown;
    }
    has_told_ = true;
}

void TopologyTable::replace(const std::shared_ptr<const Topology>& next) {
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
        listeners_.push_back(std::move(listener));
    }
    listeners_.back()(current());
}

void TopologyTable::run(const std::stop_token& stop) {
    std::chrono::milliseconds pause = kSettle;
    while (true) {
        Which which(sources_.size());
        {
            std::unique_lock lock(mutex_);
            woken_.wait(lock, stop, [this] { return any_of(stale_); });
            woken_.wait_for(lock, stop, pause, [] { return false; });
            stale_.swap(which);
        }
        if (stop.stop_requested()) return;
        pause = kSettle;
        if (auto read = rebuild(which); !read) {
            log::error("topology_unreadable", {{"reason", read.error().detail}});
        }
        if (!any_of(which)) continue;
        const std::scoped_lock lock(mutex_);
        add(stale_, which);
        pause = kRetry;
    }
}

}  // namespace muster::cluster
