// The keys that Dovecot asks for, anvil's dump and process titles.
#include "backend/dict_key.h"
#include "backend/dovecot_processes.h"
#include "fuzz.h"

namespace muster::backend {
namespace {

void keys(std::string_view key, std::string_view user) {
    const auto query = parse_dict_key(key, user);
    if (!query) return;
    if (const auto* passdb = std::get_if<PassdbQuery>(&*query)) {
        MUST(user.empty() || passdb->name == user);
        const auto old_form =
            "shared/passdb/" + passdb->mechanism + "/" + passdb->name + "/" + passdb->resolved;
        MUST(key == old_form || key == old_form + "/" + passdb->client + "/" + passdb->session);
    }
    if (const auto* share = std::get_if<SharedQuery>(&*query); share && !share->from.empty()) {
        const auto again = parse_dict_key(shared_box_key(share->to, share->from), user);
        MUST(again && *again == *query);
    }
}

}  // namespace
}  // namespace muster::backend

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace muster::backend;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto border = text.find('\n');
    const auto key = text.substr(0, border);
    const auto user = border == std::string_view::npos ? "" : text.substr(border + 1);
    keys(key, user);
    for (const auto& session : parse_anvil_dump(text)) MUST(!session.service.contains('/'));
    if (title_names(key, user)) MUST(key.contains(user));
    return 0;
}
