#include "delivery/smtp_commands.h"

#include <algorithm>
#include <charconv>

#include "wire/ascii.h"
#include "wire/xtext.h"

namespace muster::delivery {
namespace {

constexpr std::size_t kMaxCommand = 512;  // Postfix, XCLIENT_README: with CRLF
constexpr std::size_t kMaxName = 255;
constexpr std::size_t kMaxSession = 64;  // Dovecot ignores longer ones

bool is_control(char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }

void append_number(std::string& out, std::uint64_t number) {
    char digits[20];
    const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    out.append(digits, end);
}

/// A parameter that the server knows, when there is a value that may stand there.
void append_parameter(std::string& out, bool known, std::string_view name, std::string_view value) {
    if (!known || value.empty() || !is_safe_parameter(value)) return;
    out.append(" ").append(name).append("=").append(value);
}

/// Names come from DNS and HELO, so from anybody: text of a PTR record was injected into XCLIENT
/// (CVE-2026-28753).
std::string sanitised(std::string_view text, std::size_t limit) {
    std::string result(text.substr(0, limit));
    for (char& c : result) {
        const bool usual = wire::is_letter(c) || wire::is_digit(c) ||
                           std::string_view(".-_:[]").find(c) != std::string_view::npos;
        if (!usual) c = '?';
    }
    return result;
}

/// Puts attributes into commands.
class XclientWriter {
public:
    XclientWriter(std::string& out, const wire::smtp::ServerExtensions& server)
        : out_(out), server_(server) {}

    void add(std::string_view name, std::string_view value) {
        constexpr std::size_t kRoom = kMaxCommand - kVerb.size() - 4;  // " =" and CRLF
        if (value.empty() || !server_.takes(name) || name.size() + value.size() > kRoom) return;
        const std::size_t size = name.size() + value.size() + 2;
        if (open_ && out_.size() - begin_ + size + 2 > kMaxCommand) end();
        if (!open_) start();
        out_.append(" ").append(name).append("=").append(value);
    }
    void add_xtext(std::string_view name, std::string_view value) {
        if (!value.empty()) add(name, wire::xtext_encode(value));
    }
    unsigned end() {
        if (open_) out_ += "\r\n";
        open_ = false;
        return commands_;
    }

private:
    static constexpr std::string_view kVerb = "XCLIENT";

    void start() {
        begin_ = out_.size();
        out_ += kVerb;
        open_ = true;
        ++commands_;
    }

    std::string& out_;
    const wire::smtp::ServerExtensions& server_;
    std::size_t begin_ = 0;
    unsigned commands_ = 0;
    bool open_ = false;
};

}  // namespace

bool is_safe_address(std::string_view address) { return !std::ranges::any_of(address, is_control); }

bool is_safe_parameter(std::string_view value) {
    return std::ranges::all_of(value, wire::is_graphic);
}

void append_mail(std::string& out, const Transaction& transaction, std::uint64_t size,
                 const wire::smtp::ServerExtensions& server) {
    out.append("MAIL FROM:<").append(transaction.sender).append(">");
    if (server.size) {
        out += " SIZE=";
        append_number(out, size);
    }
    // Without 8BITMIME the octets go as they are, as every server bears them today.
    if (transaction.eight_bit && server.eight_bit_mime) out += " BODY=8BITMIME";
    if (transaction.smtp_utf8 && server.smtp_utf8) out += " SMTPUTF8";
    append_parameter(out, server.dsn, "RET", transaction.ret);
    append_parameter(out, server.dsn, "ENVID", transaction.envelope_id);
    out += "\r\n";
}

void append_rcpt(std::string& out, const Recipient& recipient,
                 const wire::smtp::ServerExtensions& server) {
    out.append("RCPT TO:<").append(recipient.address).append(">");
    append_parameter(out, server.dsn, "NOTIFY", recipient.notify);
    append_parameter(out, server.dsn, "ORCPT", recipient.original_recipient);
    append_parameter(out, server.recipient_forward, "XRCPTFORWARD", recipient.forward);
    out += "\r\n";
}

unsigned append_xclient(std::string& out, const ClientFacts& facts,
                        const wire::smtp::ServerExtensions& server) {
    if (!server.takes("ADDR")) return 0;
    XclientWriter writer(out, server);
    const bool is_v6 = !facts.client.address.is_v4();
    writer.add("ADDR", (is_v6 ? "IPV6:" : "") + facts.client.address.text());
    writer.add("PORT", std::to_string(facts.client.port));
    const std::string_view nobody = facts.no_name_yet ? "[TEMPUNAVAIL]" : "[UNAVAILABLE]";
    writer.add_xtext("NAME",
                     facts.name.empty() ? std::string(nobody) : sanitised(facts.name, kMaxName));
    writer.add_xtext("HELO", sanitised(facts.helo, kMaxName));
    writer.add("PROTO", facts.esmtp ? "ESMTP" : "SMTP");
    writer.add_xtext("SESSION", sanitised(facts.session, kMaxSession));
    writer.add("TTL", std::to_string(facts.ttl));
    writer.add_xtext("LOGIN", facts.login);
    return writer.end();
}

bool can_replace(const ClientFacts& before, const ClientFacts& now) {
    return (before.helo.empty() || !now.helo.empty()) &&
           (before.login.empty() || !now.login.empty()) &&
           (before.session.empty() || !now.session.empty());
}

}  // namespace muster::delivery
