#include "net/line_reader.h"

#include <cstring>

#include "base/release.h"

namespace muster::net {
namespace {

LineFault judge(std::string_view line, std::size_t limit) {
    if (line.size() > limit) return LineFault::TooLong;
    if (std::memchr(line.data(), '\0', line.size()) != nullptr ||
        std::memchr(line.data(), '\r', line.size()) != nullptr) {
        return LineFault::BadByte;
    }
    return LineFault::None;
}

}  // namespace

Task<std::optional<Line>> LineReader::line(std::size_t limit) {
    std::size_t searched = begin_;
    for (;;) {
        const std::size_t end = buffer_.find('\n', searched);
        if (end != std::string::npos) {
            std::string_view text = std::string_view(buffer_).substr(begin_, end - begin_);
            const bool bare = !text.ends_with('\r');
            if (!bare) text.remove_suffix(1);
            begin_ = end + 1;
            co_return Line{text, judge(text, limit), bare};
        }
        searched = buffer_.size();
        if (buffer_.size() - begin_ > limit + 1) co_return Line{{}, LineFault::TooLong};
        const std::size_t consumed = begin_;
        if (!co_await fill()) co_return std::nullopt;
        if (begin_ != consumed) searched -= consumed;
    }
}

Task<std::optional<std::string>> LineReader::exactly(std::size_t count) {
    while (buffer_.size() - begin_ < count) {
        if (!co_await fill()) co_return std::nullopt;
    }
    std::string bytes = buffer_.substr(begin_, count);
    begin_ += count;
    co_return bytes;
}

std::string LineReader::take_rest() {
    std::string rest = buffer_.substr(begin_);
    buffer_.clear();
    begin_ = 0;
    return rest;
}

Task<std::string_view> LineReader::some(std::size_t most) {
    if (!has_more()) {
        buffer_.clear();
        begin_ = 0;
        if (!co_await fill(most)) co_return std::string_view();
    }
    co_return std::string_view(buffer_).substr(begin_, most);
}

void LineReader::consume(std::size_t count) {
    begin_ += count;
    if (has_more()) return;
    begin_ = 0;
    if (buffer_.capacity() > 2 * kChunk) {
        release(buffer_);  // a session that waits holds no large buffer
    } else {
        buffer_.clear();
    }
}

Task<bool> LineReader::fill(std::size_t chunk) {
    if (begin_ != 0) buffer_.erase(0, std::exchange(begin_, 0));
    // Wait without a buffer: most connections sit idle between their commands.
    for (;;) {
        const std::size_t size = buffer_.size();
        buffer_.resize(size + chunk);
        Attempt attempt{Attempt::State::End};
        try {
            attempt = stream_.try_read({buffer_.data() + size, chunk});
        } catch (...) {
            buffer_.resize(size);  // what is left is what was read
            throw;
        }
        buffer_.resize(size + attempt.bytes);
        received_ += attempt.bytes;
        if (attempt.state == Attempt::State::Moved) co_return true;
        if (attempt.state == Attempt::State::End) co_return false;
        if (buffer_.empty() && buffer_.capacity() > 2 * kChunk) release(buffer_);
        co_await stream_.ready(attempt.state == Attempt::State::WantRead ? Direction::Read
                                                                         : Direction::Write);
    }
}

}  // namespace muster::net
