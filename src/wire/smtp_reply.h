#pragma once
// Replies of SMTP and LMTP servers (RFC 5321, 4.2; RFC 2034), and what they say in EHLO or LHLO.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace muster::wire::smtp {

inline constexpr std::size_t kMaxServerLine = 2048;  ///< octets; RFC 5321 has 512
inline constexpr unsigned kMaxReplyLines = 128;
inline constexpr std::size_t kMaxReplyText = 4096;

/// `class.subject.detail` of RFC 3463; class 2, 4 or 5, the others below 1000.
struct EnhancedStatus {
    std::uint16_t kind = 0;  ///< the class; 0: none was given
    std::uint16_t subject = 0;
    std::uint16_t detail = 0;

    /// Reads `5.1.1` from the front of `text`, which must end there or go on with a space.
    static std::optional<EnhancedStatus> parse(std::string_view text);
    /// "5.1.1"; empty when there is none.
    [[nodiscard]] std::string text() const;
    [[nodiscard]] bool given() const { return kind != 0; }
    friend bool operator==(const EnhancedStatus&, const EnhancedStatus&) = default;
};

/// One whole reply.
struct Reply {
    std::uint16_t code = 0;     ///< 200 to 599
    EnhancedStatus enhanced{};  ///< of the first line, where its class is the code's
    /// The lines' texts without codes, separated by '\n'. What is not visible ASCII or a space is
    /// a '?': the text may go into logs and reports.
    std::string text{};

    [[nodiscard]] bool positive() const { return code / 100 == 2; }
    [[nodiscard]] bool intermediate() const { return code / 100 == 3; }
    [[nodiscard]] bool transient() const { return code / 100 == 4; }
    [[nodiscard]] bool permanent() const { return code / 100 == 5; }
};

/// Collects a reply line by line; used again for the next one. At most kMaxReplyLines lines are
/// taken and kMaxReplyText octets of text kept; what is more of text is left out.
class ReplyParser {
public:
    /// `line` without its CRLF. True: the reply is complete. Syntax: not a reply, or another code
    /// than the lines before; Limit: too many lines. After an error the conversation cannot go on.
    Result<bool> add(std::string_view line);
    /// The reply that add() has completed; the parser is then ready for the next.
    [[nodiscard]] Reply take();

private:
    void add_text(std::string_view text);

    Reply reply_;
    unsigned lines_ = 0;
};

/// What a server said that it can do (EHLO, RFC 5321 4.1.1.1; LHLO, RFC 2033). Keywords that are
/// not known here are left out.
struct ServerExtensions {
    bool pipelining = false;
    bool eight_bit_mime = false;
    bool smtp_utf8 = false;
    bool dsn = false;
    bool chunking = false;
    bool starttls = false;
    bool enhanced_status_codes = false;
    bool recipient_forward = false;      ///< Dovecot's XRCPTFORWARD
    bool size = false;                   ///< the SIZE parameter may be given
    std::uint64_t size_limit = 0;        ///< octets; 0: none is known
    unsigned max_recipients = 0;         ///< LIMITS RCPTMAX (RFC 9422); 0: none is known
    unsigned max_transactions = 0;       ///< LIMITS MAILMAX
    std::vector<std::string> auth{};     ///< mechanisms, upper case
    std::vector<std::string> xclient{};  ///< attributes, upper case; empty: no XCLIENT

    /// From a positive reply to EHLO, whose first line is the server's name.
    static ServerExtensions from(const Reply& reply);
    [[nodiscard]] bool takes(std::string_view xclient_attribute) const;
    [[nodiscard]] bool offers_auth(std::string_view mechanism) const;
};

}  // namespace muster::wire::smtp
