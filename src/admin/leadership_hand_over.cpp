// A planned change of who leads: both sides of it.

#include <algorithm>

#include "admin/api.h"
#include "admin/ask_standing.h"
#include "admin/fan_out.h"
#include "admin/leadership.h"
#include "admin/peers.h"
#include "base/log.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

/// The other node begins its mastership, writes the nodes' entries, and answers.
constexpr CallBounds kLeadBounds{15'000ms};
constexpr auto kCatchUp = 10'000ms;
constexpr auto kAskAgain = 20ms;
constexpr int kCallOffTries = 3;
/// A stand-in that lacks more than this is not asked: writes would stand still for too long.
constexpr Revision kNear = 10'000;
constexpr std::size_t kCalledOff = 100;  ///< the newest that are known

}  // namespace

Result<PeerAddress> Leadership::successor(const NodeName& to) const {
    if (to == node_.config.node.name) return fail(ErrorKind::Refused, to.text + " leads already");
    const auto topology = node_.topology->current();
    const cluster::Node* entry = topology->node(to.text);
    if (entry == nullptr || entry->revoked) {
        return fail(ErrorKind::NotFound, "there is no node " + to.text);
    }
    if (!entry->eligible) {
        return fail(ErrorKind::Refused,
                    to.text + " cannot be promoted: it has not joined with the role master");
    }
    auto peer = node_.peers->find(to);
    if (!peer) return fail(ErrorKind::Refused, to.text + " has no cluster address");
    return *peer;
}

/// Until the other node lacks no more than `distance` revisions.
Result<> Leadership::wait_for(const PeerAddress& peer, Revision distance) const {
    const auto until = std::chrono::steady_clock::now() + kCatchUp;
    std::string why;
    while (!node_.stopping) {
        const auto answer = ask_standing(*node_.peers, peer).standing;
        if (!answer) return std::unexpected(answer.error());
        const NodeStanding& theirs = *answer;
        const state::History ours = directory_->history();
        why = theirs.why;
        if (theirs.may_lead) {
            const auto shared =
                state::standing(ours, theirs.history.cursor()) == state::Standing::Shared;
            const Revision missing = shared ? ours.head - theirs.history.head : ours.head;
            if (shared && missing <= distance) return {};
            why = shared ? "it lacks " + std::to_string(missing) + " revisions"
                         : "its state is another one";
        }
        if (std::chrono::steady_clock::now() >= until) break;
        std::this_thread::sleep_for(kAskAgain);
    }
    return fail(ErrorKind::Unavailable, peer.name.text + " cannot take over: " + why);
}

Result<json> Leadership::hand_over(const NodeName& to) {
    const std::scoped_lock lock(changing_);
    if (!node_.leads) {
        return fail(ErrorKind::Unavailable, std::string(state::kMasterChanging),
                    "this node does not lead, nothing was changed");
    }
    if (unknown_) return fail(ErrorKind::Conflict, "a change to " + unknown_->to + " goes on");
    if (const auto stopped = directory_->stopped()) return std::unexpected(*stopped);
    const auto peer = successor(to);
    if (!peer) return std::unexpected(peer.error());
    if (auto near = wait_for(*peer, kNear); !near) return std::unexpected(near.error());
    auto stopped =
        directory_->stop_writes({ErrorKind::Unavailable, std::string(state::kMasterChanging),
                                 "the master is changing, nothing was changed"},
                                kPatienceWithWrites);
    if (!stopped) {
        directory_->allow_writes();
        return std::unexpected(stopped.error());
    }
    return hand_over_to(*peer, {to.text, random_name(16)});
}

Result<json> Leadership::hand_over_to(const PeerAddress& peer, const HandOver& plan) {
    auto ready = wait_for(peer, 0);
    if (ready) ready = directory_->note_hand_over(plan.to + " " + plan.id);
    if (!ready) {
        directory_->allow_writes();
        return std::unexpected(ready.error());
    }
    net::HttpCall call{"POST", "/v1/lead"};
    const std::string cursor = state::format(directory_->head());
    call.body = state::json_line({{"id", plan.id}, {"cursor", cursor}});
    const auto answer = body_of(node_.peers->call(peer, call, kLeadBounds));
    log::info("hands_over", {{"to", plan.to},
                             {"cursor", cursor},
                             {"answer", answer ? "leads" : answer.error().detail}});
    unknown_ = plan;
    const bool leads = answer && answer->is_object() && answer->value("leads", false);
    if (leads) {
        unknown_.reset();
        if (auto done = follow(peer); !done) return std::unexpected(done.error());
        return json{{"leads", plan.to}, {"cursor", cursor}};
    }
    for (int tries = 0; unknown_ && tries < kCallOffTries; ++tries) resolve_hand_over();
    if (!directory_->leading()) return json{{"leads", plan.to}, {"cursor", cursor}};
    const std::string why = answer ? "it does not lead" : answer.error().detail;
    if (unknown_) return std::unexpected(*directory_->stopped());
    return fail(ErrorKind::Unavailable,
                plan.to + " did not take over, this node goes on (" + why + ")");
}

Result<bool> Leadership::leads_after_all(const PeerAddress& peer, const HandOver& plan) const {
    net::HttpCall call{"POST", "/v1/lead/off"};
    call.body = state::json_line({{"id", plan.id}});
    const auto answer = body_of(node_.peers->call(peer, call, kLeadBounds));
    if (!answer) return std::unexpected(answer.error());
    if (!answer->is_object() || !answer->contains("leads") || !(*answer)["leads"].is_boolean()) {
        return fail(ErrorKind::Unavailable, plan.to + " answers nonsense");
    }
    return (*answer)["leads"].get<bool>();
}

/// With `changing_` held: finds out who leads, when that is not known.
void Leadership::resolve_hand_over() {
    const HandOver plan = *unknown_;
    const auto peer = node_.peers->find(NodeName(plan.to));
    const auto leads = peer ? leads_after_all(*peer, plan) : Result<bool>(false);
    if (!leads) {
        (void)stop_writes("the master is changing",
                          plan.to +
                              " was asked to lead and cannot be reached now, so that it is not "
                              "known whether it does. Bring it back; if it is lost for good, "
                              "promote another node or this one (muster cluster promote NAME "
                              "--force): " +
                              leads.error().detail);
        return;
    }
    unknown_.reset();
    note("");
    if (*leads) {
        if (auto done = follow(*peer); !done) note(done.error().detail);
        return;
    }
    if (auto done = directory_->note_hand_over(""); !done) note(done.error().detail);
    if (node_.leads) directory_->allow_writes();
}

Result<json> Leadership::lead_for(const NodeName& from, const std::string& id,
                                  const state::Cursor& cursor) {
    const std::scoped_lock lock(changing_);
    if (directory_->leading()) return json{{"leads", node_.leads.load()}};
    if (std::ranges::find(called_off_, id) != called_off_.end()) {
        return fail(ErrorKind::Refused, "this was called off");
    }
    const auto able = may_take_over();
    if (!able) return std::unexpected(able.error());
    const state::Cursor ours = directory_->head();
    if (ours != cursor) {
        return fail(ErrorKind::Conflict, "this node stands at " + state::format(ours) +
                                             ", not at " + state::format(cursor));
    }
    if (auto led = begin_to_lead(Begins::Mastership); !led) {
        if (!directory_->leading()) following_->start();
        return std::unexpected(led.error());
    }
    log::info("took_over", {{"from", from.text}});
    return json{{"leads", true}};
}

Result<json> Leadership::answer_call_off(const NodeName& from, const std::string& id) {
    const std::scoped_lock lock(changing_);
    called_off_.push_back(id);
    if (called_off_.size() > kCalledOff) called_off_.pop_front();
    const bool leads = directory_->leading() != nullptr;
    log::info("called_off", {{"by", from.text}, {"leads", leads ? "yes" : "no"}});
    return json{{"leads", leads}};
}

}  // namespace muster::admin
