#include "wire/smtp.h"

#include <algorithm>

#include "wire/ascii.h"
#include "wire/utf8.h"

namespace muster::wire::smtp {
namespace {

constexpr Refusal kBadCommand{500, "5.5.2", "Bad command syntax"};
constexpr Refusal kTooLong{500, "5.5.2", "Line too long"};
constexpr Refusal kBadChunk{501, "5.5.4", "Bad BDAT syntax"};

char printable(char c) { return c == ' ' || is_graphic(c) ? c : '?'; }

/// One line of a reply, or several if it is too long for one. `last`: of the reply.
void append_line(std::string& out, std::string_view code, std::string_view enhanced,
                 std::string_view line, bool last) {
    auto room = kMaxReplyLine - code.size() - enhanced.size() - 4;  // `-`, space, CRLF
    do {
        auto part = line.substr(0, room);
        line.remove_prefix(part.size());
        out += code;
        if (!last || !line.empty()) {
            out += '-';
        } else if (!enhanced.empty() || !part.empty()) {
            out += ' ';
        }
        out += enhanced;
        if (!enhanced.empty() && !part.empty()) out += ' ';
        std::ranges::transform(part, std::back_inserter(out), printable);
        out += "\r\n";
    } while (!line.empty());
}

}  // namespace

Parsed<Command> parse_command(std::string_view line) {
    if (line.size() > kMaxAuthLine) return std::unexpected(kTooLong);
    if (!fits_a_line(line)) return std::unexpected(kBadCommand);
    Command command;
    command.rest = line;
    command.verb = take_until(command.rest, ' ');
    command.rest = trim_spaces(command.rest);
    auto verb = command.verb;
    if (verb.empty() || verb.size() > kMaxVerb || !std::ranges::all_of(verb, is_graphic))
        return std::unexpected(kBadCommand);
    return command;
}

Parsed<Chunk> parse_bdat(std::string_view rest) {
    auto size = parse_number(take_word(rest));
    if (!size) return std::unexpected(kBadChunk);
    auto marker = take_word(rest);
    bool last = equal_folded(marker, "LAST");
    if (!(last || marker.empty()) || !trim_spaces(rest).empty()) return std::unexpected(kBadChunk);
    return Chunk{.size = *size, .last = last};
}

HeloName parse_helo_name(std::string_view rest) {
    auto word = trim_spaces(rest);
    HeloName name;
    name.valid = is_ascii(word) && (is_domain(word) || is_address_literal(word));
    name.text = word.substr(0, kMaxDomain);
    for (char& c : name.text) {
        constexpr std::string_view kOthers = "-._:[]";
        if (!is_letter(c) && !is_digit(c) && !kOthers.contains(c)) c = '?';
    }
    return name;
}

void append_reply(std::string& out, int code, std::string_view enhanced, std::string_view text) {
    auto number = std::to_string(code);
    for (;;) {
        auto end = text.find('\n');
        bool last = end == std::string_view::npos;
        append_line(out, number, enhanced, text.substr(0, end), last);
        if (last) return;
        text.remove_prefix(end + 1);
    }
}

void append_reply(std::string& out, const Refusal& refusal) {
    append_reply(out, refusal.code, refusal.enhanced, refusal.text);
}

}  // namespace muster::wire::smtp
