#include "wire/pop3.h"

#include <algorithm>

#include "wire/ascii.h"

namespace muster::wire::pop3 {
namespace {

constexpr unsigned kMaxCapabilities = 128;

bool is_verb_char(char c) { return is_letter(c) || is_digit(c); }

}  // namespace

Result<Command> parse_command(std::string_view line) {
    if (!fits_a_line(line)) return fail(ErrorKind::Syntax, "Invalid character");
    Command command{take_until(line, ' '), line};
    if (command.verb.empty() || command.verb.size() > kMaxVerb ||
        !std::ranges::all_of(command.verb, is_verb_char))
        return fail(ErrorKind::Syntax, "Unknown command");
    return command;
}

std::string write_capabilities(const Capabilities& capabilities) {
    std::string listing = "+OK\r\n";
    for (const auto& line : capabilities.lines())
        if (!line.starts_with('.')) listing.append(line).append("\r\n");
    return listing += ".\r\n";
}

Capabilities before_login(const Capabilities& common, const Offer& offer) {
    Capabilities shown = common;
    // What is ours to say, or names the server's software.
    for (auto name : {"SASL", "STLS", "USER", "XCLIENT", "IMPLEMENTATION"}) shown.remove(name);
    auto mechanisms = routable_mechanisms(common.value("SASL"), offer);
    if (!mechanisms.empty()) shown.set("SASL", mechanisms);
    if (offer.passwords() && (common.has("USER") || common.has_word("SASL", "PLAIN")))
        shown.set("USER");
    if (!offer.tls && offer.starttls) shown.set("STLS");
    return shown;
}

Result<Response> parse_response(std::string_view line) {
    if (!fits_a_line(line)) return fail(ErrorKind::Syntax, "invalid octet in a response");
    Response response;
    auto word = take_until(line, ' ');
    if (word == "+") {
        response.kind = ResponseKind::Continuation;
        response.text = line;
        return response;
    }
    bool ok = equal_folded(word, "+OK");
    if (!ok && !equal_folded(word, "-ERR")) return fail(ErrorKind::Syntax, "not a POP3 response");
    response.kind = ok ? ResponseKind::Ok : ResponseKind::Err;
    response.text = line;
    auto close = line.find(']');
    if (!line.starts_with('[') || close == std::string_view::npos) return response;
    response.code = line.substr(1, close - 1);
    line.remove_prefix(close + 1);
    response.text = line.starts_with(' ') ? line.substr(1) : line;
    return response;
}

bool offers_xclient(const Response& greeting) {
    return greeting.kind == ResponseKind::Ok && equal_folded(greeting.code, "XCLIENT");
}

Result<bool> CapabilityListing::add(std::string_view line) {
    if (line == ".") return true;
    if (++lines_ > kMaxCapabilities) return fail(ErrorKind::Limit, "endless CAPA listing");
    auto name = take_until(line, ' ');
    if (!name.starts_with('.')) capabilities_.set(name, line);
    return false;
}

Result<std::string> write_command(std::string_view verb, std::string_view argument) {
    if (!fits_a_line(argument)) return fail(ErrorKind::Syntax, "Invalid character");
    std::string line(verb);
    if (!argument.empty()) line.append(" ").append(argument);
    return line += "\r\n";
}

}  // namespace muster::wire::pop3
