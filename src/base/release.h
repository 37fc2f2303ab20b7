#pragma once
// Memory that a string no longer needs.

#include <string>

namespace muster {

/// Empties `text` and frees its buffer: assigning an empty string would keep it.
inline void release(std::string& text) { std::string().swap(text); }

}  // namespace muster
