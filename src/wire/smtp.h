#pragma once
// SMTP (RFC 5321) as a server hears it: commands, paths, parameters, XCLIENT; and replies as it
// writes them. Lines come without CRLF. What follows DATA and BDAT: smtp_data.h.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "base/endpoint.h"

namespace muster::wire::smtp {

inline constexpr std::size_t kMaxLine = 2048;       ///< RFC 5321 says 512; MAIL and RCPT with DSN,
                                                    ///< AUTH and UTF-8 addresses need more
inline constexpr std::size_t kMaxAuthLine = 12288;  ///< RFC 4954, 4: AUTH and its responses
inline constexpr std::size_t kMaxVerb = 32;
inline constexpr std::size_t kMaxLocal = 64;      ///< RFC 5321, 4.5.3.1.1, as it stood on the wire
inline constexpr std::size_t kMaxSrsLocal = 200;  ///< of a rewritten sender (wire/srs.h): as seen
inline constexpr std::size_t kMaxDomain = 255;    ///< 4.5.3.1.2
inline constexpr std::size_t kMaxPath = 256;      ///< 4.5.3.1.3, with brackets and source route
inline constexpr std::size_t kMaxEnvid = 100;     ///< RFC 3461, 4.4, as xtext
inline constexpr std::size_t kMaxOrcpt = 500;     ///< RFC 3461, 4.2, with the type
inline constexpr std::size_t kMaxXclient = 512;
inline constexpr std::size_t kMaxReplyLine = 512;  ///< RFC 5321, 4.5.3.1.5, with CRLF

/// Why a line is refused, as the client is told: append_reply() takes the three. The texts are
/// constants, so a refusal costs nothing.
struct Refusal {
    int code = 501;
    std::string_view enhanced;  ///< RFC 3463: `5.5.4`
    std::string_view text;

    friend bool operator==(const Refusal&, const Refusal&) = default;
};
template <typename T>
using Parsed = std::expected<T, Refusal>;

// ---- commands

/// `VERB REST`; views into the line. Compare verbs with equal_folded().
struct Command {
    std::string_view verb;
    std::string_view rest;  ///< without the spaces around it
};
/// Refused (500 5.5.2): an empty line, more than kMaxAuthLine octets, NUL, CR or LF anywhere, a
/// verb that is too long or has other than visible ASCII. The caller holds other verbs than AUTH
/// to kMaxLine.
Parsed<Command> parse_command(std::string_view line);

/// A mailbox, or nobody: `<>`. The local part is a value, without quotes and backslashes. Both
/// parts are as the client wrote them, capitals included.
struct Path {
    std::string local{};
    std::string domain{};  ///< or an address literal with its brackets; empty for `<Postmaster>`
    bool utf8 = false;     ///< some octet is not ASCII: needs SMTPUTF8 (RFC 6531)

    [[nodiscard]] bool is_null() const { return local.empty() && domain.empty(); }
    [[nodiscard]] bool is_literal() const { return domain.starts_with('['); }
    /// `local@domain` with the local part quoted where it must be; empty for nobody. Between `<`
    /// and `>` it is the path for MAIL and RCPT, and reads back as the same.
    [[nodiscard]] std::string text() const;

    friend bool operator==(const Path&, const Path&) = default;
};
/// A path without its brackets, as text() writes it: for addresses from elsewhere (a
/// queue's file, AUTH=). The empty text is nobody. The same grammar and bounds as below.
Parsed<Path> parse_address(std::string_view text);

/// Takes `<path>` off the front of `text`; nothing, and `text` unchanged, if there is no valid one.
std::optional<Path> take_path(std::string_view& text);

/// Letters, digits, hyphens, underscores and UTF-8, in labels of at most 63 octets.
bool is_domain(std::string_view text);
/// `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
bool is_address_literal(std::string_view text);

/// What EHLO offered: parameters of anything else are refused with 555.
struct Extensions {
    bool size = true;
    bool eight_bit = true;  ///< 8BITMIME
    bool binary = false;    ///< BINARYMIME: the client may not use DATA then
    bool smtputf8 = true;   ///< for RCPT: whether MAIL had SMTPUTF8
    bool dsn = true;        ///< RET, ENVID, NOTIFY, ORCPT
    bool auth = true;       ///< AUTH= of RFC 4954
};

enum class Body { Unknown, SevenBit, EightBitMime, BinaryMime };
enum class Return { Unknown, Full, Headers };

struct Mail {
    Path path{};
    std::optional<std::uint64_t> size{};  ///< announced octets; what overflows reads as the maximum
    Body body = Body::Unknown;
    bool smtputf8 = false;
    Return ret = Return::Unknown;
    /// As it came: xtext of printable ASCII. May be written after `ENVID=` again.
    std::optional<std::string> envid{};
    /// As it came: xtext, or `<>`. May be written after `AUTH=` again; whom to believe is the
    /// session's to say.
    std::optional<std::string> auth{};

    friend bool operator==(const Mail&, const Mail&) = default;
};

/// When a recipient's sender is told; nothing set is NEVER.
struct Notify {
    bool success = false;
    bool failure = false;
    bool delay = false;

    [[nodiscard]] bool never() const { return !success && !failure && !delay; }
    [[nodiscard]] std::string text() const;  ///< `NEVER`, `SUCCESS,DELAY`: what follows `NOTIFY=`
    friend bool operator==(const Notify&, const Notify&) = default;
};

struct Recipient {
    Path path{};
    std::optional<Notify> notify{};  ///< not said: failures, and delays as we like
    /// As it came: `rfc822;xtext`, `utf-8;…` (RFC 6533). May be written after `ORCPT=` again.
    std::optional<std::string> orcpt{};

    friend bool operator==(const Recipient&, const Recipient&) = default;
};

/// The rest of MAIL: `FROM:<path> SIZE=… …`; spaces after the colon are tolerated (what old
/// clients write), a missing bracket is not. In the path:
/// - a source route (`<@a,@b:user@example.com>`) is read and dropped, as RFC 5321, C asks;
/// - quoted local parts are unquoted; dots at the ends of a local part or in a row are tolerated
///   (telephone companies gave out such addresses) and quoted when written again;
/// - the domain is is_domain() (underscores are seen in use) or is_address_literal().
/// Refused: 501 5.1.7 the path (5.1.3 for RCPT), 501 5.5.4 a parameter's value or one given twice,
/// 555 5.5.4 a parameter that is unknown or was not offered, 553 5.6.7 UTF-8 without SMTPUTF8.
Parsed<Mail> parse_mail(std::string_view rest, const Extensions& offered = {});
/// The rest of RCPT: `TO:<path> NOTIFY=… ORCPT=…`. `<Postmaster>` needs no domain; `<>` is refused.
Parsed<Recipient> parse_rcpt(std::string_view rest, const Extensions& offered = {});

/// BDAT (RFC 3030): `SIZE [LAST]`.
struct Chunk {
    std::uint64_t size = 0;  ///< whatever the client says: the session has the limit
    bool last = false;

    friend bool operator==(const Chunk&, const Chunk&) = default;
};
/// After a refused BDAT nobody knows where the next command begins: close the connection.
Parsed<Chunk> parse_bdat(std::string_view rest);

/// HELO's and EHLO's argument, fit for logs, `Received` and XCLIENT.
struct HeloName {
    std::string text{};  ///< at most 255 octets; what is not of a name or literal became `?`
    bool valid = false;  ///< a domain or an address literal, unchanged
};
HeloName parse_helo_name(std::string_view rest);

// ---- XCLIENT (Postfix' XCLIENT_README)

/// Not mentioned, said to be unknown (`[UNAVAILABLE]`, `[TEMPUNAVAIL]`), or a value.
enum class Said { Nothing, Unavailable, TemporarilyUnavailable, Value };

template <typename T>
struct Attribute {
    Said said = Said::Nothing;
    T value{};

    [[nodiscard]] bool given() const { return said == Said::Value; }
    friend bool operator==(const Attribute&, const Attribute&) = default;
};

enum class ClientProtocol { Smtp, Esmtp };

/// Some of the client's attributes; a peer may spread them over several commands.
struct Xclient {
    Attribute<std::string> name{};  ///< sanitised: printable, at most 255 octets
    Attribute<IpAddress> address{};
    Attribute<std::uint16_t> port{};
    Attribute<ClientProtocol> protocol{};
    Attribute<std::string> helo{};
    Attribute<std::string> login{};  ///< UTF-8
    Attribute<IpAddress> destination_address{};
    Attribute<std::uint16_t> destination_port{};

    friend bool operator==(const Xclient&, const Xclient&) = default;
};
/// `NAME=… ADDR=… PORT=… PROTO=… HELO=… LOGIN=… DESTADDR=… DESTPORT=…`, values in xtext. Refused
/// with 501 5.5.4: more than kMaxXclient octets, other names, one twice, invalid or control
/// characters in a value. Whether the peer may say this at all is the session's to know.
Parsed<Xclient> parse_xclient(std::string_view rest);

// ---- replies

/// `250 2.1.0 text` CRLF; `text` may have several lines separated by LF, which become `250-…`.
/// No `enhanced` code: none is written (EHLO, greeting, 354). Never more than kMaxReplyLine octets
/// a line: longer ones are continued on the next. Octets that are not printable ASCII become `?`.
void append_reply(std::string& out, int code, std::string_view enhanced, std::string_view text);
void append_reply(std::string& out, const Refusal& refusal);

}  // namespace muster::wire::smtp
