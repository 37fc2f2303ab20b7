#pragma once
// Whether a node with the role master leads, and how that changes while it runs.

#include <nlohmann/json.hpp>

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "admin/alarms.h"
#include "admin/following.h"
#include "admin/node_context.h"
#include "admin/standing.h"
#include "cluster/entries.h"
#include "state/directory_store.h"

namespace muster::admin {

/// Of a node with the role master: it leads, or it is a stand-in, which follows who leads, is a
/// source for others, and can be promoted. Which of the two stands in the file of its state
/// (state/sqlite_store.h); that the cluster has one leader alone is kept as follows:
///
/// - A planned change: the leader stops writing, notes durably to whom it hands over, and asks that
///   node to lead once it has everything. Until it knows the answer it does not write again; a
///   node that was told that the change is off does not lead by a late request.
/// - A forced one begins a higher mastership without asking who led. That node asks the stand-ins
///   when it starts and every few seconds; where it finds a higher mastership it refuses changes,
///   keeps what only it has in a file, and follows.
/// - A leader to which a member with the whole directory shows a position beyond its own history
///   was set back (an old image of its disk): it refuses changes until somebody decides.
///
/// Calls block and may come from any thread; a thread of its own looks around.
class Leadership {
public:
    explicit Leadership(NodeContext& node);
    ~Leadership();
    Leadership(const Leadership&) = delete;
    Leadership& operator=(const Leadership&) = delete;

    /// Opens the state: the context gets its stores and its replica. Writes nothing.
    Result<> open();
    /// Leads, if this node is to: asks the stand-ins first, for a few seconds at most. The context
    /// has its peers by now.
    Result<> begin(std::shared_ptr<Following> following);
    /// Begins to follow, unless it leads, and to look around.
    void start();
    void stop();

    [[nodiscard]] NodeStanding standing() const;
    /// Its state could lead and this node does not: nobody may follow it, since its history may be
    /// one that the cluster has left.
    [[nodiscard]] bool is_undecided() const { return directory_->leading() && !node_.leads; }
    /// Set when the cluster does not know this node any more: it changes nothing, and passes
    /// nothing on.
    [[nodiscard]] std::optional<Error> put_out() const;
    /// Planned, on the node that leads.
    Result<nlohmann::json> hand_over(const NodeName& to);
    /// Forced, on the node that is to lead.
    Result<nlohmann::json> take_over();
    /// This master goes on with what it has, in a new history: all others are made equal to it.
    /// `revoked`, unless it is empty, is kept out from then on: a member that is not believed could
    /// else claim again that this master was set back.
    Result<nlohmann::json> accept_loss(const NodeName& revoked);

    /// The other side of hand_over(): `from` asks this node to lead with exactly its history.
    Result<nlohmann::json> lead_for(const NodeName& from, const std::string& id,
                                    const state::Cursor& cursor);
    /// `from` goes on by itself, unless this node leads by now: "leads" says which.
    Result<nlohmann::json> answer_call_off(const NodeName& from, const std::string& id);

    /// A member asks for what follows `cursor`. Quick.
    void cursor_seen(const cluster::Node& member, const state::Cursor& cursor);
    [[nodiscard]] std::vector<Alarm> alarms() const;

private:
    /// With changes that run, before others are refused.
    static constexpr std::chrono::milliseconds kPatienceWithWrites{10'000};

    struct Rival {
        PeerAddress peer;
        NodeStanding standing;
    };
    struct Ahead {
        std::string member;
        state::Cursor cursor;
    };
    struct HandOver {
        std::string to;
        std::string id;
    };

    /// What a node that leads begins in its history.
    enum class Begins : std::uint8_t { Run, Mastership };
    Result<> begin_to_lead(Begins what);
    /// The entries of the nodes say who leads and who may.
    Result<> claim();
    Result<> follow(const PeerAddress& leader);
    Result<> depose(const Rival& rival);
    /// Those that answer; notes who says that this node is no member any more. Who cannot be
    /// reached has not changed its mind.
    std::vector<Rival> others();
    /// Why no changes are passed on; empty unless somebody put this node out. With `changing_`.
    [[nodiscard]] std::string who_put_out() const;
    /// The worst there is: what this node is to do.
    Result<Rivalry> look_at_others();
    void take_in_again();
    Result<> look_once();
    Result<Rivalry> face(const Rival& rival, Rivalry found);
    void look_at_cursor();
    void stop_as_set_back(const Ahead& ahead);
    /// Whether an earlier run left a note, and the history does not hold that position yet.
    bool read_set_back();
    /// Or gone; by the entry as it is written, which is newer than the topology.
    [[nodiscard]] bool is_revoked(const NodeName& member) const;
    Result<> revoke(const NodeName& member);
    /// Where others look for this node, when it is somewhere else; empty: all is well.
    [[nodiscard]] std::string stranded() const;
    Result<PeerAddress> successor(const NodeName& to) const;
    Result<> wait_for(const PeerAddress& peer, Revision distance) const;
    Result<nlohmann::json> hand_over_to(const PeerAddress& peer, const HandOver& plan);
    /// Asks the other one not to lead by this plan any more: whether it leads already. An error
    /// when it cannot be reached.
    Result<bool> leads_after_all(const PeerAddress& peer, const HandOver& plan) const;
    void resolve_hand_over();
    Result<> stop_writes(std::string text, const std::string& why);
    void look_around(const std::stop_token& stop);
    void note(std::string trouble);
    [[nodiscard]] Result<> may_take_over() const;

    NodeContext& node_;
    std::unique_ptr<state::Store> coordination_;
    std::unique_ptr<state::DirectoryStore> directory_;
    std::shared_ptr<Following> following_;
    std::mutex changing_;                 ///< held while what this node is changes
    std::deque<std::string> called_off_;  ///< the newest
    /// It leads; until this node follows it, whatever fails, it does not lead itself.
    std::optional<PeerAddress> must_follow_;
    std::optional<HandOver> unknown_;   ///< whether that node leads
    std::set<std::string> put_out_by_;  ///< addresses of those that say so
    int looks_put_out_ = 0;             ///< in a row, in which somebody did
    bool begun_ = false;

    mutable std::mutex mutex_;  ///< of what follows
    std::condition_variable_any woken_;
    bool wake_ = false;
    std::optional<Ahead> seen_;  ///< a member with the whole directory, beyond our history
    /// Other followers that are: they wait, and may be all that is left of what was lost.
    std::map<std::string, state::Cursor> waiting_;
    std::string trouble_;            ///< for alarms
    std::optional<Ahead> set_back_;  ///< who told; stands in the coordination store, too
    bool put_out_ = false;           ///< that is what stopped the writes
    std::jthread thread_;
};

}  // namespace muster::admin
