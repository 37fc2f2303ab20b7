#include "admin/ask_standing.h"

#include "admin/fan_out.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

constexpr CallBounds kBounds{std::chrono::milliseconds(2'000)};

}  // namespace

StandingAnswer ask_standing(const Peers& peers, const PeerAddress& peer) {
    const auto reply = peers.call(peer, {"GET", "/v1/standing"}, kBounds);
    const auto answer = body_of(reply);
    if (!answer) {
        nlohmann::json refusal;
        if (reply && reply->status >= 400) refusal = state::parse_json(reply->body);
        return {std::unexpected(answer.error()), std::move(refusal)};
    }
    auto standing = standing_from(*answer);
    if (!standing) {
        return {fail(ErrorKind::Unavailable, "node " + peer.name.text + " answers nonsense")};
    }
    return {std::move(*standing)};
}

}  // namespace muster::admin
