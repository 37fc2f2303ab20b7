#pragma once
// Reading and writing the fields of one JSON object. For the .cpp files of this folder only: it
// brings the whole of nlohmann/json.

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace muster::cluster {

inline constexpr std::size_t kMaxNesting = 16;  ///< of objects and lists in an entry

/// A JSON object in bounds: ErrorKind::Corrupt for anything else.
Result<nlohmann::json> parse_object(std::string_view text);
/// Any JSON value in the same bounds.
Result<nlohmann::json> parse_value(std::string_view text);
/// One line of UTF-8, whatever the strings hold.
std::string to_text(const nlohmann::json& value);

/// Takes fields out of an object one by one; what nobody took is the unknown rest. The first
/// error stays, later calls then answer with defaults.
class FieldReader {
public:
    /// `path` stands before the names of fields in messages ("services.imap.").
    explicit FieldReader(nlohmann::json object, std::string path = {})
        : object_(std::move(object)), path_(std::move(path)) {}

    std::string text(std::string_view field, std::size_t limit);
    std::uint64_t number(std::string_view field, std::uint64_t otherwise, std::uint64_t limit);
    bool flag(std::string_view field, bool otherwise);
    std::vector<std::string> list(std::string_view field, std::size_t text_limit);
    /// The raw value; null when absent.
    nlohmann::json take(std::string_view field);
    /// An object of its own; empty when absent.
    std::optional<FieldReader> object(std::string_view field);

    /// One of `values` (each with a name()), or `otherwise` when absent.
    template <typename Enum>
    Enum choice(std::string_view field, Enum otherwise, std::initializer_list<Enum> values) {
        const std::string given = text(field, 32);
        if (given.empty()) return otherwise;
        std::string names;
        for (const Enum value : values) {
            if (name(value) == given) return value;
            names += names.empty() ? "" : ", ";
            names += name(value);
        }
        reject(field, "is \"" + given + "\"; it can be " + names);
        return otherwise;
    }

    void require(std::string_view field, bool present);
    void reject(std::string_view field, std::string_view why);
    void adopt(const FieldReader& inner);  ///< takes over an error of an inner object
    [[nodiscard]] bool failed() const { return error_.has_value(); }
    [[nodiscard]] Result<> result() const;
    [[nodiscard]] nlohmann::json& rest() { return object_; }
    /// The fields that nobody took, as UnknownFields.
    [[nodiscard]] std::string unknown() const;

private:
    nlohmann::json object_;
    std::string path_;
    std::optional<Error> error_;
};

/// An object to fill, that starts with the unknown fields.
nlohmann::json start_object(std::string_view unknown);
void put_text(nlohmann::json& object, const char* field, std::string_view value);
void put_number(nlohmann::json& object, const char* field, std::uint64_t value,
                std::uint64_t omitted);
void put_list(nlohmann::json& object, const char* field, const std::vector<std::string>& value);

}  // namespace muster::cluster
