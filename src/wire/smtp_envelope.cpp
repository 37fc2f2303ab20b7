// MAIL and RCPT with the parameters of SIZE (RFC 1870), 8BITMIME (6152), BINARYMIME (3030),
// SMTPUTF8 (6531), DSN (3461) and AUTH (4954).
#include <algorithm>
#include <array>
#include <utility>

#include "wire/ascii.h"
#include "wire/smtp.h"
#include "wire/utf8.h"
#include "wire/xtext.h"

namespace muster::wire::smtp {
namespace {

constexpr Refusal kNotMail{501, "5.5.4", "Syntax: MAIL FROM:<address>"};
constexpr Refusal kNotRcpt{501, "5.5.4", "Syntax: RCPT TO:<address>"};
constexpr Refusal kBadSender{501, "5.1.7", "Bad sender address syntax"};
constexpr Refusal kBadRecipient{501, "5.1.3", "Bad recipient address syntax"};
constexpr Refusal kBadParameter{501, "5.5.4", "Bad parameter"};
constexpr Refusal kTwice{501, "5.5.4", "Parameter given twice"};
constexpr Refusal kUnknown{555, "5.5.4", "Unsupported parameter"};
constexpr Refusal kNeedsUtf8{553, "5.6.7", "Internationalized addresses need SMTPUTF8"};

constexpr std::size_t kMaxAuth = 500;  // RFC 4954, 3 (6): what it adds to MAIL's line

using Value = std::optional<std::string_view>;
enum class Read { Fine, Bad, Unsupported };

Read fine_if(bool fine) { return fine ? Read::Fine : Read::Bad; }

/// RFC 3461, 4.2 and 4.4: what xtext stands for is printable ASCII, for the report it will be in.
bool is_printable_xtext(std::string_view text) {
    auto decoded = xtext_decode(text, text.size());
    if (text.empty() || !decoded) return false;
    return std::ranges::all_of(*decoded, [](char c) { return c == ' ' || is_graphic(c); });
}

template <typename Envelope>
struct Parameter {
    std::string_view name;
    bool Extensions::* offered;
    Read (*read)(Envelope&, Value, const Extensions&);
};

Read read_size(Mail& mail, Value value, const Extensions&) {
    constexpr std::size_t kMaxDigits = 20;
    if (!value || value->empty() || value->size() > kMaxDigits) return Read::Bad;
    if (!std::ranges::all_of(*value, is_digit)) return Read::Bad;
    mail.size = parse_number(*value).value_or(UINT64_MAX);
    return Read::Fine;
}

Read read_body(Mail& mail, Value value, const Extensions& offered) {
    if (!value) return Read::Bad;
    if (equal_folded(*value, "7BIT")) {
        mail.body = Body::SevenBit;
    } else if (equal_folded(*value, "8BITMIME")) {
        mail.body = Body::EightBitMime;
    } else if (equal_folded(*value, "BINARYMIME")) {
        if (!offered.binary) return Read::Unsupported;
        mail.body = Body::BinaryMime;
    }
    return fine_if(mail.body != Body::Unknown);
}

Read read_smtputf8(Mail& mail, Value value, const Extensions&) {
    mail.smtputf8 = true;
    return fine_if(!value);
}

Read read_ret(Mail& mail, Value value, const Extensions&) {
    if (!value) return Read::Bad;
    if (equal_folded(*value, "FULL")) mail.ret = Return::Full;
    if (equal_folded(*value, "HDRS")) mail.ret = Return::Headers;
    return fine_if(mail.ret != Return::Unknown);
}

Read read_envid(Mail& mail, Value value, const Extensions&) {
    if (!value || value->size() > kMaxEnvid || !is_printable_xtext(*value)) return Read::Bad;
    mail.envid = *value;
    return Read::Fine;
}

Read read_auth(Mail& mail, Value value, const Extensions&) {
    if (!value || value->size() > kMaxAuth || !is_printable_xtext(*value)) return Read::Bad;
    mail.auth = *value;
    return Read::Fine;
}

/// True if the flag was not set before.
bool set_once(bool& flag) { return !std::exchange(flag, true); }

Read read_notify(Recipient& recipient, Value value, const Extensions&) {
    if (!value || value->empty() || value->ends_with(',')) return Read::Bad;
    recipient.notify.emplace();
    if (equal_folded(*value, "NEVER")) return Read::Fine;
    while (!value->empty()) {
        auto when = take_until(*value, ',');
        auto& notify = *recipient.notify;
        bool fine = (equal_folded(when, "SUCCESS") && set_once(notify.success)) ||
                    (equal_folded(when, "FAILURE") && set_once(notify.failure)) ||
                    (equal_folded(when, "DELAY") && set_once(notify.delay));
        if (!fine) return Read::Bad;
    }
    return Read::Fine;
}

/// RFC 6533, 3: printable ASCII with `\x{…}` in it, or UTF-8 as it is.
bool is_utf8_address(std::string_view text, bool smtputf8) {
    bool octets = std::ranges::all_of(text, [](char c) {
        return (is_graphic(c) && c != '=' && c != '+') || static_cast<unsigned char>(c) > 0x7f;
    });
    return !text.empty() && octets && (is_ascii(text) || (smtputf8 && is_utf8(text)));
}

Read read_orcpt(Recipient& recipient, Value value, const Extensions& offered) {
    if (!value || value->size() > kMaxOrcpt || !value->contains(';')) return Read::Bad;
    auto address = *value;
    auto type = take_until(address, ';');
    bool word = !type.empty() && std::ranges::all_of(type, [](char c) {
        return is_letter(c) || is_digit(c) || c == '-';
    });
    bool fine = equal_folded(type, "utf-8") ? is_utf8_address(address, offered.smtputf8)
                                            : is_printable_xtext(address);
    if (!word || !fine) return Read::Bad;
    recipient.orcpt = *value;
    return Read::Fine;
}

constexpr std::array kMailParameters{
    Parameter<Mail>{"SIZE", &Extensions::size, read_size},
    Parameter<Mail>{"BODY", &Extensions::eight_bit, read_body},
    Parameter<Mail>{"SMTPUTF8", &Extensions::smtputf8, read_smtputf8},
    Parameter<Mail>{"RET", &Extensions::dsn, read_ret},
    Parameter<Mail>{"ENVID", &Extensions::dsn, read_envid},
    Parameter<Mail>{"AUTH", &Extensions::auth, read_auth},
};
constexpr std::array kRcptParameters{
    Parameter<Recipient>{"NOTIFY", &Extensions::dsn, read_notify},
    Parameter<Recipient>{"ORCPT", &Extensions::dsn, read_orcpt},
};

template <typename Envelope, std::size_t N>
Parsed<Envelope> read_parameters(Envelope envelope, std::string_view text,
                                 const std::array<Parameter<Envelope>, N>& table,
                                 const Extensions& offered) {
    std::array<bool, N> seen{};
    for (auto word = take_word(text); !word.empty(); word = take_word(text)) {
        auto equals = word.find('=');
        Value value;
        if (equals != std::string_view::npos) value = word.substr(equals + 1);
        auto name = word.substr(0, equals);
        auto row = std::ranges::find_if(
            table, [&](const auto& known) { return equal_folded(known.name, name); });
        if (row == table.end() || !(offered.*(row->offered))) return std::unexpected(kUnknown);
        if (!set_once(seen[static_cast<std::size_t>(row - table.begin())]))
            return std::unexpected(kTwice);
        auto read = row->read(envelope, value, offered);
        if (read == Read::Bad) return std::unexpected(kBadParameter);
        if (read == Read::Unsupported) return std::unexpected(kUnknown);
    }
    return envelope;
}

/// The path behind `FROM:` or `TO:`; parameters remain.
Parsed<Path> read_path(std::string_view& rest, std::string_view keyword, const Refusal& syntax,
                       const Refusal& bad) {
    rest = trim_spaces(rest);
    if (!starts_folded(rest, keyword)) return std::unexpected(syntax);
    rest = trim_spaces(rest.substr(keyword.size()));
    if (!rest.starts_with('<')) return std::unexpected(syntax);
    auto path = take_path(rest);
    if (!path) return std::unexpected(bad);
    if (!rest.empty() && rest.front() != ' ') return std::unexpected(syntax);
    return std::move(*path);
}

}  // namespace

std::string Notify::text() const {
    if (never()) return "NEVER";
    std::string out;
    if (success) out += ",SUCCESS";
    if (failure) out += ",FAILURE";
    if (delay) out += ",DELAY";
    return out.substr(1);
}

Parsed<Mail> parse_mail(std::string_view rest, const Extensions& offered) {
    auto path = read_path(rest, "FROM:", kNotMail, kBadSender);
    if (!path) return std::unexpected(path.error());
    if (!path->is_null() && path->domain.empty()) return std::unexpected(kBadSender);
    auto mail = read_parameters(Mail{.path = std::move(*path)}, rest, kMailParameters, offered);
    if (mail && mail->path.utf8 && !mail->smtputf8) return std::unexpected(kNeedsUtf8);
    return mail;
}

Parsed<Recipient> parse_rcpt(std::string_view rest, const Extensions& offered) {
    auto path = read_path(rest, "TO:", kNotRcpt, kBadRecipient);
    if (!path) return std::unexpected(path.error());
    if (path->is_null()) return std::unexpected(kBadRecipient);
    if (path->utf8 && !offered.smtputf8) return std::unexpected(kNeedsUtf8);
    return read_parameters(Recipient{.path = std::move(*path)}, rest, kRcptParameters, offered);
}

}  // namespace muster::wire::smtp
