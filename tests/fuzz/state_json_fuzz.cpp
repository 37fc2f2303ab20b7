// Values: what the store takes as JSON is JSON for a full parser, and the other way round.
#include <nlohmann/json.hpp>

#include <algorithm>

#include "fuzz.h"
#include "state/json_text.h"

namespace {

/// What the store refuses on purpose although it is JSON: line breaks, blanks around the value,
/// deep nesting, numbers beyond a double's comfort.
bool bounded(std::string_view text) {
    int depth = 0;
    int deepest = 0;
    std::size_t digits = 0;
    for (const char c : text) {
        if (c == '\n' || c == '\r' || c == '\0') return false;  // nlohmann ends at a NUL
        if (c == '{' || c == '[') deepest = std::max(deepest, ++depth);
        if (c == '}' || c == ']') --depth;
        digits = (c >= '0' && c <= '9') || c == '.' ? digits + 1 : 0;
        if (digits > 30 || c == 'e' || c == 'E') return false;
    }
    return deepest < 64 && !text.starts_with("\xef\xbb\xbf") && text.front() != ' ' &&
           text.front() != '\t' && text.back() != ' ' && text.back() != '\t';
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto text = muster::fuzz::text(data, size);
    const auto length = muster::state::json_length(text);
    MUST(length <= size);
    if (length > 0) MUST(nlohmann::json::accept(text.substr(0, length)));
    if (size > 0 && bounded(text) && nlohmann::json::accept(text)) MUST(length == size);
    return 0;
}
