// The messages of a join by password: whatever a stranger says is refused or read, nobody proves
// anything with it, and names come back as they were written.
#include "admin/join_proof.h"
#include "fuzz.h"

namespace muster::admin {
namespace {

void client_hears(std::string_view challenge) {
    // Iterations cost time on purpose: only the least is worth it here.
    if (challenge.contains(",i=") && !challenge.ends_with(",i=4096")) return;
    ScramClient client("root", "secret", "abc");
    if (const auto final = client.final(challenge, "binding")) {
        MUST(scram_nonce(*final).starts_with("abc"));
    }
    MUST(!client.proves_server(challenge));
}

void server_hears(std::string_view text) {
    if (const auto first = parse_scram_first(text)) {
        MUST(!first->user.empty() && !first->nonce.empty());
        MUST(first->header + first->bare == text);
        const ScramClient same(first->user, "secret", first->nonce, first->header);
        MUST(parse_scram_first(same.first())->user == first->user);
    }
    static const ScramServer kServer(*parse_scram_first("p=muster-pins,,n=root,r=abc"),
                                     unknown_users_key("root", "secret"), "def");
    MUST(!kServer.finish(text, "binding"));
}

}  // namespace
}  // namespace muster::admin

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    muster::admin::client_hears(text);
    muster::admin::server_hears(text);
    return 0;
}
