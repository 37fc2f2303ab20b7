#pragma once
// The header block of a message (RFC 5322) as far as a relay looks into it, and the fields that a
// relay writes on top.

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/endpoint.h"

namespace muster::wire {

inline constexpr std::size_t kMaxHeaderBlock = std::size_t{128} * 1024;  ///< looked at; no more
inline constexpr std::size_t kMaxHeaderValues = 100;
inline constexpr std::size_t kMaxHeaderLine = 998;  ///< RFC 5322, 2.1.1, without CRLF

/// One field; views into the message.
struct HeaderField {
    std::string_view name;
    std::string_view value;  ///< after the colon, with its folds, without the last line end
    std::string_view whole;  ///< name to last line end
};

/// Goes through the fields of a message's beginning. Lines end with LF, or CRLF; a line that is
/// neither a field nor its continuation ends the block, as does the empty line.
class HeaderReader {
public:
    /// `message`: its first kMaxHeaderBlock octets or all of it; more is not looked at.
    explicit HeaderReader(std::string_view message);

    std::optional<HeaderField> next();
    /// Octets before the body, the empty line included. Meaningful after next() gave nothing.
    [[nodiscard]] std::size_t size() const { return offset_; }
    /// Whether the block's end was seen: false if the text ended, or the bound was met, before it.
    [[nodiscard]] bool complete() const { return complete_; }

private:
    std::string_view text_;
    std::size_t offset_ = 0;
    bool complete_ = false;
    bool over_ = false;
};

/// What a relay wants to know about the header block.
struct HeaderSummary {
    std::size_t size = 0;  ///< octets before the body, the empty line included
    bool complete = false;
    unsigned received = 0;  ///< `Received` fields: a mail loop has many
    bool date = false;
    bool message_id = false;
    bool from = false;
    bool sender = false;
    bool to = false;  ///< To, Cc or Bcc
    bool subject = false;
};
HeaderSummary summarise_header(std::string_view message);

/// Unfolded and trimmed values of all fields of that name (`Delivered-To`: a mail loop names the
/// recipient again), in their order; at most kMaxHeaderValues of at most kMaxHeaderLine octets.
std::vector<std::string> header_values(std::string_view message, std::string_view name);

/// How a message came in: `SMTP`, `ESMTPSA`, `LMTPS` (RFC 3848), `UTF8SMTPS` (RFC 6531).
struct Transmission {
    bool extended = true;  ///< EHLO or LHLO
    bool tls = false;
    bool authenticated = false;
    bool utf8 = false;  ///< SMTPUTF8 was given
    bool lmtp = false;

    [[nodiscard]] std::string text() const;
};

/// What a `Received` field says (RFC 5321, 4.4).
struct ReceivedLine {
    std::string_view helo{};         ///< smtp::HeloName::text; what is no domain is left out
    std::string_view client_name{};  ///< verified name; empty: `unknown`
    IpAddress client{};              ///< `::` for mail that came by no connection
    std::string_view host{};         ///< ours
    Transmission with{};
    std::string_view tls{};  ///< a comment: `TLSv1.3 TLS_AES_256_GCM_SHA384`
    std::string_view id{};
    /// As Path::text() writes it. Give it for a single recipient only: others would learn of each
    /// other. Left out if it is UTF-8 in a transaction without, or too long.
    std::string_view for_address{};
    std::chrono::sys_seconds time{};
};
/// The field with CRLF, folded under 78 columns where its words let it. Octets that could end the
/// line, a comment or a word become `?`.
std::string write_received(const ReceivedLine& line);

/// `Tue, 1 Jan 2030 00:00:00 +0000` (RFC 5322, 3.3).
std::string format_date(std::chrono::sys_seconds time);
/// `<20300101000000.UNIQUE@HOST>`: what follows `Message-ID: `.
std::string write_message_id(std::chrono::sys_seconds time, std::string_view unique,
                             std::string_view host);
/// `text` as it may stand in a header field: control characters become spaces, and what is not
/// ASCII `?` unless `utf8` and valid.
std::string header_text(std::string_view text, bool utf8);

}  // namespace muster::wire
