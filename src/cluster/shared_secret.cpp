#include "cluster/shared_secret.h"

#include <algorithm>

#include "cluster/credential_seal.h"
#include "cluster/json_fields.h"
#include "wire/ascii.h"

namespace muster::cluster {
namespace {

constexpr std::size_t kLongestSealed = 64 * 1024;
constexpr std::size_t kLongestSelector = 63;
constexpr std::size_t kLongestRecord = 4096;
constexpr std::uint64_t kLatest = 253'402'300'799;  ///< the end of the year 9999

SealedText sealed_text(FieldReader& fields) {
    std::string text = fields.text("key", kLongestSealed);
    if (!is_sealed(text)) fields.reject("key", "is not sealed");
    return text;
}

std::optional<SharedKey> read_key(FieldReader& secret, std::string_view which) {
    auto fields = secret.object(which);
    if (!fields) return std::nullopt;
    SharedKey key;
    key.id = fields->text("id", 64);
    fields->require("id", !key.id.empty());
    key.key = sealed_text(*fields);
    key.unknown = fields->unknown();
    secret.adopt(*fields);
    return key;
}

nlohmann::json object_of(const SharedKey& key) {
    nlohmann::json object = start_object(key.unknown);
    object["id"] = key.id;
    object["key"] = key.key;
    return object;
}

}  // namespace

Result<SharedSecret> decode_shared_secret(std::string_view name, std::string_view json) {
    auto object = parse_object(json);
    if (!object) return std::unexpected(object.error());
    FieldReader fields(std::move(*object));
    SharedSecret secret;
    secret.name = name;
    auto current = read_key(fields, "current");
    fields.require("current", current.has_value());
    if (current) secret.current = std::move(*current);
    secret.previous = read_key(fields, "previous");
    secret.next = read_key(fields, "next");
    secret.rotated = fields.number("rotated", 0, kLatest);
    secret.unknown = fields.unknown();
    if (auto ok = fields.result(); !ok) return std::unexpected(ok.error());
    return secret;
}

std::string encode(const SharedSecret& secret) {
    nlohmann::json object = start_object(secret.unknown);
    object["current"] = object_of(secret.current);
    if (secret.previous) object["previous"] = object_of(*secret.previous);
    if (secret.next) object["next"] = object_of(*secret.next);
    object["rotated"] = secret.rotated;
    return to_text(object);
}

Result<std::string> parse_selector(std::string_view text) {
    std::string selector(text);
    for (char& c : selector) c = wire::lower(c);
    const bool fine = std::ranges::all_of(selector, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    });
    if (!fine || selector.empty() || selector.size() > kLongestSelector) {
        return fail(ErrorKind::Syntax, "a selector is 1 to 63 letters, digits, - and _");
    }
    return selector;
}

Result<std::string> parse_dkim_name(std::string_view text) {
    const std::size_t slash = text.find('/');
    if (slash == text.npos) return fail(ErrorKind::Syntax, "the key must be dkim/DOMAIN/SELECTOR");
    const auto domain = parse_domain(text.substr(0, slash));
    if (!domain) return std::unexpected(domain.error());
    const auto selector = parse_selector(text.substr(slash + 1));
    if (!selector) return std::unexpected(selector.error());
    return domain->text + '/' + *selector;
}

Result<DkimKey> decode_dkim_key(std::string_view name, std::string_view json) {
    const auto whole = parse_dkim_name(name);
    if (!whole) return std::unexpected(whole.error());
    auto object = parse_object(json);
    if (!object) return std::unexpected(object.error());
    FieldReader fields(std::move(*object));
    DkimKey key;
    const std::size_t slash = whole->find('/');
    key.domain = DomainName(whole->substr(0, slash));
    key.selector = whole->substr(slash + 1);
    key.key = sealed_text(fields);
    key.record = fields.text("record", kLongestRecord);
    key.unknown = fields.unknown();
    if (auto ok = fields.result(); !ok) return std::unexpected(ok.error());
    return key;
}

std::string encode(const DkimKey& key) {
    nlohmann::json object = start_object(key.unknown);
    object["key"] = key.key;
    put_text(object, "record", key.record);
    return to_text(object);
}

}  // namespace muster::cluster
