#pragma once
// What the commands print: tables for people, JSON for programs. Pure.

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace muster::admin {

/// A column: its heading and the field of each object, as a path ("services.imap.port").
struct Column {
    std::string_view heading;
    std::string_view field;
};

/// Left-aligned columns, two spaces apart, numbers to the right; "-" for what is absent.
std::string format_table(const nlohmann::json& rows, const std::vector<Column>& columns);
/// One "name: value" a line, nested objects indented.
std::string format_object(const nlohmann::json& object);
/// A value as a person reads it: texts without quotes, lists with commas.
std::string format_value(const nlohmann::json& value);
/// What a path leads to; null when it leads nowhere.
nlohmann::json at_path(const nlohmann::json& object, std::string_view path);
/// How many columns of a terminal a UTF-8 text takes (every code point counts as one).
std::size_t display_width(std::string_view text);
/// Control characters as "?", so that a name cannot play with the terminal.
std::string printable(std::string_view text);

}  // namespace muster::admin
