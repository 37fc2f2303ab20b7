#pragma once
// The durable queue of one node: a folder of message files, and the index of them.

#include <coroutine>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "net/loop.h"
#include "queue/adoption.h"
#include "queue/body.h"
#include "queue/envelope.h"
#include "queue/loader.h"
#include "queue/message_file.h"
#include "queue/owner.h"
#include "queue/schedule.h"

namespace muster::queue {

struct SpoolSettings {
    std::string folder;  ///< is made when it is not there; its parent must be
    Owner owner;
    RetrySettings retry;
    std::size_t body_memory = std::size_t{32} << 10;  ///< bytes of a message kept in memory
    /// Free bytes of the file system below which nothing is taken. Reports (Kind::Dsn) may use half
    /// of them, and the following two do not stop them: without them messages cannot leave.
    std::uint64_t reserve = std::uint64_t{256} << 20;
    std::uint64_t most_messages = 10'000'000;
    std::uint64_t most_bytes = 0;  ///< of texts; 0: as the disk has room
    /// Of messages just taken in that are kept in memory for their first try.
    std::uint64_t recent_bytes = std::uint64_t{16} << 20;
    std::size_t threads = 3;  ///< one notes results, the others write and sync
};

/// Who has the message after commit().
enum class After : std::uint8_t {
    Due,    ///< nobody: due() gives it at once
    Taken,  ///< the committer: it delivers in line, and calls remove() or settle() (an intent)
};

/// A queued message, read from its file.
struct QueuedMessage {
    QueueId id;
    Envelope envelope;
    std::vector<RecipientState> states;  ///< one a recipient
    std::shared_ptr<const Content> content;
    std::uint32_t tries = 0;
    bool delay_notice = false;
};

/// Folders: `active/BUCKET/ID` queued messages; `hold/ID`; `incoming/` texts being taken in;
/// `spare/` files to write over; `adopting/` copies from another file system; `corrupt/` what could
/// not be read; `OWNER`; `lock`.
///
/// Thread-safe, but for open() and the destructor. Calls that say so touch the disk on the
/// caller's thread; all others hand their work to the spool's own threads.
///
/// *Promise*: when commit() has answered with an id, the message is synced and will be given by
/// Schedule::due(), also after a crash or power cut, until remove() was called. Results and
/// removals are not waited for: after a power cut the last ones (of at most a few seconds) may be
/// lost, which repeats a delivery and loses none. After the death of the process alone nothing is
/// lost that had been written, which happens within milliseconds; flush_writes() waits for it.
class Spool {
public:
    /// Makes the folders, takes the lock, checks the owner, starts the threads and the loading.
    /// Conflict: another process has the lock. Refused: the folder belongs to another node or to a
    /// later generation (it was adopted). Io: the disk.
    static Result<std::unique_ptr<Spool>> open(SpoolSettings settings);
    Spool(const Spool&) = delete;
    Spool& operator=(const Spool&) = delete;
    /// Finishes what was given to it.
    ~Spool();

    // Taking in.
    [[nodiscard]] QueueId new_id();
    /// For a text that may be committed later; spills into `incoming/`.
    [[nodiscard]] Body new_body() const;
    /// Whether a message of `size` bytes would be taken now: Limit (452) when there is no room,
    /// Unavailable when the queue is not ours any more. Cheap: ask at MAIL.
    Result<> accepts(std::uint64_t size) const;

    using Done = std::function<void(Result<QueueId>)>;
    /// Stores the message; `done` is called on a spool thread (it must not block) once it is
    /// synced, together with all that waited for the same sync. Errors leave nothing behind: Limit
    /// for no room and for oversized envelopes, Io, Unavailable. An empty `id` is given one. With
    /// Envelope::hold the message goes to hold/ whatever `after` says.
    void commit(Envelope envelope, std::shared_ptr<const Content> content, After after, Done done,
                QueueId id = {});

    /// `co_await spool.commit_on(loop, …)`: Result<QueueId>, resumed on `loop`.
    class Commit {
    public:
        Commit(Spool& spool, net::Loop& loop, Envelope envelope,
               std::shared_ptr<const Content> content, After after, QueueId id);
        [[nodiscard]] bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> waiter);
        Result<QueueId> await_resume() { return std::move(*result_); }

    private:
        Spool& spool_;
        net::Loop& loop_;
        Envelope envelope_;
        std::shared_ptr<const Content> content_;
        After after_;
        QueueId id_;
        std::optional<Result<QueueId>> result_;
    };
    [[nodiscard]] Commit commit_on(net::Loop& loop, Envelope envelope,
                                   std::shared_ptr<const Content> content, After after = After::Due,
                                   QueueId id = {});

    /// `co_await spool.written_on(loop)`: what was recorded, settled or removed so far survives the
    /// end of this process; resumed on `loop`.
    class Written {
    public:
        Written(Spool& spool, net::Loop& loop) : spool_(spool), loop_(loop) {}
        [[nodiscard]] bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> waiter);
        void await_resume() const noexcept {}

    private:
        Spool& spool_;
        net::Loop& loop_;
    };
    [[nodiscard]] Written written_on(net::Loop& loop) { return {*this, loop}; }

    // Delivering. A message is read and changed by its taker (see Schedule), in order.
    [[nodiscard]] Schedule& schedule();
    /// What was just taken in is given from memory. Else reads the file on the caller's thread: of
    /// a message taken in by this process, from the page cache. NotFound, Io; Corrupt (it is then
    /// moved to corrupt/); Unavailable: !owned(). A message without open recipients is one that was
    /// not removed in time: remove it.
    Result<QueuedMessage> read(const QueueId& id);
    /// Appends results. Needs no call before remove().
    void record(const QueueId& id, std::vector<RecipientResult> results);
    /// The taker ends its try: `groups` as Schedule::settle; the try is noted in the file.
    void settle(const QueueId& id, std::vector<GroupResult> groups);
    /// The same at once, for a try that recorded nothing and counts for none: all `groups`, one or
    /// more, were Held or Busy.
    void pass_over(const QueueId& id, std::span<const GroupResult> groups);
    /// The taker gives it back, due at `when`; it is no try, and nothing is noted in the file.
    void put_back(const QueueId& id, Time when);
    void record_delay_notice(const QueueId& id);
    /// All recipients are done (and DSNs committed): the message leaves the queue.
    void remove(const QueueId& id);

    // Operators. On the caller's thread, durable when they return, one sync for all ids. They give
    // how many were changed: unknown ones, and those that are just being tried, are passed over.
    Result<std::size_t> hold(std::span<const QueueId> ids);
    /// Due at once.
    Result<std::size_t> release(std::span<const QueueId> ids);
    /// Deletes without notice to anybody.
    Result<std::size_t> discard(std::span<const QueueId> ids);

    /// Takes the messages of a dead node's queue in `folder`: becomes its owner first, then moves
    /// them. May be run again after an interruption at any point; nothing is lost or taken twice.
    /// Half-written messages were never acknowledged and are removed; unreadable ones are moved to
    /// our corrupt/. Blocks; call it on a thread that may. `progress` is called now and then.
    /// Conflict: a process has that queue open; NotFound: no queue there.
    Result<AdoptReport> adopt(const std::string& folder,
                              const std::function<void(const AdoptReport&)>& progress = {});

    [[nodiscard]] LoadProgress loading() const;
    /// Blocks until everything found at the start is in the index.
    void wait_loaded();
    /// Blocks until records and removals given so far are written (not synced).
    void flush_writes();
    /// False once another node has taken the folder, and while suspended: nothing is taken or
    /// given.
    [[nodiscard]] bool owned() const;
    /// Nothing is taken or given until resume(): somebody else may be about to take the folder.
    /// `why` goes into the log. Thread-safe, as resume() is.
    void suspend(std::string_view why);
    void resume();
    [[nodiscard]] const std::string& folder() const;

    struct Figures {
        std::uint64_t commits = 0;
        std::uint64_t syncs = 0;
        std::uint64_t refused = 0;  ///< for want of room
        std::uint64_t failed = 0;   ///< for the disk
        std::uint64_t removals = 0;
        std::chrono::nanoseconds sync_time{};
    };
    [[nodiscard]] Figures figures() const;

private:
    struct Impl;
    explicit Spool(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace muster::queue
