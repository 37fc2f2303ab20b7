#include "admin/followed_network.h"

#include <algorithm>
#include <filesystem>

#include "admin/files.h"
#include "admin/join.h"
#include "admin/leaders.h"
#include "admin/password_file.h"
#include "admin/peers.h"
#include "admin/presence.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/wait.h"
#include "cluster/domain_pattern.h"
#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"

namespace muster::admin {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

/// How often a node that could not join looks whether somebody did it by hand.
constexpr milliseconds kLook{1'000};
constexpr milliseconds kFirstPause{1'000};
constexpr milliseconds kLastPause{60'000};
/// After a refusal: a wrong password is not tried often.
constexpr milliseconds kRefusedPause{300'000};
constexpr std::size_t kMostNodes = 10'000;

/// By its state as this node has it.
std::vector<PeerAddress> leaders_in(const std::shared_ptr<state::Replica>& replica,
                                    const FollowSettings& settings) {
    state::ReplicaReader reader(replica);
    const auto rows =
        reader.range(cluster::kNodePrefix, state::prefix_end(cluster::kNodePrefix), kMostNodes);
    std::vector<cluster::Node> nodes;
    if (!rows) return {};
    for (const state::Entry& row : *rows) {
        const auto name = std::string_view(row.key).substr(cluster::kNodePrefix.size());
        if (auto node = cluster::decode_node(name, row.value)) nodes.push_back(std::move(*node));
    }
    return leaders_of(nodes, NodeName(settings.node_name));
}

bool tells_of_nodes(const state::Changed& changed) {
    return changed.everything || std::ranges::any_of(changed.keys, [](const std::string& key) {
               return key.starts_with(cluster::kNodePrefix);
           });
}

cluster::SourceMode mode_of(const FollowSettings& settings) {
    return settings.mode == "mirror" ? cluster::SourceMode::Mirror : cluster::SourceMode::Relay;
}

cluster::Admission admission_of(const FollowSettings& settings) {
    cluster::Admission admission{.domains = {}, .default_for = settings.default_for};
    // Where its master is on this machine, its servers may be, too.
    const auto address = IpAddress::parse(settings.host);
    admission.local_addresses = settings.host == "localhost" || (address && address->is_loopback());
    for (const std::string& text : settings.domains) {
        auto pattern = cluster::parse_domain_pattern(text);
        MUSTER_CHECK(pattern);  // the node file was checked
        admission.domains.push_back(std::move(*pattern));
    }
    return admission;
}

std::string in_seconds(milliseconds time) {
    return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(time).count()) + " s";
}

}  // namespace

Result<std::unique_ptr<FollowedNetwork>> FollowedNetwork::open(NodeContext& node,
                                                               const FollowSettings& settings) {
    std::unique_ptr<FollowedNetwork> network(new FollowedNetwork(node, settings));
    if (auto made = make_folder(network->folder(), 0700); !made) {
        return std::unexpected(made.error());
    }
    auto replica = state::Replica::of_folder(network->folder());
    if (!replica) return std::unexpected(replica.error());
    network->replica_ = std::move(*replica);
    network->prepare();
    return network;
}

FollowedNetwork::~FollowedNetwork() {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
    for (const char* gauge :
         {"muster_network_filled", "muster_network_following", "muster_network_silence_seconds"}) {
        metrics::forget_gauge(gauge, {{"network", settings_.name}});
    }
}

void FollowedNetwork::prepare() {
    state::FollowerOptions options;
    options.scope = mode_of(settings_) == cluster::SourceMode::Mirror ? state::Scope::Mirror
                                                                      : state::Scope::Relay;
    options.update_interval = settings_.update_interval;
    follower_ = std::make_unique<state::Follower>(replica_, [this] { return sources(); }, options);
    watch_ = replica_->watch([this](const state::Changed& changed) {
        if (tells_of_nodes(changed)) follower_->reconsider();
    });
    if (has_identity(folder())) (void)take_up_membership();
}

Result<> FollowedNetwork::take_up_membership() {
    auto membership = load_membership(folder(), node_.identity);
    if (!membership) return std::unexpected(membership.error());
    const std::scoped_lock lock(mutex_);
    membership_ = std::make_shared<const NodeIdentity>(std::move(*membership));
    return {};
}

std::shared_ptr<const NodeIdentity> FollowedNetwork::membership() const {
    const std::scoped_lock lock(mutex_);
    return membership_;
}

SealSecret FollowedNetwork::seal_secret() const {
    const auto joined = membership();
    return joined ? joined->seal_secret() : SealSecret::key({});
}

std::string FollowedNetwork::folder() const { return network_folder(node_.config, settings_.name); }

void FollowedNetwork::start() {
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

void FollowedNetwork::run(const std::stop_token& stop) {
    if (!settings_.encryption) {
        log::warning("network_in_clear",
                     {{"network", settings_.name},
                      {"master", settings_.address()},
                      {"what",
                       "it is followed without encryption: what is read from there can be "
                       "read on the way"}});
    }
    if (!join(stop)) return;
    remove_used_password(node_.config, settings_.password_file);
    if (auto taken = take_up_membership(); !taken) return note_trouble(taken.error().detail);
    note_trouble("");
    follower_->run(stop);
}

bool FollowedNetwork::join(const std::stop_token& stop) {
    auto pause = kFirstPause;
    auto next_try = std::chrono::steady_clock::now();
    while (!stop.stop_requested()) {
        if (has_identity(folder())) return true;
        if (std::chrono::steady_clock::now() >= next_try) {
            const auto joined = try_to_join();
            if (joined) {
                log::info("network_joined", {{"network", settings_.name}});
                return true;
            }
            note_trouble(joined.error().detail);
            const bool refused = joined.error().kind == ErrorKind::Refused ||
                                 joined.error().kind == ErrorKind::Conflict;
            next_try = std::chrono::steady_clock::now() + (refused ? kRefusedPause : pause);
            pause = std::min(pause * 2, kLastPause);
        }
        wait(stop, kLook);
    }
    return false;
}

Result<> FollowedNetwork::try_to_join() {
    const std::string by_hand = "muster cluster join --follow " + settings_.name;
    if (settings_.password_file.empty()) {
        return fail(ErrorKind::NotFound, "not joined yet: " + by_hand);
    }
    const auto password = read_password_file(settings_.password_file);
    if (!password) {
        return fail(ErrorKind::NotFound,
                    "not joined yet: " + password.error().detail + " (or " + by_hand + ")");
    }
    JoinWish wish = follower_wish(node_.config, settings_);
    wish.password = *password;
    return join_network(node_.config, settings_, wish);
}

std::vector<std::unique_ptr<state::Source>> FollowedNetwork::sources() const {
    const auto identity = membership();
    std::vector<std::unique_ptr<state::Source>> made;
    for (const PeerAddress& peer :
         read_order(settings_, leaders_in(replica_, settings_), identity->masters)) {
        net::HttpTarget target = peer_target(peer, *identity, node_.config.cluster.source_address);
        target.inactivity = settings_.inactivity_timeout;
        target.encryption = settings_.encryption;
        target.may_be_clear = is_private_address;
        net::HttpHeaders introduction{
            {"x-muster-instance", node_.instance},
            {"x-muster-version", MUSTER_VERSION},
            {"x-muster-interval", std::to_string(settings_.update_interval.count())},
            {"x-muster-scope", settings_.mode}};
        // What is sealed for this node is of use to it.
        if (!identity->secret.empty()) introduction.emplace_back("x-muster-delivery", "sealed");
        made.push_back(std::make_unique<HttpSource>(std::move(target), std::move(introduction)));
    }
    return made;
}

void FollowedNetwork::note_trouble(const std::string& trouble) {
    const std::scoped_lock lock(mutex_);
    if (trouble_ != trouble && !trouble.empty()) {
        log::warning("network_waits", {{"network", settings_.name}, {"why", trouble}});
    }
    trouble_ = trouble;
}

cluster::DirectorySource FollowedNetwork::source() const {
    // The node ends its topology, which asks, before its networks.
    const auto authority = [this] {
        const auto joined = membership();
        return joined ? joined->authority : std::string();
    };
    return {settings_.name,
            replica_,
            mode_of(settings_),
            settings_.hand_to == "master" ? cluster::HandTo::Master : cluster::HandTo::Home,
            authority,
            admission_of(settings_)};
}

state::FollowerStatus FollowedNetwork::progress() const {
    const std::scoped_lock lock(mutex_);
    if (membership_ && trouble_.empty()) return follower_->status();
    state::FollowerStatus status;
    status.source = settings_.address();
    status.since = since_;
    status.trouble = trouble_;
    return status;
}

json FollowedNetwork::status() const {
    const state::FollowerStatus now = progress();
    const bool joined = has_identity(folder());
    json status{{"name", settings_.name},
                {"mode", settings_.mode},
                {"encryption", settings_.encryption},
                {"source", now.source},
                {"phase", joined ? state::name(now.phase) : "joining"},
                {"filled", replica_->filled()},
                {"cursor", now.cursor.empty() ? "" : state::format(now.cursor)},
                {"since", since_1970(now.since)},
                {"entries", now.entries}};
    if (const auto lag = now.lag_in(now.silence)) status["lag_ms"] = lag->count();
    if (now.silence) status["silence_ms"] = now.silence->count();
    if (!now.trouble.empty()) status["trouble"] = now.trouble;
    add_domains(status);
    return status;
}

void FollowedNetwork::add_domains(json& status) const {
    const auto topology = node_.topology->current();
    const auto& networks = topology->parts().networks;
    const auto found = std::ranges::find(networks, settings_.name, &cluster::Network::name);
    if (found == networks.end()) return;
    const auto place = static_cast<std::size_t>(found - networks.begin());
    status["domains"] =
        std::ranges::count(topology->parts().domains, place, &cluster::Domain::directory);
    status["refused"] = found->refused;
    if (found->refused == 0) return;
    json names = json::array();
    for (const DomainName& domain : found->refused_first) names.push_back(domain.text);
    status["refused_domains"] = std::move(names);
}

std::optional<Alarm> FollowedNetwork::alarm() const {
    const state::FollowerStatus now = progress();
    const std::string about = "network " + settings_.name;
    if (replica_->damaged())
        return Alarm{about, "its replica is damaged, a new copy is made", true};
    const bool stuck = now.refused || !has_identity(folder());
    if (stuck && !now.trouble.empty()) return Alarm{about, now.trouble, true};
    const milliseconds patience = node_.config.cluster.absent_after + settings_.update_interval;
    const auto running =
        std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - node_.started);
    const milliseconds silence = now.silence.value_or(running);
    if (silence <= patience) return std::nullopt;
    return Alarm{about,
                 "nothing was heard of it for " + in_seconds(silence) +
                     (now.trouble.empty() ? "" : ": " + now.trouble),
                 true};
}

void FollowedNetwork::show_metrics() const {
    const state::FollowerStatus now = progress();
    const metrics::Labels labels{{"network", settings_.name}};
    metrics::gauge("muster_network_filled", "1 when the replica of a followed network serves",
                   labels)
        .set(replica_->filled() ? 1 : 0);
    metrics::gauge("muster_network_following", "1 while a followed network's changes come in",
                   labels)
        .set(now.phase == state::FollowerPhase::Following ? 1 : 0);
    const double seconds = now.silence ? std::chrono::duration<double>(*now.silence).count() : -1.0;
    metrics::gauge("muster_network_silence_seconds",
                   "Since a followed network said that nothing is missing; -1: never", labels)
        .set(seconds);
}

Result<> FollowedNetworks::open(NodeContext& node) {
    for (const FollowSettings& settings : node.config.follows) {
        auto network = FollowedNetwork::open(node, settings);
        if (!network) return std::unexpected(network.error());
        networks_.push_back(std::move(*network));
    }
    std::error_code error;
    const std::filesystem::path all = network_folder(node.config, "");
    for (const auto& folder : std::filesystem::directory_iterator(all, error)) {
        const std::string name = folder.path().filename().string();
        const bool followed = std::ranges::any_of(
            networks_, [&name](const auto& network) { return network->name() == name; });
        if (followed) continue;
        log::info("network_left", {{"network", name},
                                   {"what", "it is not followed any more; " +
                                                folder.path().string() + " can be removed"}});
    }
    return {};
}

FollowedNetworks::~FollowedNetworks() { request_stop(); }

void FollowedNetworks::start() {
    for (const auto& network : networks_) network->start();
}

void FollowedNetworks::request_stop() {
    for (const auto& network : networks_) network->request_stop();
}

cluster::DirectorySources FollowedNetworks::sources() const {
    cluster::DirectorySources all;
    for (const auto& network : networks_) all.push_back(network->source());
    return all;
}

SealSecret FollowedNetworks::seal_secret(std::size_t directory) const {
    MUSTER_CHECK(directory > 0 && directory <= networks_.size());
    return networks_[directory - 1]->seal_secret();
}

json FollowedNetworks::status() const {
    json all = json::array();
    for (const auto& network : networks_) all.push_back(network->status());
    return all;
}

std::vector<Alarm> FollowedNetworks::alarms() const {
    std::vector<Alarm> all;
    for (const auto& network : networks_) {
        if (auto one = network->alarm()) all.push_back(std::move(*one));
    }
    return all;
}

void FollowedNetworks::show_metrics() const {
    for (const auto& network : networks_) network->show_metrics();
}

}  // namespace muster::admin
