// SASL first messages: bounds, and that a rewritten message names the new account and nothing else
// changes. Also xtext and tab escaping.
#include "fuzz.h"
#include "wire/sasl.h"
#include "wire/tabescape.h"
#include "wire/xtext.h"

namespace muster::wire::sasl {
namespace {

constexpr std::string_view kAccount = "ka,t=e@domain1.dom";

void rewrite(Mechanism mechanism, std::string_view message, const Identity& who) {
    auto changed = with_account(mechanism, message, kAccount);
    MUST(changed.has_value() == can_rewrite(mechanism));
    if (!changed) return;
    auto now = identity(mechanism, *changed);
    MUST(now && now->account() == kAccount);
    MUST(now->authzid.empty() == who.authzid.empty());
    auto back = with_account(mechanism, *changed, who.account());
    MUST(back);
    MUST(identity(mechanism, *back)->account() == who.account());
    if (mechanism != Mechanism::Plain) MUST(*back == message);
}

void first_message(Mechanism mechanism, std::string_view message) {
    auto who = identity(mechanism, message);
    if (!who) return;
    MUST(!who->account().empty() && who->account().size() <= kMaxName);
    MUST(!who->account().contains('\0') && !who->account().contains('\n'));
    rewrite(mechanism, message, *who);
}

void plain(std::string_view message) {
    auto plain = parse_plain(message);
    if (!plain) return;
    MUST(plain->password.size() <= kMaxPassword);
    MUST(write_plain(plain->authzid, plain->authcid, plain->password) == message);
}

void escapes(std::string_view bytes) {
    std::string escaped;
    append_tabescaped(escaped, bytes);
    MUST(tabunescape(escaped) == bytes);
    MUST(escaped.find_first_of("\t\r\n") == std::string::npos && !escaped.contains('\0'));
    MUST(tabunescape(bytes).size() <= bytes.size());
    MUST(xtext_decode(xtext_encode(bytes), bytes.size()) == bytes);
    if (auto decoded = xtext_decode(bytes, 32)) {
        MUST(decoded->size() <= 32);
        MUST(xtext_decode(xtext_encode(*decoded), 32) == *decoded);
    }
}

}  // namespace
}  // namespace muster::wire::sasl

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace muster::wire::sasl;
    auto text = muster::fuzz::text(data, size);
    for (auto mechanism : {Mechanism::Plain, Mechanism::Login, Mechanism::ScramSha1,
                           Mechanism::ScramSha256, Mechanism::OAuthBearer, Mechanism::XOAuth2})
        first_message(mechanism, text);
    plain(text);
    escapes(text);
    if (auto request = parse_auth_request(text)) (void)routable(request->mechanism);
    return 0;
}
