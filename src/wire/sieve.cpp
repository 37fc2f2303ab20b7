#include "wire/sieve.h"

#include <algorithm>
#include <array>

#include "wire/ascii.h"

namespace muster::wire::sieve {
namespace {

constexpr std::size_t kMaxText = 4096;
constexpr std::size_t kMaxCode = 1024;
constexpr std::size_t kMaxMechanism = 20;
constexpr std::size_t kMaxName = 64;
constexpr std::size_t kMaxCapabilities = 128;
constexpr std::size_t kMaxQuoted = 1024;  // RFC 5804 section 4: longer ones must be literals
constexpr std::size_t kMaxBase64 = (sasl::kMaxMessage + 2) / 3 * 4;

struct StatusRow {
    std::string_view word;
    Status status;
};
constexpr std::array kStatuses{StatusRow{"OK", Status::Ok}, StatusRow{"NO", Status::No},
                               StatusRow{"BYE", Status::Bye}};

auto syntax(const char* text) { return fail(ErrorKind::Syntax, text); }

/// The status at the start of a response; a space or the code follows it.
const StatusRow* status_of(std::string_view text) {
    auto word = text.substr(0, text.find_first_of(" ("));
    auto row =
        std::ranges::find_if(kStatuses, [&](const auto& r) { return equal_folded(r.word, word); });
    return row == kStatuses.end() ? nullptr : &*row;
}

bool finished(StringReader& reader) {
    reader.skip_spaces();
    return reader.at_end();
}

/// Base64 has neither of the characters that need escapes.
bool is_base64_char(char c) { return is_graphic(c) && c != '"' && c != '\\'; }

/// Base64 as a string. A string that had escapes is refused, so the view points into the text and
/// never into the reader.
Result<std::string_view> read_base64(StringReader& reader) {
    auto text = reader.string(kMaxBase64);
    if (text && !std::ranges::all_of(*text, is_base64_char)) return syntax("Invalid base64");
    return text;
}

void append(std::string& out, std::string_view text, std::string_view announcement_end) {
    if (fits_a_line(text) && text.size() <= kMaxQuoted) return append_quoted(out, text);
    out.append("{").append(std::to_string(text.size())).append(announcement_end).append(text);
}

/// `(CODE …)` up to its closing parenthesis, which does not count inside a string.
Result<std::string_view> read_code(StringReader& reader) {
    reader.skip('(');
    auto text = reader.rest();
    while (!reader.at_end() && reader.peek() != ')') {
        if (reader.peek() != '"' && reader.peek() != '{') {
            reader.skip(reader.peek());
            continue;
        }
        if (auto inner = reader.string(kMaxCode); !inner) return inner;
    }
    auto code = text.substr(0, text.size() - reader.rest().size());
    if (!reader.skip(')')) return syntax("unterminated response code");
    if (code.size() > kMaxCode) return fail(ErrorKind::Limit, "response code too long");
    return code;
}

}  // namespace

Result<Command> parse_command(std::string_view text) {
    Command command{take_until(text, ' '), {}};
    if (!trim_spaces(text).empty()) command.rest = text;
    if (command.verb.empty() || command.verb.size() > kMaxVerb ||
        !std::ranges::all_of(command.verb, is_letter))
        return syntax("Unknown command");
    return command;
}

Result<sasl::AuthRequest> parse_authenticate(std::string_view rest) {
    StringReader reader(rest);
    reader.skip_spaces();
    auto mechanism = reader.string(kMaxMechanism);
    if (!mechanism) return std::unexpected(mechanism.error());
    auto checked = sasl::parse_auth_request(*mechanism);
    if (!checked || checked->initial || checked->mechanism.size() != mechanism->size())
        return syntax("Invalid mechanism");
    sasl::AuthRequest request{*mechanism, std::nullopt};
    if (finished(reader)) return request;
    auto initial = read_base64(reader);
    if (!initial) return std::unexpected(initial.error());
    request.initial = *initial;
    if (!finished(reader)) return syntax("Too many arguments");
    return request;
}

Result<std::string_view> parse_response_string(std::string_view text) {
    StringReader reader(text);
    auto response = read_base64(reader);
    if (response && !finished(reader)) return syntax("Too many arguments");
    return response;
}

Result<std::optional<std::string>> parse_noop(std::string_view rest) {
    StringReader reader(rest);
    if (finished(reader)) return std::nullopt;
    auto text = reader.string(kMaxCode);
    if (!text) return std::unexpected(text.error());
    if (!finished(reader)) return syntax("Too many arguments");
    return std::string(*text);
}

std::string write_capabilities(const Capabilities& capabilities) {
    std::string listing;
    for (const auto& entry : capabilities.entries()) {
        append_server_string(listing, entry.name);
        // SASL "" says that no mechanism is offered; other values may be absent.
        if (!entry.value.empty() || equal_folded(entry.name, "SASL")) {
            listing += ' ';
            append_server_string(listing, entry.value);
        }
        listing += "\r\n";
    }
    return listing;
}

Capabilities before_login(const Capabilities& common, const Offer& offer) {
    Capabilities shown = common;
    // What is ours to say, or belongs to a login.
    for (auto name : {"STARTTLS", "XCLIENT", "OWNER"}) shown.remove(name);
    shown.set("IMPLEMENTATION", "Muster");
    shown.set("SASL", routable_mechanisms(common.value("SASL"), offer));
    if (!offer.tls && offer.starttls) shown.set("STARTTLS");
    return shown;
}

std::string write_response(std::string_view status, std::string_view code, std::string_view text) {
    std::string line(status);
    if (!code.empty()) line.append(" (").append(code).append(")");
    if (!text.empty()) {
        line += ' ';
        append_server_string(line, text);
    }
    return line += "\r\n";
}

bool Response::code_is(std::string_view name) const {
    return equal_folded(std::string_view(code).substr(0, code.find(' ')), name);
}

std::string_view Response::code_arguments() const {
    auto space = code.find(' ');
    return space == std::string::npos ? std::string_view{}
                                      : std::string_view(code).substr(space + 1);
}

bool is_response(std::string_view text) { return status_of(text) != nullptr; }

Result<Response> parse_response(std::string_view text) {
    const auto* row = status_of(text);
    if (row == nullptr) return syntax("not a ManageSieve response");
    StringReader reader(text.substr(row->word.size()));
    Response response;
    response.status = row->status;
    reader.skip_spaces();
    if (reader.peek() == '(') {
        auto code = read_code(reader);
        if (!code) return std::unexpected(code.error());
        response.code = *code;
    }
    if (finished(reader)) return response;
    auto human = reader.string(kMaxText);
    if (!human) return std::unexpected(human.error());
    response.text = *human;
    if (!finished(reader)) return syntax("not a ManageSieve response");
    return response;
}

Result<> parse_capability(std::string_view text, Capabilities& capabilities) {
    if (capabilities.entries().size() >= kMaxCapabilities)
        return fail(ErrorKind::Limit, "endless capability listing");
    StringReader reader(text);
    auto name = reader.string(kMaxName);
    if (!name) return std::unexpected(name.error());
    auto value = finished(reader) ? std::string_view{} : reader.string(kMaxText);
    if (!value) return std::unexpected(value.error());
    if (!finished(reader)) return syntax("not a capability");
    capabilities.set(*name, *value);
    return {};
}

void append_server_string(std::string& out, std::string_view text) { append(out, text, "}\r\n"); }

void append_string(std::string& out, std::string_view text) { append(out, text, "+}\r\n"); }

std::string write_authenticate(std::string_view mechanism,
                               std::optional<std::string_view> initial) {
    std::string line = "AUTHENTICATE ";
    append_string(line, mechanism);
    if (initial) {
        line += ' ';
        append_string(line, *initial);
    }
    return line += "\r\n";
}

}  // namespace muster::wire::sieve
