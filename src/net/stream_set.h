#pragma once
// Streams at work, to end all of them at once.

#include <set>

#include "net/stream.h"

namespace muster::net {

/// One thread's. Outlives its members.
class StreamSet {
public:
    /// Holds a stream in the set as long as it lives; the stream outlives it. No set: holds
    /// nothing.
    class Member {
    public:
        Member(StreamSet* set, Stream& stream) : set_(set), stream_(stream) {
            if (set_ != nullptr) set_->streams_.insert(&stream_);
        }
        Member(const Member&) = delete;
        Member& operator=(const Member&) = delete;
        ~Member() {
            if (set_ != nullptr) set_->streams_.erase(&stream_);
        }

    private:
        StreamSet* set_;
        Stream& stream_;
    };

    void abort(EndReason reason) {
        for (Stream* each : streams_) each->abort(reason);
    }

private:
    std::set<Stream*> streams_;
};

}  // namespace muster::net
