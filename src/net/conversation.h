#pragma once
// How a conversation ends when nobody said goodbye.

#include <cstdint>
#include <exception>
#include <string_view>

namespace muster::net {

/// Why a stream can no longer be used.
enum class EndReason : std::uint8_t {
    None,
    PeerGone,      ///< reset, or a write to a closed connection
    Deadline,      ///< the time for the phase is over
    Kicked,        ///< an administrator, or the account was disabled
    Draining,      ///< the node is being withdrawn
    TlsFailed,     ///< handshake or record layer
    ClientClosed,  ///< in order; the server was told
    ServerClosed,  ///< in order; the client was told
    Failed,        ///< an error of the program
};

std::string_view name(EndReason reason);

/// Thrown by the waiting functions of net/ only, and caught by the runner of a session (or by
/// whoever can go on without that stream). A clean end of stream is not an exception.
class ConversationOver : public std::exception {
public:
    explicit ConversationOver(EndReason reason) : reason_(reason) {}
    [[nodiscard]] EndReason reason() const { return reason_; }
    [[nodiscard]] const char* what() const noexcept override;

private:
    EndReason reason_;
};

}  // namespace muster::net
