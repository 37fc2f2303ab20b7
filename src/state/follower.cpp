#include "state/follower.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <thread>
#include <utility>

#include "base/log.h"
#include "base/wait.h"

namespace muster::state {
std::string_view name(FollowerPhase phase) {
    static constexpr std::array<std::string_view, 4> kNames{"waiting", "copying", "repairing",
                                                            "following"};
    return kNames[static_cast<std::size_t>(phase)];
}

Follower::Follower(std::shared_ptr<Replica> replica, SourceList sources, FollowerOptions options)
    : replica_(std::move(replica)), sources_(std::move(sources)), options_(std::move(options)) {
    if (!options_.pause) options_.pause = wait;
    status_.since = std::chrono::system_clock::now();
}

Follower::~Follower() = default;

Follower::InUse::InUse(Follower& follower, Source& source, Source*& place)
    : follower_(follower), place_(place) {
    const std::lock_guard lock(follower_.mutex_);
    place_ = &source;
}

Follower::InUse::~InUse() {
    const std::lock_guard lock(follower_.mutex_);
    place_ = nullptr;
}

FollowerStatus Follower::status() const {
    const std::lock_guard lock(mutex_);
    FollowerStatus status = status_;
    status.silence = replica_->age();
    return status;
}

void Follower::run(const std::stop_token& stop) {
    const std::stop_callback cancel(stop, [this] {
        const std::lock_guard lock(mutex_);
        if (followed_ != nullptr) followed_->cancel();
        if (looked_at_ != nullptr) looked_at_->cancel();
    });
    std::jthread looking;
    if (options_.update_interval.count() == 0)
        looking = std::jthread([this, &stop] { look(stop); });
    while (!stop.stop_requested()) {
        const auto writer = ReplicaWriter::open(replica_, options_.scope);
        if (writer) {
            follow(**writer, stop);
        } else {
            note_trouble(writer.error());
            options_.pause(stop, options_.last_pause);
        }
    }
}

void Follower::follow(ReplicaWriter& writer, const std::stop_token& stop) {
    {
        const std::lock_guard lock(mutex_);
        status_.cursor = writer.position().cursor;
    }
    auto pause = options_.first_pause;
    while (!stop.stop_requested()) {
        const Visit visit = try_all(writer, stop);
        if (stop.stop_requested()) return;
        if (visit != Visit::Vain) pause = options_.first_pause;
        options_.pause(stop, visit == Visit::InStep ? options_.update_interval : pause);
        if (visit == Visit::Vain) pause = std::min(pause * 2, options_.last_pause);
    }
}

Follower::Visit Follower::try_all(ReplicaWriter& writer, const std::stop_token& stop) {
    std::optional<Error> behind;
    for (const auto& source : sources_()) {
        if (stop.stop_requested()) return Visit::Vain;
        const Visit visit = try_source(*source, writer, stop);
        if (visit != Visit::Vain) return visit;  // it was good: begin with the first one again
        const std::lock_guard lock(mutex_);
        if (status_.refused && !behind) behind = Error{ErrorKind::Diverged, "", status_.trouble};
    }
    // What needs somebody to look at it is not hidden by a source that is only away.
    if (behind) note_trouble(*behind);
    return Visit::Vain;
}

Follower::Visit Follower::try_source(Source& source, ReplicaWriter& writer,
                                     const std::stop_token& stop) {
    const InUse used(*this, source, followed_);
    {
        const std::lock_guard lock(mutex_);
        status_.source = source.name();
        leaves_ = false;
    }
    if (stop.stop_requested()) return Visit::Vain;  // which did not reach it
    const bool visits = options_.update_interval.count() != 0;
    FollowerSession session(*replica_, writer, source, {options_.scope, options_.page, visits},
                            stop, [this](const std::function<void(FollowerStatus&)>& change) {
                                const std::lock_guard lock(mutex_);
                                change(status_);
                            });
    const Error error = session.run();
    if (session.left_in_step()) return Visit::InStep;
    if (stop.stop_requested() || leaves()) return Visit::Progressed;
    note_trouble(error);
    return session.progressed() ? Visit::Progressed : Visit::Vain;
}

bool Follower::leaves() const {
    const std::lock_guard lock(mutex_);
    return leaves_;
}

void Follower::reconsider() {
    {
        const std::lock_guard lock(mutex_);
        look_now_ = true;
    }
    look_.notify_all();
}

void Follower::look(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
        {
            std::unique_lock lock(mutex_);
            look_.wait_for(lock, stop, options_.look_interval, [this] { return look_now_; });
            look_now_ = false;
            if (status_.phase != FollowerPhase::Following) continue;
        }
        if (!stop.stop_requested()) look_once(stop);
    }
}

void Follower::look_once(const std::stop_token& stop) {
    const FollowerStatus now = status();
    for (const auto& source : sources_()) {
        if (stop.stop_requested() || source->name() == now.source) return;
        {
            const InUse used(*this, *source, looked_at_);
            if (stop.stop_requested()) return;
            if (!is_good(*source, now.cursor)) continue;
        }
        const std::lock_guard lock(mutex_);
        if (followed_ == nullptr || status_.source != now.source) return;
        log::info("follower_returns", {{"from", now.source}, {"to", source->name()}});
        leaves_ = true;
        followed_->cancel();
        return;
    }
}

bool Follower::is_good(Source& source, const Cursor& cursor) {
    LineSplitter splitter;
    bool good = false;
    bool judged = false;
    (void)source.get("/v1/changes?since=" + percent_encode(format(cursor)),
                     [&](std::string_view bytes) {
                         (void)splitter.feed(bytes, [&](std::string_view line) -> Result<> {
                             if (std::exchange(judged, true)) return {};
                             const auto parsed = parse_feed_line(line);
                             good = parsed && !std::holds_alternative<ErrorLine>(*parsed);
                             return {};
                         });
                         return !judged;
                     });
    return good;
}

void Follower::note_trouble(const Error& error) {
    const std::string text = error.detail.empty() ? error.public_text : error.detail;
    const std::lock_guard lock(mutex_);
    if (status_.trouble != text) {
        log::warning("follower_waits", {{"source", status_.source}, {"why", text}});
    }
    status_.trouble = text;
    status_.refused = error.kind == ErrorKind::Refused || error.kind == ErrorKind::Io ||
                      error.kind == ErrorKind::Diverged;
    if (status_.phase == FollowerPhase::Waiting) return;
    status_.phase = FollowerPhase::Waiting;
    status_.since = std::chrono::system_clock::now();
}

}  // namespace muster::state
