#include "state/json_value.h"

namespace muster::state {

using nlohmann::json;

bool nests_deeper(std::string_view text, std::size_t levels) {
    std::size_t depth = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\') ++i;
            if (c == '"') in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > levels) return true;
        } else if ((c == '}' || c == ']') && depth > 0) {
            --depth;
        }
    }
    return false;
}

json parse_json(std::string_view text) {
    if (nests_deeper(text, kMaxJsonDepth)) return json(json::value_t::discarded);
    return json::parse(text, nullptr, false);
}

std::string json_line(const json& value) {
    return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace muster::state
