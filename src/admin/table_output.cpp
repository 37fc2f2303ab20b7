#include "admin/table_output.h"

#include <algorithm>

#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;

constexpr std::size_t kGap = 2;

struct Cell {
    std::string text;
    bool number = false;
};

std::string padded(const Cell& cell, std::size_t width, bool last) {
    const std::string fill(width - std::min(width, display_width(cell.text)), ' ');
    if (cell.number) return fill + cell.text;
    return last ? cell.text : cell.text + fill;
}

void format_fields(const json& object, std::size_t indent, std::string& out) {
    for (const auto& [name, value] : object.items()) {
        out += std::string(indent, ' ') + printable(name) + ":";
        if (value.is_object() && !value.empty()) {
            out += "\n";
            format_fields(value, indent + 2, out);
        } else {
            out += " " + format_value(value) + "\n";
        }
    }
}

}  // namespace

std::size_t display_width(std::string_view text) {
    return static_cast<std::size_t>(std::ranges::count_if(
        text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

std::string printable(std::string_view text) {
    std::string made(text);
    for (char& c : made) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    }
    return made;
}

json at_path(const json& object, std::string_view path) {
    const json* at = &object;
    while (!path.empty()) {
        const std::size_t dot = std::min(path.find('.'), path.size());
        const std::string step(path.substr(0, dot));
        if (!at->is_object() || !at->contains(step)) return nullptr;
        at = &(*at)[step];
        path.remove_prefix(std::min(dot + 1, path.size()));
    }
    return *at;
}

std::string format_value(const json& value) {
    if (value.is_null()) return "-";
    if (value.is_string()) {
        const auto& raw = value.get_ref<const std::string&>();
        if (raw.starts_with("-----BEGIN ")) {
            return "PEM, " + std::to_string(raw.size()) + " bytes";
        }
        const std::string text = printable(raw);
        return text.empty() ? "-" : text;
    }
    if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
    if (value.is_array() && value.empty()) return "-";
    if (!value.is_array()) return state::json_line(value);
    std::string text;
    for (const json& item : value) {
        if (!text.empty()) text += ", ";
        text += format_value(item);
    }
    return text;
}

std::string format_table(const json& rows, const std::vector<Column>& columns) {
    std::vector<std::vector<Cell>> cells(1);
    for (const Column& column : columns) cells[0].push_back({std::string(column.heading)});
    for (const json& row : rows) {
        std::vector<Cell> line;
        for (const Column& column : columns) {
            const json value = at_path(row, column.field);
            line.push_back({format_value(value), value.is_number()});
        }
        cells.push_back(std::move(line));
    }
    std::vector<std::size_t> widths(columns.size(), 0);
    for (const auto& line : cells) {
        for (std::size_t i = 0; i < line.size(); ++i) {
            widths[i] = std::max(widths[i], display_width(line[i].text));
        }
    }
    std::string out;
    for (const auto& line : cells) {
        for (std::size_t i = 0; i < line.size(); ++i) {
            if (i > 0) out += std::string(kGap, ' ');
            out += padded(line[i], widths[i], i + 1 == line.size());
        }
        out += "\n";
    }
    return out;
}

std::string format_object(const json& object) {
    std::string out;
    if (object.is_object()) {
        format_fields(object, 0, out);
    } else {
        out = format_value(object) + "\n";
    }
    return out;
}

}  // namespace muster::admin
