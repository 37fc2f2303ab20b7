#pragma once
// A Stream whose peer is a script: what it says, in the pieces it says it in, and what it heard.

#include <deque>
#include <string>

#include "net/stream.h"

namespace muster::net {

class ScriptedStream final : public Stream {
public:
    explicit ScriptedStream(std::deque<std::string> says) : says_(std::move(says)) {}

    Attempt try_read(std::span<char> into) override {
        if (ended_ != EndReason::None) throw ConversationOver(ended_);
        if (says_.empty()) return {Attempt::State::End};
        std::string& piece = says_.front();
        const std::size_t count = piece.copy(into.data(), into.size());
        piece.erase(0, count);
        if (piece.empty()) says_.pop_front();
        return {Attempt::State::Moved, count};
    }
    Attempt try_write(std::string_view data) override {
        if (ended_ != EndReason::None) throw ConversationOver(ended_);
        heard += data;
        return {Attempt::State::Moved, data.size()};
    }
    Task<void> ready(Direction) override { co_return; }
    void shutdown_write() override {}
    void abort(EndReason reason) override { ended_ = reason; }
    void expire_after(Duration) override {}
    void expire_never() override {}
    [[nodiscard]] bool encrypted() const override { return false; }

    std::string heard;

private:
    std::deque<std::string> says_;
    EndReason ended_ = EndReason::None;
};

}  // namespace muster::net
