#include "state/follower.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <utility>

#include "base/log.h"

namespace muster::state {
namespace {

void wait(const std::stop_token& stop, std::chrono::milliseconds time) {
    std::mutex mutex;
    std::condition_variable_any condition;
    std::unique_lock lock(mutex);
    condition.wait_for(lock, stop, time, [] { return false; });
}

}  // namespace

std::string_view name(FollowerPhase phase) {
    static constexpr std::array<std::string_view, 4> kNames{"waiting", "copying", "repairing",
                                                            "following"};
    return kNames[static_cast<std::size_t>(phase)];
}

Follower::Follower(std::shared_ptr<Replica> replica, std::vector<std::unique_ptr<Source>> sources,
                   FollowerOptions options)
    : replica_(std::move(replica)), sources_(std::move(sources)), options_(std::move(options)) {
    if (!options_.pause) options_.pause = wait;
    status_.since = std::chrono::system_clock::now();
}

Follower::~Follower() = default;

FollowerStatus Follower::status() const {
    const std::lock_guard lock(mutex_);
    FollowerStatus status = status_;
    status.silence = replica_->age();
    return status;
}

void Follower::run(const std::stop_token& stop) {
    const std::stop_callback cancel(stop, [this] {
        for (const auto& source : sources_) source->cancel();
    });
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
        Visit visit = Visit::Vain;
        for (const auto& source : sources_) {
            if (stop.stop_requested()) return;
            visit = try_source(*source, writer, stop);
            if (visit != Visit::Vain) break;  // it was good: come back to it first
        }
        if (visit != Visit::Vain) pause = options_.first_pause;
        options_.pause(stop, visit == Visit::InStep ? options_.update_interval : pause);
        if (visit == Visit::Vain) pause = std::min(pause * 2, options_.last_pause);
    }
}

Follower::Visit Follower::try_source(Source& source, ReplicaWriter& writer,
                                     const std::stop_token& stop) {
    {
        const std::lock_guard lock(mutex_);
        status_.source = source.name();
    }
    const bool visits = options_.update_interval.count() != 0;
    FollowerSession session(*replica_, writer, source, {options_.scope, options_.page, visits},
                            stop, [this](const std::function<void(FollowerStatus&)>& change) {
                                const std::lock_guard lock(mutex_);
                                change(status_);
                            });
    const Error error = session.run();
    if (session.left_in_step()) return Visit::InStep;
    if (!stop.stop_requested()) note_trouble(error);
    return session.progressed() ? Visit::Progressed : Visit::Vain;
}

void Follower::note_trouble(const Error& error) {
    const std::string text = error.detail.empty() ? error.public_text : error.detail;
    const std::lock_guard lock(mutex_);
    if (status_.trouble != text) {
        log::warning("follower_waits", {{"source", status_.source}, {"why", text}});
    }
    status_.trouble = text;
    status_.refused = error.kind == ErrorKind::Refused || error.kind == ErrorKind::Io;
    if (status_.phase == FollowerPhase::Waiting) return;
    status_.phase = FollowerPhase::Waiting;
    status_.since = std::chrono::system_clock::now();
}

}  // namespace muster::state
