#include "net/stream.h"

namespace muster::net {

Task<std::size_t> Stream::read_some(std::span<char> into) {
    for (;;) {
        const Attempt attempt = try_read(into);
        switch (attempt.state) {
            case Attempt::State::Moved: co_return attempt.bytes;
            case Attempt::State::End: co_return 0;
            case Attempt::State::WantRead: co_await ready(Direction::Read); break;
            case Attempt::State::WantWrite: co_await ready(Direction::Write); break;
        }
    }
}

Task<void> Stream::write(std::string_view data) {
    while (!data.empty()) {
        const Attempt attempt = try_write(data);
        switch (attempt.state) {
            case Attempt::State::Moved: data.remove_prefix(attempt.bytes); break;
            case Attempt::State::End: throw ConversationOver(EndReason::PeerGone);
            case Attempt::State::WantRead: co_await ready(Direction::Read); break;
            case Attempt::State::WantWrite: co_await ready(Direction::Write); break;
        }
    }
}

}  // namespace muster::net
