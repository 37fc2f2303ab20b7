#include "wire/imap.h"

#include <algorithm>

#include "wire/ascii.h"

namespace muster::wire::imap {
namespace {

constexpr std::size_t kMaxIdFields = 30;  // RFC 2971, as the two below
constexpr std::size_t kMaxIdName = 30;
constexpr std::size_t kMaxIdValue = 1024;

auto syntax(const char* text) { return fail(ErrorKind::Syntax, text); }

/// Wider than RFC 3501's astring by `%` and `*`: names have them, and nothing is sent on as atom.
bool is_atom_char(char c) {
    return is_graphic(c) && c != '(' && c != ')' && c != '{' && c != '"' && c != '\\';
}
bool is_tag_char(char c) { return is_atom_char(c) && c != '+' && c != '%' && c != '*'; }
bool is_verb_char(char c) {
    return is_letter(c) || is_digit(c) || c == '-' || c == '.' || c == '_';
}

bool valid_tag(std::string_view tag) {
    return !tag.empty() && tag.size() <= kMaxTag && std::ranges::all_of(tag, is_tag_char);
}

Result<std::string_view> read_astring(StringReader& reader, std::size_t limit) {
    if (reader.peek() == '"' || reader.peek() == '{') return reader.string(limit);
    auto atom = reader.take_while(is_atom_char);
    if (atom.empty()) return syntax("Missing argument");
    if (atom.size() > limit) return fail(ErrorKind::Limit, "Argument too long");
    return atom;
}

/// The end of a command; spaces before it are forgiven.
bool finished(StringReader& reader) {
    reader.skip_spaces();
    return reader.at_end();
}

Result<std::optional<std::string>> read_nstring(StringReader& reader, std::size_t limit) {
    if (reader.peek() != '"' && reader.peek() != '{') {
        if (!equal_folded(reader.take_while(is_atom_char), "NIL")) return syntax("String expected");
        return std::nullopt;
    }
    auto text = reader.string(limit);
    if (!text) return std::unexpected(text.error());
    return std::string(*text);
}

Result<IdField> read_id_field(StringReader& reader) {
    auto name = reader.string(kMaxIdName);
    if (!name) return std::unexpected(name.error());
    if (!reader.skip(' ')) return syntax("Invalid ID");
    IdField field{std::string(*name), std::nullopt};
    auto value = read_nstring(reader, kMaxIdValue);
    if (!value) return std::unexpected(value.error());
    field.value = std::move(*value);
    return field;
}

}  // namespace

Result<Command> parse_command(std::string_view text) {
    Command command{take_until(text, ' '), {}, {}};
    if (!valid_tag(command.tag)) return syntax("Invalid tag");
    command.verb = take_until(text, ' ');
    if (!trim_spaces(text).empty()) command.rest = text;
    if (command.verb.empty()) return syntax("Missing command");
    if (command.verb.size() > kMaxVerb || !std::ranges::all_of(command.verb, is_verb_char))
        return syntax("Unknown command");
    return command;
}

std::string_view reply_tag(std::string_view text) {
    auto tag = take_until(text, ' ');
    return valid_tag(tag) ? tag : "*";
}

Result<Login> parse_login(std::string_view rest) {
    StringReader reader(rest);
    auto user = read_astring(reader, kMaxUser);
    if (!user) return std::unexpected(user.error());
    if (!reader.skip(' ')) return syntax("Missing argument");
    auto password = read_astring(reader, kMaxPassword);
    if (!password) return std::unexpected(password.error());
    if (!finished(reader)) return syntax("Too many arguments");
    return Login{std::string(*user), std::string(*password)};
}

Result<std::vector<IdField>> parse_id(std::string_view rest) {
    std::vector<IdField> fields;
    if (equal_folded(trim_spaces(rest), "NIL")) return fields;
    StringReader reader(rest);
    if (!reader.skip('(')) return syntax("Invalid ID");
    reader.skip_spaces();
    while (!reader.skip(')')) {
        if (fields.size() == kMaxIdFields) return fail(ErrorKind::Limit, "Too many ID fields");
        auto field = read_id_field(reader);
        if (!field) return std::unexpected(field.error());
        fields.push_back(std::move(*field));
        if (!reader.skip(' ') && reader.peek() != ')') return syntax("Invalid ID");
    }
    if (!finished(reader)) return syntax("Too many arguments");
    return fields;
}

void append_id(std::string& out, std::span<const IdField> fields) {
    std::string list;
    for (const auto& field : fields) {
        if (!fits_a_line(field.name) || (field.value && !fits_a_line(*field.value))) continue;
        list += list.empty() ? '(' : ' ';
        append_quoted(list, field.name);
        list += ' ';
        if (field.value) {
            append_quoted(list, *field.value);
        } else {
            list += "NIL";
        }
    }
    out += list.empty() ? "NIL" : list + ')';
}

bool is_proxy_field(std::string_view name) { return starts_folded(name, "x-"); }

std::string write_capabilities(const Capabilities& capabilities) {
    // RFC 3501 wants IMAP4rev1 in every list; some clients want it first.
    std::string first;
    std::string others;
    for (const auto& entry : capabilities.entries())
        (starts_folded(entry.name, "IMAP4") ? first : others).append(" ").append(entry.name);
    first += others;
    return first.empty() ? first : first.substr(1);
}

Capabilities before_login(const Capabilities& common, const Offer& offer) {
    Capabilities shown;
    std::string mechanisms;
    for (const auto& [name, value] : common.entries()) {
        if (starts_folded(name, "AUTH=")) {
            mechanisms.append(name.substr(5)).append(" ");
        } else if (!equal_folded(name, "STARTTLS") && !equal_folded(name, "LOGINDISABLED")) {
            shown.set(name, value);
        }
    }
    mechanisms = routable_mechanisms(mechanisms, offer);
    std::string_view words = mechanisms;
    for (auto word = take_word(words); !word.empty(); word = take_word(words))
        shown.set("AUTH=" + std::string(word));
    if (!mechanisms.empty()) shown.set("SASL-IR");
    if (!offer.tls && offer.starttls) shown.set("STARTTLS");
    if (!offer.passwords()) shown.set("LOGINDISABLED");
    return shown;
}

}  // namespace muster::wire::imap
