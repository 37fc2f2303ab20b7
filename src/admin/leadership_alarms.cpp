// A master that was set back, and what else a node that may lead tells people.

#include "admin/api.h"
#include "admin/leadership.h"
#include "admin/surplus.h"
#include "base/log.h"
#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;

bool has_all(const cluster::Node& member) { return member.scope == cluster::NodeScope::Backend; }

constexpr std::string_view kSetBackKey = "set_back";
constexpr const char* kWaysOut =
    "Put the newer state back (muster cluster restore), or promote a stand-in that has them "
    "(muster cluster promote NAME --force), or give them up: muster cluster accept-loss "
    "(--revoke NAME, if that node is not to be believed)";

std::string beyond(const state::Cursor& cursor) {
    return " has changes up to " + state::format(cursor) + " that this master does not know ";
}

}  // namespace

void Leadership::cursor_seen(const cluster::Node& member, const state::Cursor& cursor) {
    if (!node_.leads) return;
    const bool is_ahead = state::standing(directory_->history(), cursor) == state::Standing::Behind;
    {
        const std::scoped_lock lock(mutex_);
        if (!is_ahead) {
            waiting_.erase(member.name.text);
            return;
        }
        if (!has_all(member)) {
            waiting_.insert_or_assign(member.name.text, cursor);
            return;
        }
        seen_ = Ahead{member.name.text, cursor};
        wake_ = true;
    }
    woken_.notify_all();
}

void Leadership::look_at_cursor() {
    std::optional<Ahead> seen;
    {
        const std::scoped_lock lock(mutex_);
        seen = std::exchange(seen_, std::nullopt);
        if (set_back_) return;
    }
    if (!seen) return;
    if (state::standing(directory_->history(), seen->cursor) != state::Standing::Behind) return;
    if (is_revoked(NodeName(seen->member))) return;
    const json note{{"member", seen->member}, {"cursor", state::format(seen->cursor)}};
    const auto noted = coordination_->commit(
        state::Transaction().put(std::string(kSetBackKey), state::json_line(note)));
    if (!noted) log::warning("set_back_unwritten", {{"reason", noted.error().detail}});
    stop_as_set_back(*seen);
}

void Leadership::stop_as_set_back(const Ahead& ahead) {
    {
        const std::scoped_lock lock(mutex_);
        set_back_ = ahead;
    }
    (void)stop_writes("the master was set back", ahead.member + beyond(ahead.cursor) +
                                                     "(an old image of its disk?). " + kWaysOut);
}

bool Leadership::read_set_back() {
    const auto row = coordination_->get(kSetBackKey);
    if (!row || !*row) return false;
    const json note = state::parse_json((*row)->value);
    const auto cursor = state::parse_cursor(text_field(note, "cursor").value_or(""));
    if (!cursor) return false;
    if (state::standing(directory_->history(), *cursor) != state::Standing::Behind) return false;
    stop_as_set_back({text_field(note, "member").value_or(""), *cursor});
    return true;
}

bool Leadership::is_revoked(const NodeName& member) const {
    const auto entry = cluster::DirectoryWriter(*directory_).node(member);
    return entry && (!*entry || (*entry)->revoked);
}

Result<> Leadership::revoke(const NodeName& member) {
    cluster::DirectoryWriter writer(*directory_);
    constexpr int kMostTries = 50;  // each is lost to somebody's success
    for (int tries = 1;; ++tries) {
        const auto row = directory_->get(cluster::node_key(member));
        if (!row) return std::unexpected(row.error());
        if (!*row) return fail(ErrorKind::NotFound, "there is no node " + member.text);
        auto entry = cluster::decode_node(member.text, (*row)->value);
        if (!entry) return std::unexpected(entry.error());
        entry->revoked = true;
        auto written = writer.put(*entry, (*row)->revision);
        const bool was_overtaken = !written && written.error().kind == ErrorKind::Conflict;
        if (!was_overtaken || tries == kMostTries) return written;
    }
}

Result<json> Leadership::accept_loss(const NodeName& revoked) {
    const std::scoped_lock lock(changing_);
    if (revoked == node_.config.node.name) {
        return fail(ErrorKind::Refused, "this node cannot revoke itself");
    }
    if (!revoked.empty() && node_.topology->current()->node(revoked.text) == nullptr) {
        return fail(ErrorKind::NotFound, "there is no node " + revoked.text);
    }
    bool was_set_back = false;
    {
        const std::scoped_lock facts(mutex_);
        was_set_back = set_back_.has_value() && !put_out_;
    }
    if (!node_.leads) return fail(ErrorKind::Refused, "this node does not lead");
    if (!was_set_back) {
        if (const auto stopped = directory_->stopped()) return std::unexpected(*stopped);
        auto stopped =
            directory_->stop_writes({ErrorKind::Unavailable, std::string(state::kMasterChanging),
                                     "a loss is accepted, nothing was changed"},
                                    kPatienceWithWrites);
        if (!stopped) {
            directory_->allow_writes();
            return std::unexpected(stopped.error());
        }
    }
    if (auto done = directory_->renew_incarnation(); !done) {
        if (!was_set_back) directory_->allow_writes();
        return std::unexpected(done.error());
    }
    directory_->allow_writes();
    // What it claims is not looked at before this is done (`changing_`).
    const auto kept_out = revoked.empty() ? Result<>{} : revoke(revoked);
    {
        const std::scoped_lock facts(mutex_);
        set_back_.reset();
        seen_.reset();
        waiting_.clear();
    }
    note("");
    log::warning("loss_accepted", {{"cursor", state::format(directory_->head())}});
    if (!kept_out) {
        return fail(kept_out.error().kind, "the loss is accepted, but " + revoked.text +
                                               " is not revoked: " + kept_out.error().detail +
                                               ". muster node set " + revoked.text +
                                               " revoked=true");
    }
    return json{{"cursor", state::format(directory_->head())}};
}

std::vector<Alarm> Leadership::alarms() const {
    std::vector<Alarm> alarms;
    {
        const std::scoped_lock lock(mutex_);
        if (!trouble_.empty()) alarms.push_back({"master", trouble_, true});
        const auto topology = node_.topology->current();
        for (const auto& [member, cursor] : waiting_) {
            const cluster::Node* entry = topology->node(member);
            if (!node_.leads || entry == nullptr || entry->revoked) continue;
            alarms.push_back({"master",
                              member + beyond(cursor) + "(it stands at " +
                                  state::format(directory_->head()) +
                                  "; an old image of its disk?), and waits. " + kWaysOut,
                              true});
        }
    }
    if (std::string text = stranded(); !text.empty()) {
        alarms.push_back({"master", std::move(text), true});
    }
    for (const std::string& file : surplus_files(node_.config.node.state_dir)) {
        alarms.push_back({"master",
                          "this node was deposed with changes that the cluster has not: they stand "
                          "in " +
                              file + "; make again what is needed of them, then remove it",
                          false});
    }
    return alarms;
}

/// Others look for this node where its entry says that it is: nobody but it knows better.
std::string Leadership::stranded() const {
    const std::string& here = node_.config.cluster.advertise;
    const auto endpoint = Endpoint::parse(here);
    // All addresses of the machine are none that others could use.
    if (!node_.leads || here.empty() || (endpoint && endpoint->address.is_unspecified())) return {};
    const auto topology = node_.topology->current();
    const std::string& name = node_.config.node.name.text;
    const cluster::Node* self = topology->node(name);
    if (self == nullptr || self->cluster == here) return {};
    return "other nodes look for this master at " +
           (self->cluster.empty() ? "no address" : self->cluster) + ", it is at " + here +
           ": muster node set " + name + " cluster=" + here +
           " (or, if they reach it as they do, set cluster.advertise to that)";
}

}  // namespace muster::admin
