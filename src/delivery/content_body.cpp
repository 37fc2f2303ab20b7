#include "delivery/content_body.h"

#include <algorithm>
#include <string>

namespace muster::delivery {

Task<Result<std::string_view>> ContentBody::next() { co_return reader_.next(); }

bool has_utf8_header(const std::shared_ptr<const queue::Content>& content) {
    constexpr std::string_view kEnd = "\r\n\r\n";
    queue::BodyReader reader(content);
    std::string before;  // the last octets of what was read
    for (;;) {
        const auto piece = reader.next();
        if (!piece || piece->empty()) return false;
        const std::string text = before + std::string(*piece);
        const std::size_t end = text.find(kEnd);
        if (std::ranges::any_of(text.substr(0, end), [](char c) { return (c & 0x80) != 0; })) {
            return true;
        }
        if (end != text.npos) return false;
        before = text.substr(text.size() - std::min(text.size(), kEnd.size() - 1));
    }
}

}  // namespace muster::delivery
