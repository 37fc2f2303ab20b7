// SMTP: commands and paths read back, replies keep their bounds, message text does not depend on
// how it is cut and has one end.
#include <vector>

#include "fuzz.h"
#include "wire/ascii.h"
#include "wire/smtp.h"
#include "wire/smtp_data.h"
#include "wire/utf8.h"
#include "wire/xtext.h"

namespace muster::wire::smtp {
namespace {

void path_reads_back(const Path& path) {
    auto text = path.text();
    MUST(text.size() + 2 <= kMaxPath && is_ascii(text) != path.utf8 && fits_a_line(text));
    auto again = parse_address(text);
    MUST(again && *again == path);
}

void mail(std::string_view rest) {
    auto mail = parse_mail(rest);
    if (!mail) return;
    path_reads_back(mail->path);
    MUST(mail->smtputf8 || !mail->path.utf8);
    MUST(!mail->envid || xtext_decode(*mail->envid, kMaxEnvid));
    auto written = "FROM:<" + mail->path.text() + ">";
    if (mail->size) written += " SIZE=" + std::to_string(*mail->size);
    if (mail->smtputf8) written += " SMTPUTF8";
    if (mail->envid) written += " ENVID=" + *mail->envid;
    if (mail->auth) written += " AUTH=" + *mail->auth;
    auto again = parse_mail(written);
    MUST(again && again->path == mail->path && again->size == mail->size &&
         again->envid == mail->envid && again->auth == mail->auth);
}

void rcpt(std::string_view rest) {
    auto rcpt = parse_rcpt(rest);
    if (!rcpt) return;
    MUST(!rcpt->path.is_null());
    path_reads_back(rcpt->path);
    auto written = "TO:<" + rcpt->path.text() + ">";
    if (rcpt->notify) written += " NOTIFY=" + rcpt->notify->text();
    if (rcpt->orcpt) written += " ORCPT=" + *rcpt->orcpt;
    MUST(parse_rcpt(written) == rcpt);
}

void command(std::string_view line) {
    if (auto command = parse_command(line)) {
        MUST(command->verb.size() <= kMaxVerb && fuzz::inside(command->rest, line));
        MUST(!command->verb.empty() && fits_a_line(command->rest));
    }
    mail(line);
    rcpt(line);
    (void)parse_bdat(line);
    auto helo = parse_helo_name(line);
    MUST(helo.text.size() <= kMaxDomain && std::ranges::all_of(helo.text, is_graphic));
    MUST(!helo.valid || helo.text == trim_spaces(line));
    if (auto xclient = parse_xclient(line)) {
        MUST(std::ranges::all_of(xclient->name.value, is_graphic));
        MUST(fits_a_line(xclient->login.value) && is_utf8(xclient->login.value));
    }
}

/// What can be read again line by line: each with the code, only the last without hyphen.
void reply(std::string_view text) {
    std::string out;
    append_reply(out, 250, text.size() % 2 == 0 ? "" : "2.1.0", text);
    std::string_view rest = out;
    MUST(rest.ends_with("\r\n"));
    while (!rest.empty()) {
        auto end = rest.find("\r\n");
        auto line = rest.substr(0, end);
        rest.remove_prefix(end + 2);
        MUST(line.size() + 2 <= kMaxReplyLine && line.starts_with("250") && is_ascii(line));
        MUST(fits_a_line(line) && (line.size() > 3 && line[3] == '-') == !rest.empty());
    }
}

struct Scanned {
    std::string message;
    std::size_t taken = 0;
    bool done = false;
    Findings findings;
    std::uint64_t longest = 0;
    bool operator==(const Scanned&) const = default;
};

/// `cuts`: sizes of the chunks, over and over.
Scanned scan(std::string_view stream, std::string_view cuts) {
    DataScanner scanner;
    Scanned result;
    for (std::size_t i = 0; result.taken < stream.size() && !scanner.done(); ++i) {
        auto size = cuts.empty() ? stream.size()
                                 : 1 + static_cast<unsigned char>(cuts[i % cuts.size()]) % 16U;
        auto chunk = stream.substr(result.taken, size);
        auto before = result.message.size();
        auto taken = scanner.feed(chunk, result.message);
        MUST(taken == chunk.size() || scanner.done());
        MUST(result.message.size() - before <= taken + 1);
        result.taken += taken;
    }
    MUST(scanner.size() == result.message.size());
    result.done = scanner.done();
    result.findings = scanner.findings();
    result.longest = scanner.longest_line();
    return result;
}

/// The same by the book: the end is the first CRLF.CRLF, or dot and CRLF at the beginning.
Scanned scan_plainly(std::string_view stream) {
    Scanned result;
    auto whole = "\r\n" + std::string(stream);
    auto end = whole.find("\r\n.\r\n");
    result.done = end != std::string::npos;
    result.taken = result.done ? end + 3 : stream.size();
    auto raw = stream.substr(0, result.taken);
    auto message = whole.substr(0, result.done ? end + 2 : whole.size());
    for (auto dot = message.find("\r\n."); dot != std::string::npos;
         dot = message.find("\r\n.", dot + 2))
        message.erase(dot + 2, 1);
    result.message = message.substr(2);
    for (std::size_t i = 0; i < raw.size(); ++i) {
        bool crlf = i > 0 && raw[i - 1] == '\r';
        result.findings.bare_lf |= raw[i] == '\n' && !crlf;
        result.findings.bare_cr |= raw[i] != '\n' && crlf;
        result.findings.nul |= raw[i] == '\0';
        result.findings.eight_bit |= static_cast<unsigned char>(raw[i]) > 0x7f;
    }
    for (std::string_view rest = result.message; !rest.empty();) {
        auto size = std::min(rest.find('\n'), rest.size() - 1) + 1;
        result.longest = std::max<std::uint64_t>(result.longest, size);
        rest.remove_prefix(size);
    }
    return result;
}

std::string stuff(std::string_view message, std::string_view cuts) {
    DotStuffer stuffer;
    std::string out;
    for (std::size_t i = 0; !message.empty(); ++i) {
        auto size = cuts.empty() ? message.size()
                                 : 1 + static_cast<unsigned char>(cuts[i % cuts.size()]) % 16U;
        stuffer.feed(message.substr(0, size), out);
        message.remove_prefix(std::min<std::size_t>(size, message.size()));
    }
    stuffer.finish(out);
    return out;
}

void data(std::string_view stream, std::string_view cuts) {
    auto whole = scan(stream, {});
    MUST(whole == scan(stream, cuts));
    auto plain = scan_plainly(stream);
    bool ends_open = !plain.done && (stream.ends_with('.') || stream.ends_with('\r'));
    MUST(plain.taken == whole.taken && plain.done == whole.done);
    MUST(plain.findings == whole.findings);
    if (!ends_open) MUST(plain.message == whole.message && plain.longest == whole.longest);

    // Whatever is stuffed is one message, and a clean one comes back as it was.
    auto wire = stuff(stream, {});
    MUST(wire == stuff(stream, cuts));
    auto back = scan(wire, cuts);
    MUST(back.done && back.taken == wire.size() && !back.findings.bare());
    BareCheck check;
    check.add(stream);
    check.finish();
    bool clean = !check.findings().bare() && (stream.empty() || stream.ends_with("\r\n"));
    if (clean) MUST(back.message == stream);
}

}  // namespace
}  // namespace muster::wire::smtp

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace muster::wire::smtp;
    auto text = muster::fuzz::text(data, size);
    command(text);
    reply(text);
    auto cuts = text.substr(0, std::min<std::size_t>(text.size(), 4));
    muster::wire::smtp::data(text.substr(cuts.size()), cuts);
    return 0;
}
