#pragma once
// Fields of objects as they are written on the command line. Pure.

#include <nlohmann/json.hpp>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace muster::admin {

enum class FieldType : std::uint8_t { Text, Number, Switch, List };

/// `path` is where it stands in the object; a `*` stands for any service.
struct Field {
    std::string_view path;
    FieldType type;
    std::string_view text;
};

std::span<const Field> domain_fields();
std::span<const Field> server_fields();
std::span<const Field> node_fields();
std::span<const Field> account_fields();

/// From "field=value", "--field=value", "--field value" to the JSON of an object. Services are
/// written as "imap.port"; "-" and "_" are the same; an empty value takes a field away; "@FILE"
/// is the content of a file. Syntax errors name the nearest field.
Result<nlohmann::json> object_from(std::span<const Field> known,
                                   const std::vector<std::string>& words);
/// One line a field, for help texts.
std::string describe(std::span<const Field> known);

}  // namespace muster::admin
