#include "admin/cluster_api.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>

#include "admin/administrators.h"
#include "admin/delivery_seal.h"
#include "admin/json_fields.h"
#include "admin/leadership.h"
#include "admin/node_admission.h"
#include "admin/presence.h"
#include "admin/smtp_listeners.h"
#include "admin/standing.h"
#include "base/log.h"
#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"
#include "net/short_sleep.h"
#include "state/directory_store.h"
#include "state/feed.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;

constexpr std::size_t kJoinBody = 64 * 1024;
/// When a node comes back anew, the machine behind its former stream must acknowledge what it is
/// sent, or it is gone: so long, and a little more until the stream has ended. Below the
/// inactivity time-out of who waits (30 s, seldom less than 5 s).
constexpr net::Duration kTwinProof{2'500};
constexpr net::Duration kTwinPatience{4'000};
constexpr net::Duration kTwinPause{250};
constexpr std::size_t kLongestInstance = 64;
constexpr std::size_t kLongestTold = 64;  ///< bytes of what a stranger calls itself
constexpr std::uint32_t kLongestInterval = 86'400;
/// A change goes out at once; those that follow it closely are gathered for so long.
constexpr net::Duration kGather{25};
/// A follower repairs by difference after this.
constexpr const char* kCompare = "{\"error\":\"trimmed\"}\n";

/// Wakes an exchange from any thread, and does nothing once it has left. Several changes before the
/// loop comes to it wake it once.
class Waker {
public:
    Waker(net::Loop& loop, net::HttpExchange& exchange) : loop_(loop), exchange_(&exchange) {}

    static void wake(const std::shared_ptr<Waker>& self) {
        if (self->is_waking_.exchange(true)) return;
        self->loop_.post([self] {
            self->is_waking_ = false;
            if (self->exchange_ != nullptr) self->exchange_->wake();
        });
    }
    static void doubt(const std::shared_ptr<Waker>& self) {
        self->loop_.post([self] {
            if (self->exchange_ == nullptr) return;
            self->exchange_->doubt(kTwinProof);
            self->exchange_->wake();
        });
    }
    void leave() { exchange_ = nullptr; }  ///< on the loop's thread, as the exchange itself

private:
    net::Loop& loop_;
    net::HttpExchange* exchange_;
    std::atomic<bool> is_waking_{false};
};

std::chrono::seconds interval_from(std::string_view text) {
    std::uint32_t seconds = 0;
    std::from_chars(text.data(), text.data() + text.size(), seconds);
    return std::chrono::seconds(std::min(seconds, kLongestInterval));
}

Sighting sighting_of(const net::HttpRequest& request) {
    Sighting seen{std::string(request.header("x-muster-instance").substr(0, kLongestInstance)),
                  request.peer.text(),
                  std::string(request.header("x-muster-version").substr(0, kLongestInstance)),
                  std::chrono::system_clock::now(),
                  interval_from(request.header("x-muster-interval"))};
    if (const auto told = request.header("x-muster-smtp"); !told.empty()) {
        const IpAddress& at = request.peer.address;
        seen.smtp = smtp_listeners_from(told, at.is_v4() ? at.text() : "[" + at.text() + "]");
    }
    return seen;
}

/// The scope of the entry, or less if the follower asks for less.
state::Scope scope_for(const cluster::Node& member, const net::HttpRequest& request) {
    const state::Scope most = scope_of(member);
    const auto asked = state::scope_from(request.header("x-muster-scope"));
    return asked ? std::min(most, *asked) : most;
}

/// The same with its right to credentials for delivery.
state::Sight sight_for(const cluster::Node& member, const net::HttpRequest& request) {
    state::Sight sight = sight_of(member, scope_for(member, request),
                                  request.header("x-muster-delivery") == "sealed");
    // Who says his scope keeps families that he does not know.
    sight.only_first_families = request.header("x-muster-scope").empty();
    return sight;
}

/// Of another network: it reads what it may see, and nothing else.
bool is_follower(const cluster::Node& member) { return member.scope <= cluster::NodeScope::Relay; }

bool is_join(const net::HttpRequest& request) {
    return request.method == "POST" &&
           (request.path == "/v1/join" || request.path == "/v1/join/proof");
}

bool frontends_may_write(const NodeContext& node) {
    return node.topology->current()->setting("frontends_may_write") == "true";
}

}  // namespace

std::optional<cluster::Node> ClusterApi::member(const std::string& pin) const {
    if (pin.empty()) return std::nullopt;
    const auto topology = node_.topology->current();
    for (const cluster::Node& node : topology->parts().nodes) {
        if (node.pin == pin && !node.revoked) return node;
    }
    return std::nullopt;
}

bool ClusterApi::was_revoked(const std::string& pin) const {
    const auto topology = node_.topology->current();
    return !pin.empty() && std::ranges::any_of(topology->parts().nodes, [&](const auto& node) {
        return node.pin == pin && node.revoked;
    });
}

bool ClusterApi::is_member_still(const cluster::Node& member) const {
    const auto entry = node_.directory->get(cluster::node_key(member.name));
    if (!entry || !*entry) return false;
    const auto now = cluster::decode_node(member.name.view(), (*entry)->value);
    return now && !now->revoked && now->pin == member.pin && scope_of(*now) == scope_of(member) &&
           now->credentials == member.credentials;
}

Result<> ClusterApi::is_source() const {
    if (node_.directory == nullptr) return fail(ErrorKind::Refused, "not a master");
    if (node_.leadership->is_undecided()) {
        return fail(ErrorKind::Unavailable, "this node waits to learn who leads");
    }
    if (!node_.directory->history().incarnation.empty()) return {};
    return fail(ErrorKind::Unavailable, "this node's copy is not in step itself");
}

// An exchange outlives its handler.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)
Task<void> ClusterApi::serve(net::HttpExchange& exchange) {
    const net::HttpRequest& request = exchange.request();
    if (is_join(request)) co_return co_await join(exchange, false);
    auto known = member(request.peer_pin);
    if (known) co_return co_await serve_member(exchange, std::move(*known));
    co_await refuse_stranger(exchange);
}

Task<void> ClusterApi::serve_in_clear(net::HttpExchange& exchange) {
    const net::HttpRequest& request = exchange.request();
    if (is_join(request)) co_return co_await join(exchange, true);
    auto known = member(request.peer_pin);
    if (!known) co_return co_await refuse_stranger(exchange);
    if (is_follower(*known)) co_return co_await serve_member(exchange, std::move(*known));
    const Error error{ErrorKind::Refused, "",
                      "without encryption only followers of scope relay or mirror are served"};
    co_await exchange.respond(error_response(error));
}

Task<void> ClusterApi::refuse_stranger(net::HttpExchange& exchange) {
    const net::HttpRequest& request = exchange.request();
    if (node_.pools->calls.full()) {
        const Error error{ErrorKind::Unavailable, "", "too many calls: try again"};
        co_return co_await exchange.respond(error_response(error));
    }
    // Whoever may lead shows what it knows; the others are asked by nobody who leads.
    const auto history = co_await net::Blocking(*node_.control, node_.pools->calls, [this] {
        return node_.directory == nullptr ? state::History{} : node_.directory->history();
    });
    const bool copies = node_.directory != nullptr && history.incarnation.empty();
    if (copies || !node_.replica->filled() || node_.topology->version() == 0) {
        const Error error{ErrorKind::Unavailable, std::string(state::kMasterChanging),
                          "this node is not ready: it has no whole copy of the state, and does "
                          "not know yet who is a member"};
        co_return co_await exchange.respond(error_response(error));
    }
    if (strangers_.begin(request.peer.address)) {
        log::warning("cluster_stranger",
                     {{"peer", request.peer.text()}, {"pin", request.peer_pin}});
    }
    co_await exchange.respond(json_response(refusal_of(history, was_revoked(request.peer_pin)),
                                            error_response({ErrorKind::Refused, "", ""}).status));
}

Task<void> ClusterApi::serve_member(net::HttpExchange& exchange, cluster::Node member) {
    const std::string& path = exchange.request().path;
    if (path == "/v1/changes") co_return co_await stream_changes(exchange, std::move(member));
    if (path == "/v1/copy" || path == "/v1/digests") {
        co_return co_await send_page(exchange, std::move(member));
    }
    if (is_follower(member)) {
        const Error error{ErrorKind::Refused, "", "a follower of this network only reads its feed"};
        co_return co_await exchange.respond(error_response(error));
    }
    co_await serve_forwarded(exchange, std::move(member));
}

bool ClusterApi::saw_another_scope(const cluster::Node& member, const state::Cursor& since) const {
    if (!is_follower(member)) return false;
    const auto entry = node_.directory->get(cluster::node_key(member.name));
    return entry && *entry && (*entry)->revision > since.revision;
}

Task<bool> ClusterApi::turn_away_twin(net::HttpExchange& exchange, const cluster::Node& member) {
    const Sighting newcomer = sighting_of(exchange.request());
    if (node_.presence == nullptr || newcomer.instance.empty()) co_return false;
    const auto until = net::Clock::now() + kTwinPatience;
    while (!node_.stopping && node_.presence->taken(member.name, newcomer.instance)) {
        if (net::Clock::now() >= until) {
            const Error refusal = node_.presence->refuse(member.name, newcomer);
            co_await exchange.respond(error_response(refusal));
            co_return true;
        }
        co_await exchange.pause(kTwinPause);
    }
    co_return false;
}

Task<void> ClusterApi::stream_changes(net::HttpExchange& exchange, cluster::Node member) {
    const auto query = state::parse_feed_query(exchange.request().query);
    if (!query) co_return co_await exchange.respond(error_response(query.error()));
    const auto source =
        co_await net::Blocking(*node_.control, node_.pools->calls, [this] { return is_source(); });
    if (!source) co_return co_await exchange.respond(error_response(source.error()));
    if (co_await turn_away_twin(exchange, member)) co_return;
    node_.leadership->cursor_seen(member, query->since);
    const state::Sight sight = sight_for(member, exchange.request());
    state::ChangeStream stream(*node_.directory, view_for(member, sight, node_.identity),
                               query->since);
    bool begun = false;
    bool compares = false;  // what the follower holds with what it may see
    const Sighting newcomer = sighting_of(exchange.request());
    net::Loop& loop = *node_.control;
    const auto waker = std::make_shared<Waker>(loop, exchange);
    const state::Watch watch =
        node_.directory->watch([waker](const state::Changed&) { Waker::wake(waker); });
    const auto leave = [](Waker* gone) { gone->leave(); };
    const std::unique_ptr<Waker, decltype(leave)> ended(waker.get(), leave);
    const auto visit =
        node_.presence->enter(member.name, newcomer, [waker] { Waker::doubt(waker); });
    if (!visit) {
        const Error refusal = node_.presence->refuse(member.name, newcomer);
        co_return co_await exchange.respond(error_response(refusal));
    }
    net::HttpResponse head;
    head.content_type = "application/jsonl";
    co_await exchange.begin(head);
    while (!stream.over() && !node_.stopping) {
        bool may_hear = false;
        const auto piece = co_await net::Blocking(loop, node_.pools->calls, [&] {
            compares = !begun && saw_another_scope(member, query->since);
            auto next = compares ? Result<std::string>(kCompare) : stream.next();
            may_hear = is_member_still(member);  // asked last: nothing after a removal is sent
            return next;
        });
        if (!piece) {
            const bool is_expected =
                piece.error().kind == ErrorKind::Unavailable;  // see is_source()
            log::write(is_expected ? log::Level::Info : log::Level::Error, "feed_failed",
                       {{"reason", piece.error().detail}});
            co_return;
        }
        if (!may_hear) break;
        co_await exchange.send(*piece);
        begun = true;
        if (compares) break;
        if (stream.more() || stream.over()) continue;
        const auto sent = net::Clock::now();
        co_await exchange.pause(state::kMarkInterval);
        const auto since = std::chrono::duration_cast<net::Duration>(net::Clock::now() - sent);
        if (since < kGather) co_await net::ShortSleep(loop, kGather - since);
    }
    co_await exchange.finish();
}

Task<void> ClusterApi::send_page(net::HttpExchange& exchange, cluster::Node member) {
    const state::Sight sight = sight_for(member, exchange.request());
    const auto query = state::parse_feed_query(exchange.request().query);
    if (!query) co_return co_await exchange.respond(error_response(query.error()));
    const auto source =
        co_await net::Blocking(*node_.control, node_.pools->calls, [this] { return is_source(); });
    if (!source) co_return co_await exchange.respond(error_response(source.error()));
    if (co_await turn_away_twin(exchange, member)) co_return;
    const bool digests = exchange.request().path == "/v1/digests";
    const auto page = co_await net::Blocking(*node_.control, node_.pools->calls, [&] {
        const auto view = view_for(member, sight, node_.identity);
        return digests
                   ? state::digest_page(*node_.directory, view, query->from, query->limit)
                   : state::copy_page(*node_.directory, view, query->from, query->to, query->limit);
    });
    if (!page) co_return co_await exchange.respond(error_response(page.error()));
    net::HttpResponse response;
    response.content_type = "application/jsonl";
    response.body = *page;
    co_await exchange.respond(std::move(response));
}

Task<void> ClusterApi::join(net::HttpExchange& exchange, bool in_clear) {
    // Strangers come here: what they cause is bounded before anything is read or written.
    const IpAddress from = exchange.request().peer.address;
    const std::string pin = exchange.request().peer_pin;
    std::optional<Error> refusal;
    if (pin.empty()) refusal = Error{ErrorKind::Refused, "", "the node showed no key"};
    const bool proves = exchange.request().path == "/v1/join/proof";
    if (!refusal && !node_.is_master()) {
        refusal = Error{ErrorKind::Refused, "", "not a master: join at the master"};
    }
    if (!refusal && (!joins_.begin(from) || node_.pools->judging.full())) {
        refusal = Error{ErrorKind::Unavailable, "", "too many nodes wish to join: wait a minute"};
    }
    if (refusal) co_return co_await exchange.respond(error_response(*refusal));
    const auto body = co_await exchange.body(kJoinBody);
    if (!body) co_return co_await exchange.respond(error_response(body.error()));
    json wish = state::parse_json(*body);
    const std::string at = exchange.request().peer.text();
    // What a proof is for was said when it was begun.
    if (proves) wish = json{{"scram", wish.is_object() ? text(wish, "scram") : ""}};
    if (wish.is_object()) wish.erase("user");  // nobody has proven to be one
    const bool begins = !proves && wish.is_object() && PasswordJoins::is_begun_by(wish);
    const auto joined = co_await net::Blocking(*node_.control, node_.pools->judging, [&] {
        const JoinCaller caller{pin, in_clear, from};
        auto accepted = begins   ? password_joins_.begin(wish, caller)
                        : proves ? password_joins_.finish(wish, caller)
                                 : accept_node(node_, wish, caller);
        if (begins && accepted) return accepted;
        // Everybody could read it on the way.
        if (in_clear && accepted) (*accepted)["secret"] = "";
        // It comes at once, and is no stranger then.
        if (accepted) (void)node_.topology->refresh();
        return audited(wish, proves, pin, at, std::move(accepted));
    });
    if (!joined) {
        Error refused = joined.error();
        // What else is wrong with an administrator's key stands in the log and the audit log.
        if (proves && refused.kind == ErrorKind::Refused) refused.detail = refused.public_text;
        net::HttpResponse response = error_response(refused);
        if (refused.kind == ErrorKind::Limit) response.status = 429;
        co_return co_await exchange.respond(std::move(response));
    }
    if (!begins) joins_.forgive(from);
    if (proves) joins_.forgive(from);  // the call that began it, too
    co_await exchange.respond(json_response(*joined));
}

/// Whether a refusal is to stand in the log and the audit log. Strangers can write no more there
/// than a few lines a minute, and none in the place of guesses at an administrator's password: of
/// those there are no more than PasswordJoins lets try.
bool ClusterApi::is_told(const json& wish, bool proves, const Error& refusal) {
    if (refusal.kind == ErrorKind::Syntax) return false;
    const std::string user = text(wish, "user");
    if (proves && user.empty()) return false;  // nothing was begun here
    if (refusal.kind == ErrorKind::Limit) return limited_.begin(user);
    if (proves && password_joins_.knows(user)) return true;
    return refusals_.begin(IpAddress{});
}

Result<json> ClusterApi::audited(const json& wish, bool proves, const std::string& pin,
                                 const std::string& at, Result<json> joined) {
    if (!joined && !is_told(wish, proves, joined.error())) return joined;
    const auto text = [&wish](const char* field) {
        return text_field(wish, field).value_or("").substr(0, kLongestTold);
    };
    AuditRecord record{"node:" + text("name"), at, "node join", text("name")};
    record.after = {{"scope", text("scope")}, {"pin", pin}};
    if (const std::string user = text("user"); !user.empty()) {
        record.who = "admin:" + user + " by " + record.who;
    }
    if (!joined) {
        record.outcome = joined.error().detail;
        log::warning("join_refused", {{"peer", at},
                                      {"node", text("name")},
                                      {"user", text("user")},
                                      {"why", joined.error().detail}});
    }
    auto written = append_audit(node_, record);
    if (!written && joined) return std::unexpected(written.error());
    return joined;
}

Task<void> ClusterApi::serve_forwarded(net::HttpExchange& exchange, cluster::Node member) {
    const net::HttpRequest& request = exchange.request();
    Caller caller{"node:" + member.name.text, request.peer.text(), false, {}, true};
    // A back end holds password keys already; a front end that was broken into must not be able
    // to change the cluster by itself.
    caller.may_write = member.scope == cluster::NodeScope::Backend ||
                       (member.scope == cluster::NodeScope::Frontend && frontends_may_write(node_));
    caller.may_end = member.master || member.scope == cluster::NodeScope::Backend;
    const std::string for_whom(request.header("x-muster-caller"));
    caller.member = member.name.text;
    if (!for_whom.empty()) caller.name += " for " + for_whom;
    const std::string authorization(request.header("authorization"));
    if (!authorization.empty()) {
        const auto client = IpAddress::parse(request.header("x-muster-client"));
        const IpAddress from = client ? *client : request.peer.address;
        if (client) caller.from = client->text();
        caller.address = from;
        const auto rights = co_await net::Blocking(*node_.control, node_.pools->judging, [&] {
            return node_.administrators->check(authorization, from, member.name.text);
        });
        if (!rights) {
            net::HttpResponse response = error_response(rights.error());
            if (rights.error().kind == ErrorKind::Limit) response.status = 429;
            co_return co_await exchange.respond(std::move(response));
        }
        caller.name = "admin:" + rights->name + " by node:" + member.name.text;
        caller.may_write = rights->may_write;
        caller.authorization = authorization;
        caller.is_node = false;
    }
    co_await api_.serve_as(exchange, std::move(caller));
}

// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)
}  // namespace muster::admin
