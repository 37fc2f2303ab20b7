#include "queue/spool.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "base/log.h"
#include "queue/checksum.h"
#include "queue/journal.h"
#include "queue/keeper.h"
#include "queue/recent.h"
#include "queue/room.h"
#include "queue/spool_owner.h"

namespace muster::queue {
namespace {

/// Most messages, head and results included, are read by one call.
constexpr std::size_t kReadAtOnce = std::size_t{64} << 10;

/// No Content of such a file reads it later: it is taken in and read in memory.
constexpr std::size_t kLargestSpare = std::size_t{32} << 10;
static_assert(kLargestSpare < kReadAtOnce);

Result<> within_bounds(const Envelope& envelope) {
    if (envelope.recipients.empty()) return fail(ErrorKind::Syntax, "a message has a recipient");
    if (envelope.recipients.size() > kMostRecipients) {
        return fail(ErrorKind::Limit, "too many recipients");
    }
    bool right = true;
    const auto look = [&right](const std::string& text) {
        right = right && text.size() <= kLongestField && text.find('\0') == std::string::npos;
    };
    for (const std::string* each :
         {&envelope.sender, &envelope.envid, &envelope.route_class, &envelope.client_address,
          &envelope.client_name, &envelope.helo, &envelope.login, &envelope.session.text}) {
        look(*each);
    }
    for (const Recipient& each : envelope.recipients) {
        look(each.address);
        look(each.orcpt);
        right = right && !each.address.empty();
    }
    if (!right) return fail(ErrorKind::Limit, "a part of the envelope is too long");
    return {};
}

Summary summary_of(const QueueId& id, const Envelope& envelope, std::uint64_t size, After after) {
    Summary summary;
    summary.id = id;
    summary.arrived = envelope.arrived;
    summary.expires = envelope.expires;
    summary.next_try = envelope.arrived;
    summary.size = size;
    summary.recipients = static_cast<std::uint32_t>(envelope.recipients.size());
    summary.open = summary.recipients;
    summary.state = envelope.hold           ? MessageState::Held
                    : after == After::Taken ? MessageState::Taken
                                            : MessageState::Waiting;
    summary.kind = envelope.kind;
    summary.sender = envelope.sender;
    summary.addresses.reserve(envelope.recipients.size());
    for (const Recipient& each : envelope.recipients) summary.addresses.push_back(each.address);
    return summary;
}

Result<std::uint32_t> checksum_of(const std::shared_ptr<const Content>& content) {
    BodyReader reader(content);
    for (std::uint32_t sum = 0;;) {
        const auto chunk = reader.next();
        if (!chunk) return std::unexpected(chunk.error());
        if (chunk->empty()) return sum;
        sum = crc32c(sum, *chunk);
    }
}

}  // namespace

struct Spool::Impl {
    Impl(SpoolSettings given, SpoolFiles opened, File locked, std::uint64_t removed)
        : settings(std::move(given)),
          files(std::move(opened)),
          lock(std::move(locked)),
          owner(settings.folder),
          schedule(settings.retry),
          ids(settings.owner.node),
          room(files, settings.reserve),
          recent(settings.recent_bytes),
          journal(files),
          keeper(files, settings.threads - std::min<std::size_t>(settings.threads, 1),
                 [this] { return may_run(); }),
          loader(files, schedule, ids, removed) {}

    Result<> may_run() const {
        if (suspended) return fail(ErrorKind::Unavailable, "this node may not run its queue");
        if (!lost && owner.unchanged()) return {};
        if (!lost.exchange(true)) {
            const auto found = read_owner(settings.folder);
            log::error("queue-lost", {{"folder", settings.folder},
                                      {"owner", found ? found->node.text : std::string("?")}});
        }
        return fail(ErrorKind::Unavailable, "the queue was taken over by another node");
    }

    Result<> has_room(std::uint64_t size, Kind kind) {
        if (kind == Kind::Dsn) return room.check_report(size);
        const Schedule::Counts counts = schedule.counts();
        const bool full = counts.messages >= settings.most_messages ||
                          (settings.most_bytes != 0 && counts.bytes + size > settings.most_bytes);
        if (full) return fail(ErrorKind::Limit, "insufficient storage", "the queue is full");
        return room.check(size);
    }

    void finished(const Summary& summary, Recent::Message message, const Result<>& kept,
                  const Done& done) {
        if (!kept) {
            ++failed;
            return done(std::unexpected(kept.error()));
        }
        ++commits;
        QueueId id = summary.id;
        // Whoever delivers in line has it in hand; whoever holds it, for long.
        if (summary.state == MessageState::Waiting) recent.add(id, std::move(message));
        schedule.add(summary);
        done(std::move(id));
    }

    Result<std::shared_ptr<const Content>> content_of(MessageFile& message) {
        const Layout& layout = message.contents.layout;
        if (message.body_read) return Content::of(std::move(message.body));
        auto content =
            Content::of_file(message.file.release(), layout.head, layout.size, layout.checksum);
        if (ids.gave(layout.id)) return content;
        const auto sum = checksum_of(content);
        if (!sum) return std::unexpected(sum.error());
        if (*sum != layout.checksum) {
            return fail(ErrorKind::Corrupt, "a queue file is damaged", "the message has changed");
        }
        return content;
    }

    Error set_aside(const QueueId& id, Error error) {
        if (error.kind == ErrorKind::Corrupt) files.set_aside(id, error.detail);
        if (error.kind == ErrorKind::Corrupt || error.kind == ErrorKind::NotFound) {
            schedule.erase(id);
        }
        return error;
    }

    const SpoolSettings settings;
    const SpoolFiles files;
    const File lock;
    const OwnerWatch owner;
    mutable std::atomic<bool> lost = false;
    std::atomic<bool> suspended = false;
    std::atomic<std::uint64_t> commits = 0, refused = 0, failed = 0, removals = 0;
    Schedule schedule;
    QueueIds ids;
    Room room;
    Recent recent;
    Journal journal;
    Keeper keeper;
    Loader loader;
};

Spool::Spool(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Spool::~Spool() {
    impl_->keeper.close();
    impl_->journal.close();
}

Result<std::unique_ptr<Spool>> Spool::open(SpoolSettings settings) {
    auto made = make_folder(settings.folder);
    if (!made) return std::unexpected(made.error());
    auto lock = lock_spool(settings.folder);
    if (!lock) return std::unexpected(lock.error());
    const auto found = read_owner(settings.folder);
    if (!found && found.error().kind != ErrorKind::NotFound) return std::unexpected(found.error());
    if (found) {
        if (auto may = may_run(*found, settings.owner, settings.folder); !may) {
            return std::unexpected(may.error());
        }
    }
    if (found) settings.owner = next_owner(*found, settings.owner);
    if (!found || *found != settings.owner) {
        auto written = write_owner(settings.folder, settings.owner);
        if (!written) return std::unexpected(written.error());
    }
    auto files = SpoolFiles::open(settings.folder, std::min(settings.body_memory, kLargestSpare));
    if (!files) return std::unexpected(files.error());
    (void)finish_adoption(*files);  // it says so in the log
    const std::uint64_t removed = files->clean_incoming();
    return std::unique_ptr<Spool>(new Spool(
        std::make_unique<Impl>(std::move(settings), std::move(*files), std::move(*lock), removed)));
}

QueueId Spool::new_id() { return impl_->ids.next(); }

Body Spool::new_body() const {
    return {impl_->settings.body_memory, impl_->files.incoming(), &impl_->room};
}

Result<> Spool::accepts(std::uint64_t size) const {
    if (impl_->lost || impl_->suspended) return impl_->may_run();
    return impl_->has_room(size, Kind::Mail);
}

void Spool::commit(Envelope envelope, std::shared_ptr<const Content> content, After after,
                   Done done, QueueId id) {
    Result<> may = within_bounds(envelope);
    if (may) may = impl_->has_room(content->size(), envelope.kind);
    if (!may) {
        ++impl_->refused;
        return done(std::unexpected(may.error()));
    }
    if (id.empty()) {
        id = new_id();
    } else if (!impl_->ids.gave(id)) {
        impl_->loader.leave_out(id);
    }
    if (envelope.arrived == Time{}) envelope.arrived = now();
    if (envelope.expires == Time{}) {
        envelope.expires = envelope.arrived + impl_->settings.retry.expire_after;
    }
    impl_->room.used(content->size());
    Arrival arrival;
    arrival.id = id;
    arrival.shelf = envelope.hold ? Shelf::Hold : Shelf::Active;
    Summary summary = summary_of(id, envelope, content->size(), after);
    arrival.envelope = std::make_shared<const Envelope>(std::move(envelope));
    arrival.content = std::move(content);
    arrival.done = [impl = impl_.get(), summary = std::move(summary),
                    message = Recent::Message{arrival.envelope, arrival.content},
                    done = std::move(done)](const Result<>& kept) mutable {
        impl->finished(summary, std::move(message), kept, done);
    };
    impl_->keeper.keep(std::move(arrival));
}

Spool::Commit::Commit(Spool& spool, net::Loop& loop, Envelope envelope,
                      std::shared_ptr<const Content> content, After after, QueueId id)
    : spool_(spool),
      loop_(loop),
      envelope_(std::move(envelope)),
      content_(std::move(content)),
      after_(after),
      id_(std::move(id)) {}

void Spool::Commit::await_suspend(std::coroutine_handle<> waiter) {
    spool_.commit(
        std::move(envelope_), std::move(content_), after_,
        [this, waiter, &loop = loop_](Result<QueueId> result) {
            result_.emplace(std::move(result));
            loop.post([waiter] { waiter.resume(); });
        },
        std::move(id_));
}

Spool::Commit Spool::commit_on(net::Loop& loop, Envelope envelope,
                               std::shared_ptr<const Content> content, After after, QueueId id) {
    return {*this, loop, std::move(envelope), std::move(content), after, std::move(id)};
}

// The journal works in order.
void Spool::Written::await_suspend(std::coroutine_handle<> waiter) {
    spool_.impl_->journal.append(
        {}, {}, [&loop = loop_, waiter] { loop.post([waiter] { waiter.resume(); }); });
}

Schedule& Spool::schedule() { return impl_->schedule; }

Result<QueuedMessage> Spool::read(const QueueId& id) {
    if (auto may = impl_->may_run(); !may) return std::unexpected(may.error());
    if (auto recent = impl_->recent.find(id)) {
        return QueuedMessage{
            .id = id,
            .envelope = *recent->envelope,
            .states = std::vector<RecipientState>(recent->envelope->recipients.size()),
            .content = std::move(recent->content)};
    }
    auto message = impl_->files.read(id, kReadAtOnce);
    if (!message) return std::unexpected(impl_->set_aside(id, message.error()));
    auto content = impl_->content_of(*message);
    if (!content) return std::unexpected(impl_->set_aside(id, content.error()));
    FileContents& contents = message->contents;
    contents.envelope.hold = message->shelf == Shelf::Hold;
    return QueuedMessage{.id = id,
                         .envelope = std::move(contents.envelope),
                         .states = std::move(contents.states),
                         .content = std::move(*content),
                         .tries = contents.tries,
                         .delay_notice = contents.delay_notice};
}

void Spool::record(const QueueId& id, std::vector<RecipientResult> results) {
    if (results.empty()) return;
    impl_->recent.forget(id);
    std::string lines;
    std::uint32_t closed = 0;
    for (RecipientResult& each : results) {
        if (each.at == Time{}) each.at = now();
        append_result(lines, each);
        closed += each.outcome == Outcome::Deferred ? 0 : 1;
    }
    if (closed > 0) impl_->schedule.recipients_done(id, closed);
    impl_->journal.append(id, std::move(lines));
}

void Spool::settle(const QueueId& id, std::vector<GroupResult> groups) {
    std::string lines;
    if (counts_as_try(groups)) {
        append_mark(lines, Mark::Attempt, now());
        impl_->recent.forget(id);
    }
    impl_->journal.append(id, std::move(lines),
                          [impl = impl_.get(), id, groups = std::move(groups)] {
                              impl->schedule.settle(id, groups, now());
                          });
}

void Spool::pass_over(const QueueId& id, std::span<const GroupResult> groups) {
    const bool is_next = std::ranges::all_of(
        groups, [](const GroupResult& each) { return each.kind == GroupResult::Kind::Busy; });
    if (!is_next) impl_->recent.forget(id);  // that may last
    impl_->schedule.settle(id, groups, now());
}

void Spool::put_back(const QueueId& id, Time when) {
    impl_->journal.append(id, {},
                          [impl = impl_.get(), id, when] { impl->schedule.put_back(id, when); });
}

void Spool::record_delay_notice(const QueueId& id) {
    std::string line;
    impl_->recent.forget(id);
    append_mark(line, Mark::DelayNotice, now());
    impl_->schedule.delay_notice_sent(id);
    impl_->journal.append(id, std::move(line));
}

void Spool::remove(const QueueId& id) {
    impl_->schedule.erase(id);
    impl_->recent.forget(id);
    ++impl_->removals;
    impl_->journal.remove(id);
}

Result<std::size_t> Spool::hold(std::span<const QueueId> ids) {
    std::size_t count = 0;
    for (const QueueId& id : ids) {
        if (!impl_->schedule.set_held(id, true, now())) continue;
        impl_->recent.forget(id);
        const auto moved = impl_->files.move(id, Shelf::Active, Shelf::Hold);
        if (!moved && moved.error().kind != ErrorKind::NotFound) {  // else: held already
            impl_->schedule.set_held(id, false, now());
            return std::unexpected(moved.error());
        }
        ++count;
    }
    if (auto synced = impl_->files.sync(); !synced) return std::unexpected(synced.error());
    return count;
}

Result<std::size_t> Spool::release(std::span<const QueueId> ids) {
    std::vector<QueueId> released;
    for (const QueueId& id : ids) {
        const auto found = impl_->schedule.find(id);
        if (!found || found->state != MessageState::Held) continue;
        auto moved = impl_->files.move(id, Shelf::Hold, Shelf::Active);
        if (!moved) return std::unexpected(moved.error());
        released.push_back(id);
    }
    if (auto synced = impl_->files.sync(); !synced) return std::unexpected(synced.error());
    for (const QueueId& id : released) impl_->schedule.set_held(id, false, now());
    return released.size();
}

Result<std::size_t> Spool::discard(std::span<const QueueId> ids) {
    std::size_t count = 0;
    for (const QueueId& id : ids) {
        if (!impl_->schedule.set_held(id, true, now())) continue;
        impl_->schedule.erase(id);
        impl_->recent.forget(id);
        auto removed = impl_->files.remove(id);
        if (!removed && removed.error().kind != ErrorKind::NotFound) {
            return std::unexpected(removed.error());
        }
        ++count;
    }
    if (auto synced = impl_->files.sync(); !synced) return std::unexpected(synced.error());
    return count;
}

Result<AdoptReport> Spool::adopt(const std::string& folder,
                                 const std::function<void(const AdoptReport&)>& progress) {
    if (auto may = impl_->may_run(); !may) return std::unexpected(may.error());
    return adopt_spool(folder, impl_->settings.owner, impl_->files, impl_->schedule, progress);
}

LoadProgress Spool::loading() const { return impl_->loader.progress(); }

void Spool::wait_loaded() { impl_->loader.wait(); }

void Spool::flush_writes() { impl_->journal.flush(); }

bool Spool::owned() const { return impl_->may_run().has_value(); }

void Spool::suspend(std::string_view why) {
    if (impl_->suspended.exchange(true)) return;
    log::error("queue-lost", {{"folder", impl_->settings.folder}, {"reason", why}});
}

void Spool::resume() {
    if (!impl_->suspended.exchange(false)) return;
    log::info("queue-resumed", {{"folder", impl_->settings.folder}});
}

const std::string& Spool::folder() const { return impl_->settings.folder; }

Spool::Figures Spool::figures() const {
    const Keeper::Figures syncs = impl_->keeper.figures();
    return {.commits = impl_->commits,
            .syncs = syncs.syncs,
            .refused = impl_->refused,
            .failed = impl_->failed,
            .removals = impl_->removals,
            .sync_time = syncs.time};
}

}  // namespace muster::queue
