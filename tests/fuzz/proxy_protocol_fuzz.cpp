// PROXY headers: reading in pieces comes to the same result as reading at once; what is written
// reads back the same.
#include "fuzz.h"
#include "wire/proxy_protocol.h"

namespace muster::wire::proxy_protocol {
namespace {

void in_pieces(std::string_view bytes) {
    auto whole = parse(bytes);
    bool decided = false;
    for (std::size_t size = 0; size <= bytes.size() && size <= kMaxV2; ++size) {
        auto part = parse(bytes.substr(0, size));
        if (part && std::holds_alternative<NeedMore>(*part)) {
            MUST(!decided && std::get<NeedMore>(*part).size > size);
            continue;
        }
        decided = true;
        MUST(part.has_value() == whole.has_value());
        if (part) MUST(std::get<Header>(*part) == std::get<Header>(*whole));
    }
}

void again(const Header& header) {
    MUST(header.size <= kMaxV2);
    if (header.local) return;
    for (const auto& bytes : {write_v1(header.source, header.destination),
                              write_v2(header.source, header.destination)}) {
        auto parsed = parse(bytes);
        MUST(parsed && std::holds_alternative<Header>(*parsed));
        const auto& read = std::get<Header>(*parsed);
        MUST(!read.local && read.size == bytes.size() && read.source == header.source);
        MUST(read.destination == header.destination);
    }
}

}  // namespace
}  // namespace muster::wire::proxy_protocol

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace muster::wire::proxy_protocol;
    auto bytes = muster::fuzz::text(data, size);
    in_pieces(bytes);
    auto parsed = parse(bytes);
    if (parsed && std::holds_alternative<Header>(*parsed)) again(std::get<Header>(*parsed));
    return 0;
}
