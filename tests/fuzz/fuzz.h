#pragma once
// What the fuzz targets share: a property that must hold, and the bytes as text.

#include <fuzzer/FuzzedDataProvider.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

/// Ends the run with the property's text; libFuzzer keeps the input.
#define MUST(property) MUSTER_CHECK(property)

namespace muster::fuzz {

inline std::string_view text(const std::uint8_t* data, std::size_t size) {
    return {reinterpret_cast<const char*>(data), size};
}

/// Whether `view` lies inside `whole` (or is empty).
inline bool inside(std::string_view view, std::string_view whole) {
    return view.empty() || (view.data() >= whole.data() &&
                            view.data() + view.size() <= whole.data() + whole.size());
}

}  // namespace muster::fuzz
