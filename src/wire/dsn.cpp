#include "wire/dsn.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "wire/ascii.h"
#include "wire/field_writer.h"
#include "wire/message.h"
#include "wire/smtp.h"
#include "wire/utf8.h"
#include "wire/xtext.h"

namespace muster::wire::dsn {
namespace {

/// How an action is called, and what the reader is told.
struct Row {
    Action action;
    std::string_view name;
    std::string_view status;  ///< if none is known
    std::string_view subject;
    std::string_view text;
};
constexpr std::array kActions{
    Row{Action::Failed, "failed", "5.0.0", "Your message could not be delivered",
        "Your message could not be delivered to:"},
    Row{Action::Delayed, "delayed", "4.0.0", "Your message is delayed",
        "Your message has not been delivered yet to these recipients. Delivery will be tried "
        "again; you need not send it again:"},
    Row{Action::Delivered, "delivered", "2.0.0", "Your message was delivered",
        "Your message was delivered to:"},
    Row{Action::Relayed, "relayed", "2.0.0", "Your message was sent on",
        "Your message was handed to a server that may not report deliveries, for:"},
    Row{Action::Expanded, "expanded", "2.0.0", "Your message was sent on",
        "Your message was sent on to several recipients in place of:"},
};

const Row& row(Action action) {
    return *std::ranges::find_if(kActions, [&](const Row& r) { return r.action == action; });
}

std::string_view subject(const Report& report) {
    std::string_view common;
    for (const auto& recipient : report.recipients) {
        auto mine = row(recipient.action).subject;
        if (!common.empty() && common != mine) return "Report on the delivery of your message";
        common = mine;
    }
    return common.empty() ? "Report on the delivery of your message" : common;
}

/// `2.x.y`, `4.x.y`, `5.x.y` with at most three digits each.
bool is_status(std::string_view text) {
    auto part = take_until(text, '.');
    if (part != "2" && part != "4" && part != "5") return false;
    auto subject = take_until(text, '.');
    return subject.size() <= 3 && text.size() <= 3 && parse_number(subject) && parse_number(text);
}

std::string_view status(const RecipientStatus& recipient) {
    if (is_status(recipient.status)) return recipient.status;
    return row(recipient.action).status;
}

/// Appends `text` with CRLF after each line, whichever line ends it has.
void append_lines(std::string& out, std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\n' || text[i] == '\r') {
            if (text[i] == '\r' && text.substr(i + 1).starts_with('\n')) ++i;
            out += "\r\n";
        } else {
            out += text[i];
        }
    }
    if (!out.empty() && !out.ends_with('\n')) out += "\r\n";
}

void append_field(std::string& out, std::string_view name, std::string_view text) {
    FieldWriter field(out, name);
    field.words(text);
    field.end();
}

/// An address stays whole, spaces in its quotes included.
void append_address_field(std::string& out, std::string_view name, std::string_view type,
                          std::string_view address) {
    FieldWriter field(out, name);
    if (!type.empty()) field.word(type);
    field.word(address);
    field.end();
}

/// Words of one line, on several lines where they do not fit, and never over 998 octets.
void append_wrapped(std::string& out, std::string_view indent, std::string_view text) {
    constexpr std::size_t kColumns = 72;
    constexpr std::size_t kLongestWord = 900;
    std::size_t column = 0;
    for (auto word = take_word(text); !word.empty(); word = take_word(text)) {
        for (auto part = word.substr(0, kLongestWord); !part.empty();
             part = word.substr(0, kLongestWord)) {
            word.remove_prefix(part.size());
            bool wrap = column > 0 && column + 1 + part.size() > kColumns;
            if (wrap) out += "\r\n";
            if (wrap) column = 0;
            out.append(column > 0 ? " " : indent).append(part);
            column += 1 + part.size();
        }
    }
    out += "\r\n";
}

/// The report in its parts, before it is known which boundary stands in none of them.
class Writer {
public:
    explicit Writer(const Report& report) : report_(report), utf8_(needs_utf8(report)) {}

    std::string write() {
        human_part();
        status_part();
        original_part();
        auto boundary = free_boundary();
        std::string out = header(boundary);
        for (const auto& part : parts_) out.append("--").append(boundary).append("\r\n") += part;
        return out.append("--").append(boundary).append("--\r\n");
    }

private:
    [[nodiscard]] std::string clean(std::string_view text) const {
        return header_text(text, utf8_);
    }

    /// No valid address is longer.
    [[nodiscard]] std::string address(std::string_view text) const {
        return clean(text.substr(0, smtp::kMaxOrcpt));
    }

    [[nodiscard]] std::string free_boundary() const {
        auto base = "=_muster_" + field_word(report_.unique).substr(0, kMaxBoundaryUnique);
        std::ranges::replace_if(
            base, [](char c) { return !is_letter(c) && !is_digit(c) && c != '=' && c != '_'; },
            '_');
        auto boundary = base;
        auto taken = [&](const std::string& part) { return part.contains(boundary); };
        for (unsigned i = 1; std::ranges::any_of(parts_, taken); ++i)
            boundary = base + '_' + std::to_string(i);
        return boundary;
    }

    [[nodiscard]] std::string header(std::string_view boundary) const {
        std::string out;
        auto host = field_word(report_.reporting_mta);
        append_field(out, "From", "Mail Delivery System <MAILER-DAEMON@" + host + ">");
        append_address_field(out, "To", "", "<" + address(report_.sender) + ">");
        append_field(out, "Subject", subject(report_));
        append_field(out, "Date", format_date(report_.now));
        append_field(out, "Message-ID", write_message_id(report_.now, report_.unique, host));
        out += "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n";
        out += "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"";
        out.append(boundary).append("\"\r\n");
        bool eight = !std::ranges::all_of(parts_, [](const auto& part) { return is_ascii(part); });
        if (eight || !is_ascii(report_.sender)) out += "Content-Transfer-Encoding: 8bit\r\n";
        return out += "\r\n";
    }

    void add_part(std::string_view type, const std::string& content) {
        std::string part = "Content-Type: " + std::string(type) + "\r\n";
        if (!is_ascii(content)) part += "Content-Transfer-Encoding: 8bit\r\n";
        parts_.push_back(part + "\r\n" + content + "\r\n");
    }

    void human_part() {
        std::string out;
        append_paragraph(out,
                         "This is the mail system at " + field_word(report_.reporting_mta) + ".");
        for (const auto& row : kActions) describe(out, row);
        if (report_.recipients.size() > kMaxRecipients) {
            auto more = report_.recipients.size() - kMaxRecipients;
            append_paragraph(out,
                             "The same holds for more recipients: " + std::to_string(more) + ".");
        }
        std::string_view text = report_.text;
        while (!text.empty()) append_wrapped(out, "", clean(take_until(text, '\n')));
        add_part(is_ascii(out) ? "text/plain; charset=us-ascii" : "text/plain; charset=utf-8", out);
    }

    void append_paragraph(std::string& out, std::string_view text) const {
        append_wrapped(out, "", text);
        out += "\r\n";
    }

    void describe(std::string& out, const Row& row) const {
        bool introduced = false;
        for (const auto& recipient : described()) {
            if (recipient.action != row.action) continue;
            if (!std::exchange(introduced, true)) append_paragraph(out, row.text);
            out += "<" + address(recipient.final_recipient) + ">\r\n";
            if (!recipient.diagnostic.empty()) {
                auto server = field_word(recipient.remote_mta);
                if (!server.empty()) server += " said: ";
                append_wrapped(out, "   ", server + diagnostic(recipient));
            }
            if (recipient.retry_until)
                out +=
                    "   Delivery is tried until " + format_date(*recipient.retry_until) + ".\r\n";
            out += "\r\n";
        }
    }

    [[nodiscard]] std::span<const RecipientStatus> described() const {
        return std::span(report_.recipients)
            .first(std::min(report_.recipients.size(), kMaxRecipients));
    }

    /// ASCII on one line, short enough for one.
    static std::string diagnostic(const RecipientStatus& recipient) {
        return header_text(std::string_view(recipient.diagnostic).substr(0, kMaxDiagnostic), false);
    }

    void status_part() {
        std::string out;
        append_field(out, "Reporting-MTA", "dns; " + field_word(report_.reporting_mta));
        if (report_.envid) {
            auto envid = xtext_decode(*report_.envid, smtp::kMaxEnvid);
            if (envid) append_field(out, "Original-Envelope-Id", clean(*envid));
        }
        if (report_.arrival) append_field(out, "Arrival-Date", format_date(*report_.arrival));
        for (const auto& recipient : described()) append_status(out, recipient);
        add_part(utf8_ ? "message/global-delivery-status" : "message/delivery-status", out);
    }

    void append_status(std::string& out, const RecipientStatus& recipient) const {
        out += "\r\n";
        append_original_recipient(out, recipient);
        std::string_view type = is_ascii(recipient.final_recipient) ? "rfc822;" : "utf-8;";
        append_address_field(out, "Final-Recipient", type, address(recipient.final_recipient));
        append_field(out, "Action", row(recipient.action).name);
        append_field(out, "Status", status(recipient));
        if (!recipient.remote_mta.empty())
            append_field(out, "Remote-MTA", "dns; " + field_word(recipient.remote_mta));
        // Our own findings are no server's words.
        if (!recipient.diagnostic.empty() && !recipient.remote_mta.empty())
            append_field(out, "Diagnostic-Code", "smtp; " + diagnostic(recipient));
        if (recipient.last_attempt)
            append_field(out, "Last-Attempt-Date", format_date(*recipient.last_attempt));
        if (recipient.retry_until && recipient.action == Action::Delayed)
            append_field(out, "Will-Retry-Until", format_date(*recipient.retry_until));
    }

    /// What RCPT said is xtext, but for type utf-8 (RFC 6533, 3), whose escapes stay.
    void append_original_recipient(std::string& out, const RecipientStatus& recipient) const {
        if (!recipient.orcpt) return;
        std::string_view address = *recipient.orcpt;
        auto type = take_until(address, ';');
        bool plain = equal_folded(type, "utf-8");
        auto decoded = plain ? std::string(address) : xtext_decode(address, smtp::kMaxOrcpt);
        if (!decoded || decoded->empty() || decoded->size() > smtp::kMaxOrcpt) return;
        append_address_field(out, "Original-Recipient", field_word(type) + ";", clean(*decoded));
    }

    void original_part() {
        auto message = report_.original;
        bool full = report_.return_full && message.size() <= kMaxReturned;
        if (!full) message = header_lines(message);
        std::string out;
        append_lines(out, message);
        std::string_view type = full ? "message/rfc822" : "text/rfc822-headers";
        if (utf8_) type = full ? "message/global" : "message/global-headers";
        add_part(type, out);
    }

    /// Whole fields, without the empty line, that fit what may go back.
    static std::string_view header_lines(std::string_view message) {
        HeaderReader reader(message);
        std::size_t size = 0;
        while (auto field = reader.next()) {
            if (size + field->whole.size() > kMaxReturned) break;
            size += field->whole.size();
        }
        return message.substr(0, size);
    }

    static constexpr std::size_t kMaxBoundaryUnique = 40;  // boundaries have at most 70 (RFC 2046)

    const Report& report_;
    bool utf8_;
    std::vector<std::string> parts_;
};

}  // namespace

std::string write(const Report& report) { return Writer(report).write(); }

bool needs_utf8(const Report& report) {
    bool recipients = std::ranges::all_of(report.recipients, [](const RecipientStatus& recipient) {
        return is_ascii(recipient.final_recipient) && is_ascii(recipient.orcpt.value_or(""));
    });
    return !recipients || !is_ascii(report.sender);
}

}  // namespace muster::wire::dsn
