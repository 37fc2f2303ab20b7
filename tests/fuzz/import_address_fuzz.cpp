// Addresses and login names as clients and files spell them: what is accepted is bounded, holds
// nothing that could break a line or a key, and is its own normal form.
#include <algorithm>

#include "cluster/address.h"
#include "fuzz.h"

namespace muster::cluster {
namespace {

bool is_harmless(std::string_view text) {
    return std::ranges::none_of(text, [](char c) {
        return (c >= 0 && c <= ' ') || c == 0x7f || c == '/' || c == '"' || c == '\\';
    });
}

void address(std::string_view text, CasePolicy policy) {
    const auto parsed = parse_address(text, policy);
    if (!parsed) return;
    MUST(parsed->text.size() <= kMaxAddress && is_harmless(parsed->view()));
    const auto again = parse_address(parsed->view(), policy);
    MUST(again && *again == *parsed);
    const auto kept = parse_address(parsed->view(), CasePolicy::Keep);
    MUST(kept && *kept == *parsed);
}

}  // namespace
}  // namespace muster::cluster

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace muster::cluster;
    const auto text = muster::fuzz::text(data, size);
    address(text, CasePolicy::Fold);
    address(text, CasePolicy::Keep);
    if (const auto login = parse_login(text)) {
        MUST(login->local.size() <= kMaxLocalPart && is_harmless(login->local));
        MUST(!login->domain || is_harmless(login->domain->view()));
    }
    if (const auto domain = parse_domain(text)) {
        MUST(domain->text.size() <= kMaxDomain && parse_domain(domain->view()) == *domain);
    }
    return 0;
}
