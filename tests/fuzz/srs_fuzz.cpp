// Rewritten senders: what is made leads back, what was not made with the key leads nowhere.
#include <array>

#include "fuzz.h"
#include "wire/ascii.h"
#include "wire/srs.h"

namespace muster::wire::srs {
namespace {

constexpr std::uint64_t kDay = 20'000;
const std::array<std::string, 2> kKeys{"current", "previous"};

void lead_back(std::string_view local) {
    const Reversed found = reversed(local, kKeys, kDay);
    MUST((found.verdict == Verdict::NotOne) == !is_rewritten(local));
    if (found.verdict != Verdict::Good) return;
    const auto again = smtp::parse_address(found.path.text());
    MUST(again && *again == found.path);
}

void make(std::string_view text) {
    const auto sender = smtp::parse_address(text);
    if (!sender || sender->is_null()) return;
    const auto made = forwarded(*sender, "srs.example", kKeys[1], kDay);
    if (!made) return;
    MUST(is_rewritten(made->local));
    const Reversed back = reversed(made->local, kKeys, kDay);
    // One of another forwarder's leads to the first one, if it was whole.
    if (is_rewritten(sender->local)) return;
    MUST(back.verdict == Verdict::Good && back.path == *sender);
    MUST(reversed(made->local, std::array<std::string, 1>{"other"}, kDay).verdict ==
         Verdict::Forged);
}

}  // namespace
}  // namespace muster::wire::srs

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto text = muster::fuzz::text(data, size);
    muster::wire::srs::lead_back(text);
    muster::wire::srs::make(text);
    return 0;
}
