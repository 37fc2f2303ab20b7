#include "queue/loader.h"

#include <random>

#include "base/log.h"

namespace muster::queue {
namespace {

/// Reads wait for the disk rather than for the processor.
constexpr std::size_t kThreads = 4;
/// Messages that a thread takes at once: neighbours on disk.
constexpr std::size_t kTogether = 64;
/// Most messages, with their results, are read by one call.
constexpr std::size_t kAtOnce = std::size_t{16} << 10;

double chance() {
    thread_local std::minstd_rand random{std::random_device{}()};
    return std::uniform_real_distribution<double>(0.0, 1.0)(random);
}

}  // namespace

Summary summary_of(const MessageFile& message, const RetrySettings& settings, double random) {
    const FileContents& contents = message.contents;
    Summary summary;
    summary.id = contents.layout.id;
    summary.arrived = contents.envelope.arrived;
    summary.expires = contents.envelope.expires;
    summary.next_try = contents.tries == 0
                           ? contents.envelope.arrived
                           : next_try(settings, contents.last_try, contents.tries, random);
    summary.size = contents.layout.size;
    summary.tries = contents.tries;
    summary.recipients = static_cast<std::uint32_t>(contents.states.size());
    summary.open = contents.open_recipients();
    summary.state = message.shelf == Shelf::Hold ? MessageState::Held : MessageState::Waiting;
    summary.delay_notice = contents.delay_notice;
    summary.kind = contents.envelope.kind;
    summary.sender = contents.envelope.sender;
    summary.addresses.reserve(contents.envelope.recipients.size());
    for (const Recipient& each : contents.envelope.recipients) {
        summary.addresses.push_back(each.address);
    }
    return summary;
}

Loaded load_message(const SpoolFiles& files, Schedule& schedule, const QueueId& id) {
    const auto message = files.read(id, kAtOnce);
    if (message) {
        SpoolFiles::repair(*message);
        return schedule.add(summary_of(*message, schedule.settings(), chance())) ? Loaded::Added
                                                                                 : Loaded::Known;
    }
    if (message.error().kind == ErrorKind::NotFound) return Loaded::Gone;
    if (message.error().kind != ErrorKind::Corrupt) {
        log::error("queue-read-failed", {{"queue_id", id}, {"error", message.error().detail}});
        return Loaded::Gone;
    }
    return files.set_aside(id, message.error().detail) ? Loaded::Corrupt : Loaded::Removed;
}

Loader::Loader(const SpoolFiles& files, Schedule& schedule, const QueueIds& ids,
               std::uint64_t removed)
    : files_(files), schedule_(schedule), ids_(ids), removed_(removed), thread_([this] {
          run();
      }) {}

Loader::~Loader() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
}

void Loader::leave_out(const QueueId& id) {
    if (done_) return;
    const std::scoped_lock lock(mutex_);
    left_out_.emplace(id.view());
}

// Who writes the file told of it before, and the file was seen: no later word is missed.
bool Loader::is_left_out(const PackedId& id) {
    const std::scoped_lock lock(mutex_);
    return left_out_.contains(id);
}

LoadProgress Loader::progress() const {
    return {.known = known_,
            .loaded = loaded_,
            .corrupt = corrupt_,
            .removed = removed_,
            .listed = listed_,
            .done = done_};
}

void Loader::wait() { done_.wait(false); }

void Loader::run() {
    auto found = files_.list();
    if (found) {
        std::erase_if(*found, [this](const FoundFile& each) { return ids_.gave(each.id.id()); });
        known_ = found->size();
        listed_ = true;
        std::vector<std::thread> helpers;
        if (found->size() > kTogether) {
            for (std::size_t i = 1; i < kThreads; ++i) {
                helpers.emplace_back([this, &found] { load_some(*found); });
            }
        }
        load_some(*found);
        for (std::thread& helper : helpers) helper.join();
        if (!found->empty()) {
            log::info("queue-loaded", {{"messages", loaded_.load()},
                                       {"corrupt", corrupt_.load()},
                                       {"unfinished", removed_.load()}});
        }
    }
    const std::string present(first_id_at(now()).view().substr(0, kBucketLength));
    for (const std::string& bucket : files_.buckets()) {
        if (bucket < present) files_.remove_bucket(bucket);
    }
    done_ = true;
    {
        const std::scoped_lock lock(mutex_);
        left_out_.clear();
    }
    done_.notify_all();
}

void Loader::load_some(const std::vector<FoundFile>& found) {
    while (!stop_) {
        const std::size_t first = next_.fetch_add(kTogether);
        if (first >= found.size()) return;
        const std::size_t end = std::min(first + kTogether, found.size());
        for (std::size_t i = first; i < end && !stop_; ++i) {
            ++loaded_;
            if (is_left_out(found[i].id)) continue;
            const Loaded loaded = load_message(files_, schedule_, found[i].id.id());
            corrupt_ += loaded == Loaded::Corrupt ? 1 : 0;
            removed_ += loaded == Loaded::Removed ? 1 : 0;
        }
    }
}

}  // namespace muster::queue
