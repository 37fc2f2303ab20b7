#pragma once
// A message on its way in: from what follows DATA or BDAT to a text that can be delivered.

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "mx/settings.h"
#include "queue/body.h"
#include "wire/smtp.h"
#include "wire/smtp_data.h"

namespace muster::mx {

/// What is written above a message.
struct Trace {
    std::string received;          ///< a whole field, with CRLF
    std::string authentication{};  ///< a whole field above it; empty: none
    /// Fields of Authentication-Results in this name are a stranger's; empty: all may stay.
    std::string own_results{};
    /// Of mail from a mail client (RFC 6409, 8): Date and Message-ID are added where they are
    /// missing, with these values.
    bool complete = false;
    std::string date{};
    std::string message_id{};
};

/// Reads one message. What is wrong with it is told at its end, when all of it was read: only then
/// is the client listening. On the session's thread.
class MessageIntake {
public:
    MessageIntake(queue::Body body, const Settings& settings, Trace trace);

    /// After DATA: takes what belongs to the message from the front of `chunk`, all of it until
    /// done(). Returns how much.
    std::size_t feed_data(std::string_view chunk);
    [[nodiscard]] bool done() const { return scanner_.done(); }
    /// A piece of a BDAT chunk.
    void feed_chunk(std::string_view piece);

    /// Why the message is refused, as far as it was read.
    [[nodiscard]] const std::optional<wire::smtp::Refusal>& refusal() const { return refusal_; }
    /// Ends it. The text, or why it is refused.
    std::expected<std::shared_ptr<const queue::Content>, wire::smtp::Refusal> finish();

    /// The client's Message-ID; empty without. After finish().
    [[nodiscard]] const std::string& message_id() const { return message_id_; }
    /// Of the client's octets, header and body: the same when it sends the same again. After
    /// finish().
    [[nodiscard]] std::uint64_t checksum() const { return checksum_; }
    /// Octets of the client's, so far.
    [[nodiscard]] std::uint64_t size() const { return size_; }

private:
    void take(std::string_view text);
    void close_header(std::string_view rest);
    void append(std::string_view text);
    void refuse(const wire::smtp::Refusal& refusal);
    void judge(const wire::smtp::Findings& findings);

    queue::Body body_;
    const Settings& settings_;
    Trace trace_;
    wire::smtp::DataScanner scanner_;
    wire::smtp::BareCheck check_;
    std::string header_;  ///< until its end was seen
    std::string unstuffed_;
    std::string message_id_;
    bool in_header_ = true;
    bool chunked_ = false;
    std::uint64_t size_ = 0;
    std::uint64_t checksum_ = 0;
    /// What body_ had, and its checksum, when the client's body began.
    std::uint64_t above_size_ = 0;
    std::uint32_t above_checksum_ = 0;
    std::optional<wire::smtp::Refusal> refusal_;
};

}  // namespace muster::mx
