#pragma once
// Fields of JSON that another program sent.

#include <nlohmann/json.hpp>

#include <string>

namespace muster::admin {

/// What is absent or no text counts as an empty one.
inline std::string text(const nlohmann::json& object, const char* field) {
    if (!object.is_object()) return {};
    const auto found = object.find(field);
    return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

/// What is absent or neither true nor false counts as false.
inline bool flag(const nlohmann::json& object, const char* field) {
    if (!object.is_object()) return false;
    const auto found = object.find(field);
    return found != object.end() && found->is_boolean() && found->get<bool>();
}

}  // namespace muster::admin
