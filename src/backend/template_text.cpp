#include "backend/template_text.h"

#include <algorithm>

#include "base/error.h"

namespace muster::backend {

std::string fill(std::string_view text, std::initializer_list<Place> places) {
    std::string result;
    while (true) {
        const auto open = text.find('@');
        result += text.substr(0, open);
        if (open == std::string_view::npos) return result;
        const auto close = text.find('@', open + 1);
        MUSTER_CHECK(close != std::string_view::npos);
        const auto name = text.substr(open + 1, close - open - 1);
        const auto* place = std::ranges::find(places, name, &Place::name);
        MUSTER_CHECK(place != places.end());
        result += place->value;
        text.remove_prefix(close + 1);
    }
}

}  // namespace muster::backend
