#pragma once
// The options of the node file, each declared once. The reader (node_file.h), the reference, the
// sample file and the man page are all made from these two tables.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace muster::admin {

enum class OptionType : std::uint8_t { Text, Path, Switch, Number, TextList };

/// `[name]`, or `[[name]]` when it may stand several times.
struct Section {
    std::string_view name;
    bool repeated;
    std::string_view text;
    bool at_reload = false;  ///< of a repeated one: a reload takes changes over
};

/// `fallback` is the default as it would stand in the file (TOML). `allowed` is empty,
/// "LOW..HIGH" for a number, or "one|two|three" for a text and for the items of a list.
struct Option {
    std::string_view section;
    std::string_view name;
    OptionType type;
    std::string_view fallback;
    std::string_view unit;
    std::string_view allowed;
    std::string_view text;
    bool at_reload = false;  ///< a reload takes a change over; else the next start does
};

std::span<const Section> sections();
std::span<const Option> options();
const Section* find_section(std::string_view name);
const Option* find_option(std::string_view section, std::string_view name);
std::string_view name(OptionType type);

/// Whether `number` or `text` is one of `option.allowed`.
bool allows(const Option& option, std::int64_t number);
bool allows(const Option& option, std::string_view text);

/// The known name nearest to a misspelt one, if one is near enough to be meant.
std::optional<std::string_view> nearest_section(std::string_view name);
std::optional<std::string_view> nearest_option(std::string_view section, std::string_view name);

/// The reference page (Markdown), the sample node file (TOML) and the man page muster.toml(5).
std::string reference_page();
std::string sample_file();
std::string manual_page();

}  // namespace muster::admin
