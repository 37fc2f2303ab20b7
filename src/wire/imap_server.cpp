// The server's side of wire/imap.h: its responses, and what is said to it.
#include <algorithm>
#include <array>

#include "wire/ascii.h"
#include "wire/imap.h"

namespace muster::wire::imap {
namespace {

constexpr std::size_t kMaxCapabilities = 256;
constexpr std::size_t kMaxCapability = 128;
constexpr std::size_t kMaxDovecotLine = 8192;  // longer commands before login end the connection

struct StatusRow {
    std::string_view word;
    Status status;
};
constexpr std::array kStatuses{
    StatusRow{"OK", Status::Ok},           StatusRow{"NO", Status::No},
    StatusRow{"BAD", Status::Bad},         StatusRow{"BYE", Status::Bye},
    StatusRow{"PREAUTH", Status::Preauth},
};

Status status_of(std::string_view word) {
    for (const auto& row : kStatuses)
        if (equal_folded(row.word, word)) return row.status;
    return Status::Other;
}

bool is_tag_char(char c) { return is_graphic(c) && c != '*' && c != '+'; }

bool may_be_tagged(Status status) {
    return status == Status::Ok || status == Status::No || status == Status::Bad;
}

/// `[CODE] text` or `text`. A bracket that is never closed is text.
void split_code(std::string_view text, Response& response) {
    auto close = text.find(']');
    if (!text.starts_with('[') || close == std::string_view::npos) {
        response.text = text;
        return;
    }
    response.code = text.substr(1, close - 1);
    text.remove_prefix(close + 1);
    if (text.starts_with(' ')) text.remove_prefix(1);
    response.text = text;
}

/// Whether IMAP's quoted strings can carry it; 8-bit octets are not allowed in them.
bool can_be_quoted(std::string_view text) {
    return fits_a_line(text) &&
           std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) > 0x7f; });
}

/// Adds a string to the last piece; a synchronising literal starts a new one.
void add_string(std::vector<std::string>& pieces, std::string_view text, bool literal_plus) {
    if (can_be_quoted(text)) return append_quoted(pieces.back(), text);
    pieces.back() += '{' + std::to_string(text.size()) + (literal_plus ? "+}\r\n" : "}\r\n");
    if (!literal_plus) pieces.emplace_back();
    pieces.back() += text;
}

void add_field(std::vector<IdField>& fields, std::string_view name, std::string_view value) {
    fields.push_back({std::string(name), std::string(value)});
}

std::vector<IdField> id_fields(const Introduction& introduction) {
    std::vector<IdField> fields;
    if (!introduction.session_id.empty())
        add_field(fields, "x-session-id", introduction.session_id);
    add_field(fields, "x-originating-ip", introduction.client.address.text());
    add_field(fields, "x-originating-port", std::to_string(introduction.client.port));
    add_field(fields, "x-connected-ip", introduction.local.address.text());
    add_field(fields, "x-connected-port", std::to_string(introduction.local.port));
    add_field(fields, "x-proxy-ttl", std::to_string(introduction.ttl));
    for (const auto& field : introduction.forward)
        add_field(fields, "x-forward-" + std::string(field.name), field.value);
    return fields;
}

}  // namespace

bool Response::code_is(std::string_view name) const {
    return equal_folded(code.substr(0, code.find(' ')), name);
}

std::string_view Response::code_arguments() const {
    auto space = code.find(' ');
    return space == std::string_view::npos ? std::string_view{} : code.substr(space + 1);
}

Result<Response> parse_response(std::string_view line) {
    if (!fits_a_line(line)) return fail(ErrorKind::Syntax, "invalid octet in a response");
    Response response;
    auto rest = line;
    response.tag = take_until(rest, ' ');
    if (response.tag == "+") {
        response.kind = ResponseKind::Continuation;
        response.text = rest;
        return response;
    }
    bool untagged = response.tag == "*";
    if (!untagged) response.kind = ResponseKind::Tagged;
    auto after = rest;
    response.status = status_of(take_until(after, ' '));
    if (untagged && response.status == Status::Other) {
        response.text = rest;
        return response;
    }
    bool tag = !response.tag.empty() && response.tag.size() <= kMaxTag &&
               std::ranges::all_of(response.tag, is_tag_char);
    if (!untagged && (!tag || !may_be_tagged(response.status)))
        return fail(ErrorKind::Syntax, "not an IMAP response");
    split_code(after, response);
    return response;
}

Capabilities parse_capabilities(std::string_view words) {
    Capabilities capabilities;
    std::size_t count = 0;
    for (auto word = take_word(words); !word.empty(); word = take_word(words)) {
        if (++count > kMaxCapabilities) break;
        if (word.size() <= kMaxCapability) capabilities.set(word);
    }
    return capabilities;
}

std::optional<Capabilities> capabilities_in(const Response& response) {
    if (response.code_is("CAPABILITY")) return parse_capabilities(response.code_arguments());
    auto words = response.text;
    if (response.kind == ResponseKind::Untagged && response.status == Status::Other &&
        equal_folded(take_until(words, ' '), "CAPABILITY"))
        return parse_capabilities(words);
    return std::nullopt;
}

std::string without_referral(std::string_view line) {
    auto response = parse_response(line);
    if (!response || !response->code_is("REFERRAL")) return std::string(line);
    auto bracket = static_cast<std::size_t>(response->code.data() - line.data()) - 1;
    std::string kept(line.substr(0, bracket));
    return kept + (response->status == Status::Ok ? "Done." : "Refused.");
}

Result<std::string> write_introduction(std::string_view tag, const Introduction& introduction) {
    if (auto valid = check(introduction); !valid) return std::unexpected(valid.error());
    std::string line(tag);
    line += " ID ";
    append_id(line, id_fields(introduction));
    line += "\r\n";
    if (line.size() > kMaxDovecotLine) return fail(ErrorKind::Limit, "ID would be too long");
    return line;
}

Result<std::vector<std::string>> write_login(std::string_view tag, std::string_view user,
                                             std::string_view password, bool literal_plus) {
    if (user.contains('\0') || password.contains('\0'))
        return fail(ErrorKind::Syntax, "Invalid name or password");
    std::vector<std::string> pieces{std::string(tag) + " LOGIN "};
    add_string(pieces, user, literal_plus);
    pieces.back() += ' ';
    add_string(pieces, password, literal_plus);
    pieces.back() += "\r\n";
    return pieces;
}

}  // namespace muster::wire::imap
