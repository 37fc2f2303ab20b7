#include "wire/message.h"

#include <algorithm>
#include <array>

#include "wire/ascii.h"
#include "wire/field_writer.h"
#include "wire/smtp.h"
#include "wire/utf8.h"

namespace muster::wire {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t'; }

std::string_view without_line_end(std::string_view text) {
    if (text.ends_with('\n')) text.remove_suffix(1);
    if (text.ends_with('\r')) text.remove_suffix(1);
    return text;
}

/// `NAME:`, with the blanks before the colon that RFC 5322, 4.5 had to allow.
std::string_view field_name(std::string_view line) {
    auto name = line.substr(0, line.find(':'));
    if (name.size() == line.size()) return {};
    while (!name.empty() && is_blank(name.back())) name.remove_suffix(1);
    return std::ranges::all_of(name, is_graphic) ? name : std::string_view();
}

std::string unfold(std::string_view value) {
    std::string out;
    for (char c : value)
        if (c != '\r' && c != '\n') out += c == '\t' ? ' ' : c;
    return std::string(trim_spaces(out).substr(0, kMaxHeaderLine));
}

/// `text` with zeros before it, `width` wide.
void append_number(std::string& out, unsigned number, std::size_t width) {
    auto digits = std::to_string(number);
    out.append(width - std::min(width, digits.size()), '0').append(digits);
}

struct Moment {
    explicit Moment(std::chrono::sys_seconds time)
        : day(std::chrono::floor<std::chrono::days>(time)), date(day), clock(time - day) {}
    std::chrono::sys_days day;
    std::chrono::year_month_day date;
    std::chrono::hh_mm_ss<std::chrono::seconds> clock;

    [[nodiscard]] unsigned year() const {
        return static_cast<unsigned>(std::clamp(static_cast<int>(date.year()), 0, 9999));
    }
    void append_clock(std::string& out, std::string_view separator) const {
        append_number(out, static_cast<unsigned>(clock.hours().count()), 2);
        out += separator;
        append_number(out, static_cast<unsigned>(clock.minutes().count()), 2);
        out += separator;
        append_number(out, static_cast<unsigned>(clock.seconds().count()), 2);
    }
};

std::string address_literal(const IpAddress& address) {
    return (address.is_v4() ? "[" : "[IPv6:") + address.text() + "]";
}

void write_from(FieldWriter& field, const ReceivedLine& line) {
    auto literal = address_literal(line.client);
    bool helo =
        is_ascii(line.helo) && (smtp::is_domain(line.helo) || smtp::is_address_literal(line.helo));
    field.word("from");
    field.word(helo ? line.helo : literal);
    field.word("(" + (line.client_name.empty() ? "unknown" : field_word(line.client_name)));
    field.word(literal + ")");
    field.fold();
}

bool may_name(const ReceivedLine& line) {
    auto address = line.for_address;
    if (address.empty() || address.size() > smtp::kMaxPath) return false;
    bool controls = std::ranges::any_of(
        address, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; });
    return !controls && (is_ascii(address) || (line.with.utf8 && is_utf8(address)));
}

}  // namespace

HeaderReader::HeaderReader(std::string_view message) : text_(message.substr(0, kMaxHeaderBlock)) {}

std::optional<HeaderField> HeaderReader::next() {
    auto rest = text_.substr(offset_);
    auto end = rest.find('\n');
    if (over_ || end == std::string_view::npos) return std::nullopt;
    auto name = field_name(rest.substr(0, end));
    if (name.empty()) {
        over_ = complete_ = true;
        if (without_line_end(rest.substr(0, end + 1)).empty()) offset_ += end + 1;
        return std::nullopt;
    }
    while (end + 1 < rest.size() && is_blank(rest[end + 1])) {
        auto next = rest.find('\n', end + 1);
        if (next == std::string_view::npos) break;
        end = next;
    }
    HeaderField field;
    field.name = name;
    field.whole = rest.substr(0, end + 1);
    field.value = without_line_end(field.whole.substr(field.whole.find(':') + 1));
    offset_ += field.whole.size();
    return field;
}

HeaderSummary summarise_header(std::string_view message) {
    HeaderSummary summary;
    struct Row {
        std::string_view name;
        bool HeaderSummary::* seen;
    };
    static constexpr std::array kRows{
        Row{"Date", &HeaderSummary::date}, Row{"Message-ID", &HeaderSummary::message_id},
        Row{"From", &HeaderSummary::from}, Row{"Sender", &HeaderSummary::sender},
        Row{"To", &HeaderSummary::to},     Row{"Cc", &HeaderSummary::to},
        Row{"Bcc", &HeaderSummary::to},    Row{"Subject", &HeaderSummary::subject},
    };
    HeaderReader reader(message);
    while (auto field = reader.next()) {
        if (equal_folded(field->name, "Received")) ++summary.received;
        for (const auto& row : kRows)
            if (equal_folded(field->name, row.name)) summary.*(row.seen) = true;
    }
    summary.size = reader.size();
    summary.complete = reader.complete();
    return summary;
}

std::vector<std::string> header_values(std::string_view message, std::string_view name) {
    std::vector<std::string> values;
    HeaderReader reader(message);
    while (auto field = reader.next()) {
        if (!equal_folded(field->name, name)) continue;
        if (values.size() == kMaxHeaderValues) break;
        values.push_back(unfold(field->value));
    }
    return values;
}

std::string Transmission::text() const {
    std::string out;
    if (utf8) {
        out = lmtp ? "UTF8LMTP" : "UTF8SMTP";
    } else if (lmtp) {
        out = "LMTP";
    } else {
        out = extended ? "ESMTP" : "SMTP";
    }
    bool suffixes = extended || lmtp || utf8;  // RFC 3848 has none for SMTP
    if (suffixes && tls) out += 'S';
    if (suffixes && authenticated) out += 'A';
    return out;
}

std::string write_received(const ReceivedLine& line) {
    std::string out;
    FieldWriter field(out, "Received");
    if (!line.client.is_unspecified()) write_from(field, line);
    field.word("by");
    field.word(field_word(line.host));
    field.word("(Muster)");
    field.word("with");
    field.word(line.with.text());
    if (!line.tls.empty()) {
        auto tls = line.tls;
        auto first = take_word(tls);
        field.word("(" + field_word(first) + (tls.empty() ? ")" : ""));
        if (!tls.empty()) field.word(field_word(take_word(tls)) + ")");
    }
    field.word("id");
    bool named = may_name(line);
    field.word(field_word(line.id) + (named ? "" : ";"));
    field.fold();
    if (named) {
        field.word("for");
        field.word("<" + std::string(line.for_address) + ">;");
    }
    field.words(format_date(line.time));
    field.end();
    return out;
}

std::string format_date(std::chrono::sys_seconds time) {
    static constexpr std::array<std::string_view, 7> kDays{"Sun", "Mon", "Tue", "Wed",
                                                           "Thu", "Fri", "Sat"};
    static constexpr std::array<std::string_view, 12> kMonths{
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    Moment moment(time);
    std::string out(kDays.at(std::chrono::weekday(moment.day).c_encoding()));
    out += ", " + std::to_string(static_cast<unsigned>(moment.date.day())) + ' ';
    out += kMonths.at(static_cast<unsigned>(moment.date.month()) - 1);
    out += ' ';
    append_number(out, moment.year(), 4);
    out += ' ';
    moment.append_clock(out, ":");
    return out += " +0000";
}

std::string write_message_id(std::chrono::sys_seconds time, std::string_view unique,
                             std::string_view host) {
    Moment moment(time);
    std::string out = "<";
    append_number(out, moment.year(), 4);
    append_number(out, static_cast<unsigned>(moment.date.month()), 2);
    append_number(out, static_cast<unsigned>(moment.date.day()), 2);
    moment.append_clock(out, "");
    return out += '.' + field_word(unique) + '@' + field_word(host) + '>';
}

std::string header_text(std::string_view text, bool utf8) {
    bool keep = utf8 && is_utf8(text);
    std::string out(text);
    for (char& c : out) {
        auto octet = static_cast<unsigned char>(c);
        if (octet < ' ' || octet == 0x7f) c = ' ';
        if (octet > 0x7f && !keep) c = '?';
    }
    return out;
}

}  // namespace muster::wire
