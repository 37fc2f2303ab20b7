#include "cluster/json_fields.h"

#include "cluster/entry_codec.h"
#include "state/json_value.h"

namespace muster::cluster {
using nlohmann::json;

Result<json> parse_value(std::string_view text) {
    if (text.size() > kMaxEntry) return fail(ErrorKind::Corrupt, "more than 256 KiB of JSON");
    if (state::nests_deeper(text, kMaxNesting)) {
        return fail(ErrorKind::Corrupt, "JSON nested too deeply");
    }
    json value = json::parse(text, nullptr, false);
    if (value.is_discarded()) return fail(ErrorKind::Corrupt, "not valid JSON");
    return value;
}

Result<json> parse_object(std::string_view text) {
    auto value = parse_value(text);
    if (value && !value->is_object()) return fail(ErrorKind::Corrupt, "not a JSON object");
    return value;
}

std::string to_text(const json& value) { return state::json_line(value); }

json FieldReader::take(std::string_view field) {
    const auto found = object_.find(field);
    if (found == object_.end()) return nullptr;
    json value = std::move(*found);
    object_.erase(found);
    return value;
}

std::string FieldReader::text(std::string_view field, std::size_t limit) {
    const json value = take(field);
    if (value.is_null()) return {};
    if (!value.is_string()) {
        reject(field, "must be a text");
        return {};
    }
    const auto& text = value.get_ref<const std::string&>();
    if (text.size() > limit) {
        reject(field, "is longer than " + std::to_string(limit) + " bytes");
        return {};
    }
    return text;
}

std::uint64_t FieldReader::number(std::string_view field, std::uint64_t otherwise,
                                  std::uint64_t limit) {
    const json value = take(field);
    if (value.is_null()) return otherwise;
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > limit) {
        reject(field, "must be a whole number from 0 to " + std::to_string(limit));
        return otherwise;
    }
    return value.get<std::uint64_t>();
}

bool FieldReader::flag(std::string_view field, bool otherwise) {
    const json value = take(field);
    if (value.is_null()) return otherwise;
    if (!value.is_boolean()) {
        reject(field, "must be true or false");
        return otherwise;
    }
    return value.get<bool>();
}

std::vector<std::string> FieldReader::list(std::string_view field, std::size_t text_limit) {
    const json value = take(field);
    std::vector<std::string> result;
    if (value.is_null()) return result;
    if (!value.is_array() || value.size() > kMaxListItems) {
        reject(field, "must be a list of at most " + std::to_string(kMaxListItems) + " texts");
        return result;
    }
    for (const json& item : value) {
        if (!item.is_string() || item.get_ref<const std::string&>().empty() ||
            item.get_ref<const std::string&>().size() > text_limit) {
            reject(field, "must hold texts of 1 to " + std::to_string(text_limit) + " bytes");
            return {};
        }
        result.push_back(item.get<std::string>());
    }
    return result;
}

std::optional<FieldReader> FieldReader::object(std::string_view field) {
    json value = take(field);
    if (value.is_null()) return std::nullopt;
    if (!value.is_object()) {
        reject(field, "must be an object");
        return std::nullopt;
    }
    return FieldReader(std::move(value), path_ + std::string(field) + '.');
}

void FieldReader::require(std::string_view field, bool present) {
    if (!present) reject(field, "is missing");
}

void FieldReader::reject(std::string_view field, std::string_view why) {
    if (error_) return;
    std::string message = path_;
    message += field;
    message += ' ';
    message += why;
    error_ = Error{ErrorKind::Syntax, message, message};
}

void FieldReader::adopt(const FieldReader& inner) {
    if (!error_) error_ = inner.error_;
}

Result<> FieldReader::result() const {
    if (error_) return std::unexpected(*error_);
    return {};
}

std::string FieldReader::unknown() const {
    return object_.empty() ? std::string() : to_text(object_);
}

json start_object(std::string_view unknown) {
    if (unknown.empty()) return json::object();
    json object = json::parse(unknown, nullptr, false);
    return object.is_object() ? object : json::object();
}

void put_text(json& object, const char* field, std::string_view value) {
    if (!value.empty()) object[field] = value;
}

void put_number(json& object, const char* field, std::uint64_t value, std::uint64_t omitted) {
    if (value != omitted) object[field] = value;
}

void put_list(json& object, const char* field, const std::vector<std::string>& value) {
    if (!value.empty()) object[field] = value;
}

}  // namespace muster::cluster
