#include "wire/dovecot_auth.h"

#include <algorithm>

#include "wire/ascii.h"
#include "wire/tabescape.h"

namespace muster::wire::dovecot_auth {
namespace {

constexpr std::size_t kMaxFields = 64;

auto broken(std::string_view what) {
    return fail(ErrorKind::Syntax, "broken auth message: " + std::string(what));
}

std::optional<std::uint32_t> take_number(std::string_view& text) {
    auto number = parse_number(take_until(text, '\t'), UINT32_MAX);
    if (!number) return std::nullopt;
    return static_cast<std::uint32_t>(*number);
}

std::vector<Field> parse_fields(std::string_view text) {
    std::vector<Field> fields;
    while (!text.empty() && fields.size() < kMaxFields) {
        auto value = take_until(text, '\t');
        auto name = take_until(value, '=');
        if (!name.empty()) fields.push_back({tabunescape(name), tabunescape(value)});
    }
    return fields;
}

std::optional<std::string_view> find_field(const std::vector<Field>& fields,
                                           std::string_view name) {
    auto found = std::ranges::find(fields, name, &Field::name);
    if (found == fields.end()) return std::nullopt;
    return found->value;
}

Result<Message> parse_version(std::string_view text) {
    auto major = take_number(text);
    auto minor = take_number(text);
    if (!major || !minor) return broken("VERSION");
    return Version{*major, *minor};
}

Result<Message> parse_mech(std::string_view text) {
    Mech mech{tabunescape(take_until(text, '\t')), {}};
    if (mech.name.empty()) return broken("MECH");
    while (!text.empty() && mech.flags.size() < kMaxFields)
        mech.flags.push_back(tabunescape(take_until(text, '\t')));
    return mech;
}

/// CONT, OK and FAIL start with the request's id.
Result<Message> parse_reply(std::string_view name, std::string_view text) {
    auto id = take_number(text);
    if (!id) return broken("request id");
    if (name == "CONT") return Continue{*id, tabunescape(take_until(text, '\t'))};
    if (name == "OK") return Ok{*id, parse_fields(text)};
    return Fail{*id, parse_fields(text)};
}

void add(std::string& line, std::string_view name, std::string_view value) {
    line.append("\t").append(name).append("=");
    append_tabescaped(line, value);
}

void add_endpoint(std::string& line, const std::optional<Endpoint>& endpoint, char side) {
    if (!endpoint) return;
    add(line, std::string(1, side) + "ip", endpoint->address.text());
    add(line, std::string(1, side) + "port", std::to_string(endpoint->port));
}

}  // namespace

std::optional<std::string_view> Ok::field(std::string_view name) const {
    return find_field(fields, name);
}

std::optional<std::string_view> Fail::field(std::string_view name) const {
    return find_field(fields, name);
}

bool Fail::temporary() const { return field("temp") || field("code") == "temp_fail"; }

Result<Message> parse_message(std::string_view line) {
    if (line.size() > kMaxLine || !fits_a_line(line)) return broken("length or octet");
    auto name = take_until(line, '\t');
    if (name == "VERSION") return parse_version(line);
    if (name == "MECH") return parse_mech(line);
    if (name == "SPID") return Spid{tabunescape(line)};
    if (name == "CUID") return Cuid{tabunescape(line)};
    if (name == "COOKIE") return Cookie{tabunescape(line)};
    if (name == "DONE") return Done{};
    if (name == "CONT" || name == "OK" || name == "FAIL") return parse_reply(name, line);
    if (name.empty()) return broken("empty");
    return Other{std::string(name)};
}

std::string write_handshake(std::uint32_t process_id) {
    return "VERSION\t1\t2\nCPID\t" + std::to_string(process_id) + '\n';
}

std::string write_request(const Request& request) {
    std::string line = "AUTH\t" + std::to_string(request.id) + '\t';
    append_tabescaped(line, request.mechanism);
    add(line, "service", request.service);
    if (request.secured) line += "\tsecured";
    if (request.no_penalty) line += "\tno-penalty";
    // Nobody will ask the auth process to log this user in.
    line += "\tnologin";
    if (!request.session_id.empty()) add(line, "session", request.session_id);
    add_endpoint(line, request.local, 'l');
    add_endpoint(line, request.client, 'r');
    if (request.initial) add(line, "resp", *request.initial);  // must stand last
    return line += '\n';
}

std::string write_continue(std::uint32_t id, std::string_view data) {
    std::string line = "CONT\t" + std::to_string(id) + '\t';
    append_tabescaped(line, data);
    return line += '\n';
}

std::string write_cancel(std::uint32_t id) { return "CANCEL\t" + std::to_string(id) + '\n'; }

}  // namespace muster::wire::dovecot_auth
