#include "admin/peers.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include "admin/json_fields.h"
#include "admin/leaders.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;

bool is_no_member(const json& refusal) {
    return flag(refusal, "revoked") || flag(refusal, "stranger");
}

// A master may wait for all other nodes itself before it answers.
constexpr CallBounds kMasterBounds{std::chrono::milliseconds(120'000), std::size_t{64} << 20};
constexpr std::size_t kLongestRefusal = 1'000;
constexpr std::size_t kLongestAnswer = 65'536;

PeerAddress address_of(const cluster::Node& node) { return {node.name, node.cluster, node.pin}; }

/// A follower belongs to another network: an address in its entry is what it said itself, and calls
/// to members carry administrators' passwords.
bool is_callable(const cluster::Node& node) {
    return node.scope > cluster::NodeScope::Relay && !node.revoked && !node.cluster.empty();
}

/// What a node that does not lead, or does not know this node, answers: another one may do better.
bool is_for_another(const net::HttpReply& reply) {
    if (reply.status < 400) return false;
    const auto body = state::parse_json(reply.body);
    return flag(body, kNotLeading) || is_no_member(body);
}

}  // namespace

std::vector<PeerAddress> Peers::others() const {
    std::vector<PeerAddress> found;
    const auto topology = topology_.current();
    for (const cluster::Node& node : topology->parts().nodes) {
        if (node.name == config_.node.name || !is_callable(node)) continue;
        found.push_back(address_of(node));
    }
    return found;
}

std::vector<PeerAddress> Peers::masters_in_state() const {
    auto found = leaders_of(topology_.current()->parts().nodes, config_.node.name);
    std::erase_if(found, [](const PeerAddress& peer) { return peer.cluster.empty(); });
    return found;
}

std::vector<PeerAddress> Peers::masters() const {
    std::vector<PeerAddress> known = masters_in_state();
    const auto topology = topology_.current();
    const bool is_led = std::ranges::any_of(topology->parts().nodes, [this](const auto& node) {
        return node.master && !node.revoked && node.name != config_.node.name &&
               !node.cluster.empty();
    });
    if (known.empty()) known = identity_.masters;
    std::vector<PeerAddress> named;
    // Those that it names by address only must have the key of one that is known.
    const std::string pins = pins_of(known);
    for (const std::string& address : config_.cluster.masters) {
        // One file may be that of all nodes.
        if (address == config_.cluster.listen || address == config_.cluster.advertise) continue;
        const auto same = std::ranges::find(known, address, &PeerAddress::cluster);
        if (same == known.end()) {
            named.push_back({NodeName("master"), address, pins});
        } else if (!is_led) {
            named.push_back(*same);
            known.erase(same);
        }
    }
    // Who wrote the file could not know who leads by now.
    known.insert(is_led ? known.end() : known.begin(), named.begin(), named.end());
    return known;
}

std::optional<PeerAddress> Peers::find(const NodeName& name) const {
    const auto topology = topology_.current();
    const cluster::Node* node = topology->node(name.text);
    if (node == nullptr || !is_callable(*node)) return std::nullopt;
    return address_of(*node);
}

net::HttpTarget Peers::target(const PeerAddress& peer) const {
    return peer_target(peer, identity_, config_.cluster.source_address);
}

Result<net::HttpReply> Peers::call(const PeerAddress& peer, const net::HttpCall& call,
                                   const CallBounds& bounds) const {
    net::HttpTarget to = target(peer);
    to.inactivity = to.total_time = bounds.patience;
    to.connect_time = std::min(to.connect_time, bounds.patience);
    to.reply_limit = bounds.reply_bytes;
    net::HttpClient client(std::move(to));
    return run(client, [&] { return client.call(call); });
}

Result<net::HttpReply> Peers::stream(const PeerAddress& peer, const net::HttpCall& call,
                                     const CallBounds& bounds,
                                     const net::HttpClient::Sink& sink) const {
    net::HttpTarget to = target(peer);
    to.inactivity = bounds.patience;
    net::HttpClient client(std::move(to));
    return run(client, [&] { return client.stream(call, sink); });
}

Result<net::HttpReply> Peers::run(net::HttpClient& client,
                                  const std::function<Result<net::HttpReply>()>& call) const {
    {
        const std::scoped_lock lock(mutex_);
        if (stopped_) return fail(ErrorKind::Unavailable, "this node is stopping");
        calling_.insert(&client);
    }
    auto reply = call();
    const std::scoped_lock lock(mutex_);
    calling_.erase(&client);
    return reply;
}

bool Peers::stopped() const {
    const std::scoped_lock lock(mutex_);
    return stopped_;
}

void Peers::stop() {
    const std::scoped_lock lock(mutex_);
    stopped_ = true;
    for (net::HttpClient* client : calling_) client->cancel();
}

Result<net::HttpReply> Peers::call_master(const net::HttpCall& call) const {
    std::optional<Result<net::HttpReply>> first;
    for (const PeerAddress& master : masters()) {
        auto reply = this->call(master, call, kMasterBounds);
        if (reply && !is_for_another(*reply)) return reply;
        if (!first) first = std::move(reply);
    }
    if (first && *first) {
        const auto body = state::parse_json((*first)->body);
        if (!is_no_member(body)) return std::move(*first);
        return fail(ErrorKind::Refused, std::string(kPutOut) + ", nothing was changed: " +
                                            text(body, "error") + ". " + kJoinAnew);
    }
    const std::string why = first ? first->error().detail : "no master is known";
    return fail(ErrorKind::Unavailable,
                "the master cannot be reached, nothing was changed (" + why + "): " + kMasterAway);
}

Result<net::HttpReply> Peers::stream_to_master(const net::HttpCall& call, const CallBounds& bounds,
                                               const std::function<Result<>()>& rewind,
                                               const net::HttpClient::Sink& sink) const {
    const auto until = std::chrono::steady_clock::now() + kMasterPatience;
    for (;;) {
        std::optional<Result<net::HttpReply>> first;
        bool all_answered = true;
        for (const PeerAddress& master : masters()) {
            if (auto ready = rewind(); !ready) return std::unexpected(ready.error());
            std::string refusal;
            bool begun = false;
            auto reply = stream(master, call, bounds, [&](int status, std::string_view bytes) {
                begun = status < 400;
                if (begun) return sink(status, bytes);
                refusal.append(bytes.substr(0, kLongestAnswer - refusal.size()));
                return true;
            });
            if (reply) reply->body = std::move(refusal);
            if (begun) return reply;
            if (reply && !is_for_another(*reply)) {
                if (reply->status >= 400) (void)sink(reply->status, reply->body);
                return reply;
            }
            all_answered = all_answered && reply;
            if (!first || !*first) first = std::move(reply);
        }
        if (!first) return fail(ErrorKind::Unavailable, "no master is known, nothing was changed");
        // It is not known what one did that answered nothing.
        if (!all_answered || stopped() || std::chrono::steady_clock::now() >= until) {
            if (!*first) {
                return fail(
                    ErrorKind::Unavailable,
                    "the master cannot be reached (" + first->error().detail + "): " + kMasterAway);
            }
            (void)sink((*first)->status, (*first)->body);
            return std::move(*first);
        }
        std::this_thread::sleep_for(kMasterPause);
    }
}

std::vector<std::unique_ptr<state::Source>> Peers::sources() const {
    std::vector<std::unique_ptr<state::Source>> made;
    for (const PeerAddress& master : masters()) {
        net::HttpTarget to = target(master);
        to.inactivity = config_.cluster.inactivity_timeout;
        made.push_back(std::make_unique<HttpSource>(std::move(to), introduction_, membership_));
    }
    return made;
}

std::string HttpSource::name() const { return client_.target().origin; }

Result<> HttpSource::get(const std::string& target, const Sink& sink) {
    net::HttpCall call;
    call.path = target;
    call.headers = introduction_;
    std::string refusal;
    const auto is_feed = [](int status) { return status == 200 || status == 409 || status == 410; };
    bool was_told = !membership_;
    const auto reply = client_.stream(call, [&](int status, std::string_view bytes) {
        if (is_feed(status) && !std::exchange(was_told, true)) membership_(true);
        if (is_feed(status)) return sink(bytes);
        if (refusal.size() < kLongestRefusal) refusal.append(bytes.substr(0, kLongestRefusal));
        return true;
    });
    if (!reply) return std::unexpected(reply.error());
    if (is_feed(reply->status)) return {};
    const auto kind =
        reply->status == 401 || reply->status == 403 ? ErrorKind::Refused : ErrorKind::Unavailable;
    const auto body = state::parse_json(refusal);
    if (flag(body, "revoked") && membership_) membership_(false);
    if (auto why = text(body, "error"); !why.empty()) refusal = std::move(why);
    return fail(kind, name() + " answered " + std::to_string(reply->status) + ": " + refusal);
}

}  // namespace muster::admin
