#include "admin/leadership.h"

#include <algorithm>

#include "admin/ask_standing.h"
#include "admin/peers.h"
#include "admin/presence.h"
#include "admin/sealed_secrets.h"
#include "admin/surplus.h"
#include "base/log.h"
#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"

namespace muster::admin {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr std::chrono::seconds kLookInterval{5};
constexpr int kClaimTries = 5;
constexpr std::size_t kMostNodes = 100'000;

std::string in_words(const state::History& ours, const NodeStanding& theirs) {
    return theirs.name + " leads since revision " +
           std::to_string(state::shared_up_to(ours, theirs.history) + 1) + " (mastership " +
           std::to_string(state::mastership(
               theirs.history.terms.empty() ? 0 : theirs.history.terms.back().number)) +
           ")";
}

}  // namespace

Leadership::Leadership(NodeContext& node) : node_(node) {}

Leadership::~Leadership() { stop(); }

Result<> Leadership::open() {
    const std::filesystem::path folder = node_.config.node.state_dir;
    auto coordination = state::SqliteStore::open(folder / "coordination.db");
    if (!coordination) return std::unexpected(coordination.error());
    coordination_ = std::move(*coordination);
    auto file = state::leading_file(folder);
    if (!file) {
        auto replica = state::Replica::of_folder(folder);
        if (!replica) return std::unexpected(replica.error());
        node_.replica = std::move(*replica);
        const bool is_first = !node_.replica->filled() && node_.identity.masters.empty();
        if (is_first) file = state::directory_file(folder);
    }
    if (file) {
        auto store = state::SqliteStore::open(*file);
        if (!store) return std::unexpected(store.error());
        node_.replica = state::Replica::of_file(*file);
        directory_ = std::make_unique<state::DirectoryStore>(node_.replica);
        (void)directory_->stop_writes({ErrorKind::Unavailable, std::string(state::kMasterChanging),
                                       "this node begins to lead, nothing was changed"},
                                      0ms);
        directory_->lead(std::move(*store));
    } else {
        directory_ = std::make_unique<state::DirectoryStore>(node_.replica);
    }
    node_.directory = directory_.get();
    node_.coordination = coordination_.get();
    node_.leadership = this;
    return {};
}

Result<> Leadership::begin(std::shared_ptr<Following> following) {
    const std::scoped_lock lock(changing_);
    following_ = std::move(following);
    if (!directory_->leading()) return {};
    const auto noted = state::noted_hand_over(directory_->file());
    if (noted && !noted->empty()) {
        const auto space = noted->find(' ');
        unknown_ = HandOver{noted->substr(0, space),
                            space == std::string::npos ? "" : noted->substr(space + 1)};
    }
    // What cannot be decided now is looked at again and again.
    if (auto looked = look_once(); !looked) note(looked.error().detail);
    return {};
}

/// With `changing_` held: leads, or finds out why not.
Result<> Leadership::look_once() {
    if (unknown_) {
        resolve_hand_over();
        if (unknown_ || !directory_->leading()) return {};
    }
    if (must_follow_) return follow(PeerAddress(*must_follow_));
    const auto rivalry = look_at_others();
    if (!rivalry) return std::unexpected(rivalry.error());
    if (*rivalry != Rivalry::Ours) return {};
    if (!node_.leads) return begin_to_lead(Begins::Run);
    look_at_cursor();
    return {};
}

void Leadership::start() {
    const std::scoped_lock lock(changing_);  // another node may ask this one to lead already
    if (!directory_->leading()) following_->start();
    begun_ = true;
    thread_ = std::jthread([this](const std::stop_token& stop) { look_around(stop); });
}

void Leadership::stop() {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
}

/// With `changing_` held. The store of the file is open when this node led before.
Result<> Leadership::begin_to_lead(Begins what) {
    const bool promoted = what == Begins::Mastership;
    if (following_) following_->stop();
    if (!directory_->leading()) {
        auto store = state::SqliteStore::open(node_.replica->file());
        if (!store) return std::unexpected(store.error());
        if (promoted) {
            if (auto begun = (*store)->begin_mastership(); !begun) return begun;
        }
        directory_->lead(std::move(*store));
    }
    if (!promoted) {
        if (auto begun = directory_->begin_term(); !begun) return begun;
    }
    if (!promoted && read_set_back()) {  // others may read, nobody changes anything
        if (node_.presence != nullptr) node_.presence->begin();
        node_.leads = true;
        return {};
    }
    directory_->allow_writes();
    const auto sealed = seal_stored_secrets(*directory_, node_.identity.seal_secret());
    if (!sealed) return std::unexpected(sealed.error());
    if (*sealed != 0) log::info("secrets-sealed", {{"entries", *sealed}});
    if (auto claimed = claim(); !claimed) return claimed;
    if (node_.presence != nullptr) node_.presence->begin();
    node_.leads = true;
    note("");
    log::info("leads", {{"cursor", state::format(directory_->head())},
                        {"promoted", promoted ? "yes" : "no"}});
    return {};
}

Result<> Leadership::claim() {
    Result<> done;
    for (int tries = 0; tries < kClaimTries; ++tries) {
        const auto rows = directory_->range(cluster::kNodePrefix,
                                            state::prefix_end(cluster::kNodePrefix), kMostNodes);
        if (!rows) return std::unexpected(rows.error());
        state::Transaction transaction;
        for (const state::Entry& row : *rows) {
            const std::string name = row.key.substr(cluster::kNodePrefix.size());
            auto entry = cluster::decode_node(name, row.value);
            if (!entry) continue;
            const bool leads = entry->name == node_.config.node.name;
            if (entry->master == leads) continue;
            entry->eligible = !leads;
            entry->master = leads;
            transaction.expect(row.key, row.revision).put(row.key, cluster::encode(*entry));
        }
        if (transaction.writes.empty()) return {};
        const auto written = directory_->commit(transaction);
        if (written) {
            (void)node_.topology->refresh();
            return {};
        }
        done = std::unexpected(written.error());
        if (written.error().kind != ErrorKind::Conflict) break;
    }
    return done;
}

/// With `changing_` held, and writes stopped.
Result<> Leadership::follow(const PeerAddress& leader) {
    must_follow_ = leader;
    node_.leads = false;
    // A node without a file to lead with follows only when it knows whom: this comes first.
    std::vector<PeerAddress> masters = node_.identity.masters;
    std::erase_if(masters, [&](const PeerAddress& known) { return known.name == leader.name; });
    masters.insert(masters.begin(), leader);
    auto saved = save_masters(node_.config.node.state_dir, node_.identity, std::move(masters));
    if (!saved) return saved;
    if (auto done = directory_->follow(); !done) return done;
    must_follow_.reset();
    {
        const std::scoped_lock lock(mutex_);
        set_back_.reset();
        put_out_ = false;
    }
    note("");
    if (begun_) following_->start();
    log::info("follows", {{"leader", leader.name.text}});
    return {};
}

std::vector<Leadership::Rival> Leadership::others() {
    std::vector<Rival> found;
    std::set<std::string> put_out_by;
    const state::History ours = directory_->history();
    for (const PeerAddress& peer : node_.peers->masters()) {
        StandingAnswer answer = ask_standing(*node_.peers, peer);
        const bool is_silent = !answer.standing && answer.refusal.is_null();
        if (answer.standing) {
            found.push_back({peer, std::move(*answer.standing)});
        } else if (is_silent ? put_out_by_.contains(peer.cluster)
                             : puts_out(answer.refusal, ours)) {
            put_out_by.insert(peer.cluster);
        }
    }
    put_out_by_ = std::move(put_out_by);
    return found;
}

std::string Leadership::who_put_out() const {
    std::string who;
    for (const std::string& one : put_out_by_) who += (who.empty() ? "" : ", ") + one;
    return who;
}

Result<Rivalry> Leadership::look_at_others() {
    const state::History ours = directory_->history();
    Rivalry worst = Rivalry::Ours;
    for (const Rival& rival : others()) {
        if (!rival.standing.leads) continue;
        const auto met = face(rival, judge(ours, rival.standing.history));
        if (!met || *met == Rivalry::Theirs) return met;
        if (*met != Rivalry::Ours) worst = *met;
    }
    looks_put_out_ = put_out_by_.empty() ? 0 : looks_put_out_ + 1;
    if (put_out_by_.empty()) {
        if (worst == Rivalry::Ours) take_in_again();
        return worst;
    }
    // The other one may be about to hear of this node.
    if (node_.leads && looks_put_out_ < 2) return worst;
    auto stopped = stop_writes(kPutOut, who_put_out() +
                                            " does not know it any more, so there must be another "
                                            "master (muster cluster masters there). " +
                                            kJoinAnew);
    {
        const std::scoped_lock lock(mutex_);
        put_out_ = true;
    }
    if (!stopped) return std::unexpected(stopped.error());
    return Rivalry::Waits;
}

/// With `changing_` held: whoever put this node out has taken that back.
void Leadership::take_in_again() {
    std::optional<Ahead> set_back;
    {
        const std::scoped_lock lock(mutex_);
        if (!std::exchange(put_out_, false)) return;
        set_back = set_back_;
    }
    note("");
    log::info("taken_in_again", {});
    if (set_back) return stop_as_set_back(*set_back);
    if (node_.leads) directory_->allow_writes();
}

std::optional<Error> Leadership::put_out() const {
    {
        const std::scoped_lock lock(mutex_);
        if (!put_out_) return std::nullopt;
    }
    return directory_->stopped();
}

Result<Rivalry> Leadership::face(const Rival& rival, Rivalry found) {
    const state::History ours = directory_->history();
    const std::string& name = node_.config.node.name.text;
    Result<> done;
    const bool is_other_history = rival.standing.history.incarnation != ours.incarnation;
    if (found == Rivalry::Ours && is_other_history && !node_.leads) {
        // A backup that is brought back replaces nobody's work by merely being started.
        found = Rivalry::Waits;
        done = stop_writes("another master leads",
                           rival.standing.name +
                               " leads, and the state of this node is another "
                               "one (a restored backup?). To have this one "
                               "everywhere: muster cluster promote " +
                               name + " --force; else empty its state_dir and join it anew");
    } else if (found == Rivalry::OursEqual) {
        log::warning("two_masters", {{"other", rival.standing.name},
                                     {"next", "this one goes on, in a new mastership"}});
        found = Rivalry::Ours;
        done = directory_->begin_mastership();
    } else if (found == Rivalry::Waits) {
        done = stop_writes("another master goes on", in_words(ours, rival.standing));
    } else if (found == Rivalry::Theirs) {
        done = depose(rival);
    }
    if (!done) return std::unexpected(done.error());
    return found;
}

Result<> Leadership::depose(const Rival& rival) {
    const state::History ours = directory_->history();
    const std::string words = in_words(ours, rival.standing);
    if (auto stopped = stop_writes("this node was deposed", words); !stopped) return stopped;
    const auto& folder = node_.config.node.state_dir;
    const auto kept = keep_surplus(*directory_, state::shared_up_to(ours, rival.standing.history),
                                   rival.standing.name, folder);
    if (!kept) {
        return fail(ErrorKind::Io, "this node was deposed (" + words +
                                       ") and refuses changes, but what only it has could not be "
                                       "written to " +
                                       folder + ": " + kept.error().detail);
    }
    log::error("deposed", {{"why", words},
                           {"surplus", kept->empty() ? "none" : *kept},
                           {"next", "this node follows"}});
    PeerAddress leader = rival.peer;
    leader.name = NodeName(rival.standing.name);
    return follow(leader);
}

/// From now on changes are refused, and an alarm says why; changes that run are waited for.
Result<> Leadership::stop_writes(std::string text, const std::string& why) {
    const std::string whole = text + ", nothing was changed: " + why;
    note(whole);
    return directory_->stop_writes({ErrorKind::Unavailable, std::move(text), whole},
                                   kPatienceWithWrites);
}

void Leadership::note(std::string trouble) {
    const std::scoped_lock lock(mutex_);
    if (!trouble.empty() && trouble != trouble_) log::error("leadership", {{"trouble", trouble}});
    trouble_ = std::move(trouble);
}

// ---- looking around

void Leadership::look_around(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
        {
            std::unique_lock lock(mutex_);
            woken_.wait_for(lock, stop, kLookInterval, [this] { return wake_; });
            wake_ = false;
        }
        if (stop.stop_requested()) return;
        const std::scoped_lock lock(changing_);
        if (!directory_->leading()) continue;
        if (auto looked = look_once(); !looked) note(looked.error().detail);
    }
}

NodeStanding Leadership::standing() const {
    NodeStanding standing;
    standing.name = node_.config.node.name.text;
    standing.leads = directory_->leading() != nullptr;
    standing.history = directory_->history();
    const auto stopped = directory_->stopped();
    standing.writes = node_.leads && !stopped;
    if (stopped) standing.why = stopped->detail;
    if (standing.leads) return standing;
    const auto able = may_take_over();
    standing.may_lead = able.has_value();
    if (!able) standing.why = able.error().detail;
    return standing;
}

// ---- forced

Result<> Leadership::may_take_over() const {
    const auto topology = node_.topology->current();
    const cluster::Node* self = topology->node(node_.config.node.name.text);
    if (self == nullptr || self->revoked || !(self->eligible || self->master)) {
        return fail(ErrorKind::Refused, node_.config.node.name.text +
                                            " cannot be promoted: its entry does not say eligible");
    }
    if (!node_.identity.authority_key) {
        return fail(ErrorKind::Refused, node_.config.node.name.text +
                                            " has not got the authority's key: join it again");
    }
    if (directory_->history().incarnation.empty()) {
        return fail(ErrorKind::Unavailable,
                    node_.config.node.name.text + "'s copy of the state is not whole");
    }
    return {};
}

Result<json> Leadership::take_over() {
    const std::scoped_lock lock(changing_);
    const std::string& name = node_.config.node.name.text;
    const bool led = directory_->leading() != nullptr;
    if (node_.leads && !directory_->stopped()) {
        return fail(ErrorKind::Refused, name + " leads already");
    }
    if (const auto able = may_take_over(); !able) return std::unexpected(able.error());
    const auto rivals = others();
    if (!put_out_by_.empty()) {
        return fail(ErrorKind::Refused, name +
                                            " was put out of the cluster, it cannot be promoted (" +
                                            who_put_out() + " says so). " + kJoinAnew);
    }
    for (const Rival& other : rivals) {
        if (!other.standing.leads || !other.standing.writes) continue;
        // A restored backup is put in the place of what the other one has.
        if (led && other.standing.history.incarnation < directory_->history().incarnation) continue;
        return fail(ErrorKind::Refused, other.standing.name +
                                            " leads and answers: muster cluster promote " + name +
                                            " without --force loses nothing");
    }
    must_follow_.reset();
    if (led) {  // and could not write: set back, or between two masters
        unknown_.reset();
        if (auto begun = directory_->begin_mastership(); !begun) {
            return std::unexpected(begun.error());
        }
        const std::scoped_lock facts(mutex_);
        set_back_.reset();
    }
    if (auto done = begin_to_lead(led ? Begins::Run : Begins::Mastership); !done) {
        if (!directory_->leading()) following_->start();
        return std::unexpected(done.error());
    }
    return json{{"leads", name}, {"cursor", state::format(directory_->head())}};
}

}  // namespace muster::admin
