// IMAP: commands with literals, ID, responses of servers; written forms read back the same.
#include "fuzz.h"
#include "wire/ascii.h"
#include "wire/imap.h"

namespace muster::wire::imap {
namespace {

/// Feeds a stream to the assembler as a session does; gives the command if it became complete.
std::optional<std::string> assemble(std::string_view stream) {
    constexpr CommandLimits kLimits{.total = 512, .literal = 128, .literals = 4};
    CommandAssembler assembler(kLimits);
    while (true) {
        auto end = stream.find("\r\n");
        if (end == std::string_view::npos) return std::nullopt;
        auto literal = assembler.add_line(stream.substr(0, end));
        MUST(assembler.text().size() <= kLimits.total + 2);
        stream.remove_prefix(end + 2);
        if (!literal) return std::nullopt;
        if (!*literal) return std::string(assembler.text());
        MUST((*literal)->fits(kLimits.literal));
        if (stream.size() < (*literal)->size) return std::nullopt;
        MUST(assembler.add_literal(stream.substr(0, (*literal)->size)));
        stream.remove_prefix((*literal)->size);
    }
}

/// The stream of bytes that write_login()'s pieces make reads back as the same two strings.
void login_again(const Login& login) {
    for (bool literal_plus : {true, false}) {
        auto pieces = write_login("t", login.user, login.password, literal_plus);
        if (!pieces) {
            MUST(login.user.contains('\0') || login.password.contains('\0'));
            return;
        }
        MUST(!literal_plus || pieces->size() == 1);
        std::string stream;
        for (const auto& piece : *pieces) stream += piece;
        if (login.user.size() > 100 || login.password.size() > 100) return;
        auto text = assemble(stream);
        MUST(text);
        auto again = parse_login(parse_command(*text)->rest);
        MUST(again && again->user == login.user && again->password == login.password);
    }
}

void id_again(const std::vector<IdField>& fields) {
    std::string written;
    append_id(written, fields);
    MUST(fits_a_line(written));
    auto again = parse_id(written);
    MUST(again && again->size() <= fields.size());
}

void command(std::string_view text) {
    auto tag = reply_tag(text);
    MUST(tag == "*" || fuzz::inside(tag, text));
    MUST(!tag.empty() && tag.size() <= kMaxTag && fits_a_line(tag));
    auto command = parse_command(text);
    if (!command) return;
    MUST(command->tag == tag && fuzz::inside(command->rest, text));
    MUST(command->verb.size() <= kMaxVerb && fits_a_line(command->verb));
    if (auto login = parse_login(command->rest)) {
        MUST(login->user.size() <= kMaxUser && login->password.size() <= kMaxPassword);
        login_again(*login);
    }
    if (auto fields = parse_id(command->rest)) id_again(*fields);
    if (auto request = parse_auth_request(command->rest)) {
        MUST(fuzz::inside(request->mechanism, text));
        MUST(fuzz::inside(request->initial.value_or(""), text));
    }
}

void response(std::string_view line) {
    auto response = parse_response(line);
    if (!response) return;
    MUST(fuzz::inside(response->code, line) && fuzz::inside(response->text, line));
    auto stripped = without_referral(line);
    MUST(fits_a_line(stripped) && !parse_response(stripped)->code_is("REFERRAL"));
    auto capabilities = capabilities_in(*response);
    if (!capabilities) return;
    MUST(parse_capabilities(write_capabilities(*capabilities)) == *capabilities);
    MUST(intersect(*capabilities, *capabilities) == *capabilities);
    for (const auto& entry : before_login(*capabilities, {.tls = true}).entries())
        MUST(!starts_folded(entry.name, "AUTH=") || !entry.name.ends_with("-PLUS"));
}

}  // namespace
}  // namespace muster::wire::imap

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace muster::wire::imap;
    auto text = muster::fuzz::text(data, size);
    command(text);
    response(text);
    if (auto assembled = assemble(text)) command(*assembled);
    return 0;
}
