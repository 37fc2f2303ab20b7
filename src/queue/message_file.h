#pragma once
// The queue's file format: one text file a message, which a person reads with `less`. Pure.
//
//   muster-queue 1
//   id 01k3xq0m2v7f3b9a1c2d
//   size 000000004096 crc32c 9a0b1c2d head 00000512     the message's length, the head's length
//   arrived 2026-10-01T12:00:00.123Z
//   expires 2026-10-06T12:00:00.123Z
//   … one field a line; values have %XX for what is not printable …
//   recipients 2
//   recipient alice@example.org notify=failure,delay orcpt=rfc822;al%40example.org
//   recipient bob@example.net
//   -- message                                           the head ends here (a spilled message's
//   From: …                                              has blank lines before, up to 4096 bytes)
//   -- results                                           then recipients that had no room in front,
//   2026-10-01T12:00:01.000Z 1 delivered 2.0.0 mx.example.net 250 ok
//   2026-10-01T12:00:31.000Z 0 deferred 4.4.1 - connection refused
//
// Times are UTC. Everything up to `-- results` and the recipients after it is written before the
// message is acknowledged; lines are appended later. A last line without its line end is ignored.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "queue/envelope.h"

namespace muster::queue {

inline constexpr std::string_view kResultsLine = "\n-- results\n";
/// No head is longer: 100,000 recipients of the usual length have room.
inline constexpr std::size_t kLongestHead = std::size_t{64} << 20;

/// The text parts around a message.
struct FileText {
    std::string head;  ///< up to and with "-- message\n"
    std::string tail;  ///< from kResultsLine on
};
/// `head_length` 0: as long as it gets. Otherwise padded to it exactly, and recipients that have
/// no room go to the tail.
[[nodiscard]] FileText render(const QueueId& id, const Envelope& envelope, std::uint64_t size,
                              std::uint32_t checksum, std::size_t head_length = 0);

/// Of the file's first lines; enough to know where the other parts stand.
struct Layout {
    QueueId id;
    std::uint64_t size = 0;  ///< of the message
    std::uint32_t checksum = 0;
    std::uint64_t head = 0;  ///< bytes before the message
    [[nodiscard]] std::uint64_t tail() const { return head + size; }
};
/// How many bytes hold a Layout.
inline constexpr std::size_t kLayoutLength = 15 + 3 + kQueueIdLength + 1 + 48;
/// Corrupt for anything else than such lines.
Result<Layout> parse_layout(std::string_view start);

/// A change that stands in the file's last part, beside results.
enum class Mark : std::uint8_t {
    DelayNotice,  ///< the sender was told of the delay
    Attempt,      ///< a try for the whole message ended; counts for the back-off
};

struct FileContents {
    Layout layout;
    Envelope envelope;
    std::vector<RecipientState> states;  ///< one a recipient
    std::uint32_t tries = 0;             ///< Mark::Attempt lines
    Time last_try{};                     ///< zero: none
    bool delay_notice = false;
    std::uint64_t whole = 0;  ///< bytes of the tail that end with a whole line
    [[nodiscard]] std::uint32_t open_recipients() const;
};
/// `head` is Layout::head bytes, `tail` what stands after the message. Corrupt when the file was
/// not written to its end (`-- results`, every recipient), or does not follow the grammar; of lines
/// after that, bad ones are passed over.
Result<FileContents> parse_file(std::string_view head, std::string_view tail);

void append_result(std::string& out, const RecipientResult& result);
void append_mark(std::string& out, Mark mark, Time at);

}  // namespace muster::queue
