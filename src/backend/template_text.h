#pragma once
// Fills `@name@` places of a text; what the configuration printers are made of.

#include <initializer_list>
#include <string>
#include <string_view>

namespace muster::backend {

struct Place {
    std::string_view name;
    std::string value;
};

/// Every `@name@` becomes its value. A name without a value is a bug and aborts.
[[nodiscard]] std::string fill(std::string_view text, std::initializer_list<Place> places);

}  // namespace muster::backend
