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
        const bool is_ascii = static_cast<unsigned char>(c) < 0x80;
        if (!is_ascii || c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f) return false;
    }
    return true;
}

/// Length of the well-formed UTF-8 sequence (RFC 3629) that `text` begins with; 0 for anything
/// else, and for C1 control characters, which terminals obey.
std::size_t printable_sequence(std::string_view text) {
    const auto byte = [text](std::size_t i) {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
    };
    const auto follows = [&byte](std::size_t i, unsigned from = 0x80, unsigned to = 0xbf) {
        return byte(i) >= from && byte(i) <= to;
    };
    const unsigned first = byte(0);
    if (first < 0x80) return 1;
    if (first >= 0xc2 && first <= 0xdf) return follows(1, first == 0xc2 ? 0xa0 : 0x80) ? 2 : 0;
    if (first >= 0xe0 && first <= 0xef) {
        const unsigned least = first == 0xe0 ? 0xa0 : 0x80;
        const unsigned most = first == 0xed ? 0x9f : 0xbf;  // no surrogates
        return follows(1, least, most) && follows(2) ? 3 : 0;
    }
    if (first < 0xf0 || first > 0xf4) return 0;
    const unsigned least = first == 0xf0 ? 0x90 : 0x80;
    const unsigned most = first == 0xf4 ? 0x8f : 0xbf;
    return follows(1, least, most) && follows(2) && follows(3) ? 4 : 0;
}

void append_quoted(std::string& line, std::string_view value) {
    static constexpr char kHex[] = "0123456789abcdef";
    line += '"';
    while (!value.empty()) {
        const char c = value.front();
        const auto byte = static_cast<unsigned char>(c);
        const std::size_t length = printable_sequence(value);
        if (c == '"' || c == '\\') {
            line += '\\';
            line += c;
        } else if (byte < 0x20 || byte == 0x7f || length == 0) {
            line += "\\u00";
            line += kHex[byte >> 4];
            line += kHex[byte & 15];
        } else {
            line += value.substr(0, length);
        }
        value.remove_prefix(length == 0 ? 1 : length);
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
