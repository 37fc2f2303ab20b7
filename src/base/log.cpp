#include "base/log.h"

#include <spdlog/fmt/chrono.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <memory>

#include "base/log_line.h"

namespace muster::log {
namespace {

std::atomic<Level> current_level{Level::Info};
Format current_format = Format::Logfmt;
std::string node_name;

spdlog::logger& logger() {
    static const std::shared_ptr<spdlog::logger> instance = [] {
        auto made = std::make_shared<spdlog::logger>(
            "muster", std::make_shared<spdlog::sinks::stderr_sink_mt>());
        made->set_level(spdlog::level::trace);
        made->set_pattern("%v");
        made->flush_on(spdlog::level::trace);
        return made;
    }();
    return *instance;
}

constexpr std::string_view kLevelNames[] = {"debug", "info", "warning", "error", "off"};

bool is_plain(std::string_view value) {
    if (value.empty()) return false;
    for (const char c : value) {
        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f) return false;
    }
    return true;
}

void append_quoted(std::string& line, std::string_view value) {
    static constexpr char kHex[] = "0123456789abcdef";
    line += '"';
    for (const char c : value) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            line += '\\';
            line += c;
        } else if (byte < 0x20 || byte == 0x7f) {
            line += "\\u00";
            line += kHex[byte >> 4];
            line += kHex[byte & 15];
        } else {
            line += c;
        }
    }
    line += '"';
}

void append_field(std::string& line, std::string_view field, std::string_view value) {
    if (current_format == Format::Json) {
        line += line.empty() ? "{" : ",";
        append_quoted(line, field);
        line += ':';
        append_quoted(line, value);
        return;
    }
    if (!line.empty()) line += ' ';
    line += field;
    line += '=';
    if (is_plain(value)) {
        line += value;
    } else {
        append_quoted(line, value);
    }
}

std::string timestamp() {
    const auto now = std::chrono::system_clock::now();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(now);
    const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(now - seconds);
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z",
                       fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)), micros.count());
}

}  // namespace

void configure(Level level, Format format, std::string_view node) {
    current_level = level;
    current_format = format;
    node_name = node;
}

bool enabled(Level level) { return level >= current_level.load(std::memory_order_relaxed); }

Result<Level> level_from(std::string_view text) {
    for (std::size_t i = 0; i < std::size(kLevelNames); ++i) {
        if (kLevelNames[i] == text) return static_cast<Level>(i);
    }
    return fail(ErrorKind::Syntax, "no such log level: use debug, info, warning, error or off");
}

void write(Level level, std::string_view event, std::initializer_list<Field> fields) {
    if (enabled(level)) write_line(level, event, fields);
}

void write_line(Level level, std::string_view event, std::initializer_list<Field> fields) {
    std::string line;
    append_field(line, "time", timestamp());
    append_field(line, "level", kLevelNames[static_cast<std::size_t>(level)]);
    if (!node_name.empty()) append_field(line, "node", node_name);
    append_field(line, "event", event);
    for (const Field& field : fields) append_field(line, field.name, field.value);
    if (current_format == Format::Json) line += '}';
    logger().log(spdlog::level::info, fmt::string_view("{}"), line);
}

}  // namespace muster::log
