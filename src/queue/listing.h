#pragma once
// What a listing shows, and which messages it is of. Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "queue/envelope.h"

namespace muster::queue {

enum class MessageState : std::uint8_t {
    Waiting,  ///< for its time
    Parked,   ///< for a destination
    Taken,    ///< somebody tries it now
    Held,
};
std::string_view name(MessageState state);
Result<MessageState> message_state_from(std::string_view text);

/// What the index keeps of a message; about 270 bytes with two usual addresses.
struct Summary {
    QueueId id{};
    Time arrived{};
    Time expires{};
    Time next_try{};
    std::uint64_t size = 0;  ///< bytes of text
    std::uint32_t tries = 0;
    std::uint32_t recipients = 0;
    std::uint32_t open = 0;  ///< recipients without a final result
    MessageState state = MessageState::Waiting;
    bool delay_notice = false;  ///< was sent
    Kind kind = Kind::Mail;
    std::string sender{};
    std::vector<std::string> addresses{};     ///< of all recipients
    std::vector<std::string> destinations{};  ///< keys of the groups last tried; empty: not known
};

/// Empty fields match everything. Texts compare without case of ASCII letters, `*` stands for any
/// characters. The null sender is asked for as `<>`.
struct Filter {
    std::string sender{};
    std::string recipient{};
    std::string domain{};  ///< of a recipient
    std::string destination{};
    std::optional<MessageState> state{};
    std::optional<Time> arrived_before{};
    std::optional<Time> arrived_after{};
};

/// `*` any characters, case of ASCII letters ignored.
[[nodiscard]] bool matches_text(std::string_view pattern, std::string_view text);
/// What stands after the last `@`; empty without one.
[[nodiscard]] std::string_view domain_of(std::string_view address);

struct Page {
    std::vector<Summary> messages{};
    QueueId next{};  ///< cursor for the next call; empty: that was all
    std::uint64_t looked_at = 0;
};

}  // namespace muster::queue
