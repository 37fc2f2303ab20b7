#pragma once
// Structured log lines to standard error, as logfmt or JSON. Thread-safe.

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/ids.h"

namespace muster::log {

enum class Level : std::uint8_t { Debug, Info, Warning, Error, Off };
enum class Format : std::uint8_t { Logfmt, Json };

/// One `name=value` of a line. Values are quoted and escaped when written; never put a secret in
/// one.
struct Field {
    std::string_view name;
    std::string value;

    Field(std::string_view field, std::string text) : name(field), value(std::move(text)) {}
    Field(std::string_view field, std::string_view text) : name(field), value(text) {}
    Field(std::string_view field, const char* text) : name(field), value(text) {}
    Field(std::string_view field, std::uint64_t number)
        : name(field), value(std::to_string(number)) {}
    template <typename Tag>
    Field(std::string_view field, const Name<Tag>& text) : name(field), value(text.text) {}
};

/// Sets level and format for the process; call before other threads start. `node` stands in
/// every line.
void configure(Level level, Format format, std::string_view node);
[[nodiscard]] bool enabled(Level level);
Result<Level> level_from(std::string_view text);

/// `event` is a short constant such as "login"; what varies belongs into fields.
void write(Level level, std::string_view event, std::initializer_list<Field> fields);

inline void debug(std::string_view event, std::initializer_list<Field> fields = {}) {
    write(Level::Debug, event, fields);
}
inline void info(std::string_view event, std::initializer_list<Field> fields = {}) {
    write(Level::Info, event, fields);
}
inline void warning(std::string_view event, std::initializer_list<Field> fields = {}) {
    write(Level::Warning, event, fields);
}
inline void error(std::string_view event, std::initializer_list<Field> fields = {}) {
    write(Level::Error, event, fields);
}

}  // namespace muster::log
