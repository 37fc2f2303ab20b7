// Socketmap: netstrings in any pieces, requests, and replies that read back.
#include "fuzz.h"
#include "wire/ascii.h"
#include "wire/socketmap.h"

namespace muster::wire::socketmap {
namespace {

void netstring(std::string_view bytes) {
    auto whole = parse_netstring(bytes);
    for (std::size_t size = 0; size < bytes.size() && size < 64; ++size) {
        auto part = parse_netstring(bytes.substr(0, size));
        MUST(part || !whole);  // no prefix of a valid one is an error
        if (!part) continue;
        if (const auto* more = std::get_if<NeedMore>(&*part)) MUST(more->size > size);
        const auto* early = std::get_if<Netstring>(&*part);
        if (early != nullptr) MUST(whole && std::get<Netstring>(*whole).text == early->text);
    }
    if (!whole || !std::holds_alternative<Netstring>(*whole)) return;
    const auto& found = std::get<Netstring>(*whole);
    MUST(found.text.size() <= kMaxRequest && fuzz::inside(found.text, bytes));
    MUST(std::to_string(found.text.size()) + ":" + std::string(found.text) + "," ==
         bytes.substr(0, found.size));
}

void request(std::string_view text) {
    auto request = parse_request(text);
    if (!request) return;
    MUST(!request->name.empty() && !request->name.contains(' ') && fits_a_line(request->key));
    MUST(std::string(request->name) + " " + std::string(request->key) == text);
}

void reply(std::string_view text) {
    for (auto status :
         {Status::Ok, Status::NotFound, Status::Temporary, Status::Timeout, Status::Permanent}) {
        std::string out;
        append_reply(out, status, text);
        auto again = parse_netstring(out, kMaxReply);
        MUST(again && std::get<Netstring>(*again).size == out.size() && fits_a_line(out));
    }
}

}  // namespace
}  // namespace muster::wire::socketmap

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace muster::wire::socketmap;
    auto text = muster::fuzz::text(data, size);
    netstring(text);
    request(text);
    reply(text);
    return 0;
}
