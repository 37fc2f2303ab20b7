#include "cluster/directory_writer.h"
#include "cluster/entry_codec.h"
#include "cluster/json_fields.h"

namespace muster::cluster {
namespace {

constexpr std::uint64_t kMaxQuota = std::uint64_t{1} << 62;
constexpr std::size_t kMaxKeys = 16;
constexpr std::size_t kMaxKeyText = 1024;

std::vector<std::string> take_keys(FieldReader& fields) {
    std::vector<std::string> keys = fields.list("keys", kMaxKeyText);
    if (keys.size() > kMaxKeys) fields.reject("keys", "holds more than 16 keys");
    for (const std::string& key : keys) {
        if (auto ok = check_password_key(key); !ok) fields.reject("keys", ok.error().detail);
    }
    return keys;
}

std::string encode_keys(const std::vector<std::string>& keys, nlohmann::json object) {
    object["keys"] = keys;
    return to_text(object);
}

void append_text(std::string& out, std::string_view field, std::string_view value) {
    out += out.empty() ? "{\"" : ",\"";
    out += field;
    out += "\":\"";
    out += value;
    out += '"';
}

void append_number(std::string& out, std::string_view field, std::uint64_t value) {
    if (value == 0) return;
    out += ",\"";
    out += field;
    out += "\":";
    out += std::to_string(value);
}

}  // namespace

Result<Account> decode_account(std::string_view address, std::string_view json) {
    auto object = parse_object(json);
    if (!object) return std::unexpected(object.error());
    FieldReader fields(std::move(*object));
    Account account;
    account.address = AccountAddress(address);
    account.id = AccountId(fields.text("id", 64));
    if (auto ok = parse_account_id(account.id.text); !ok) fields.reject("id", ok.error().detail);
    account.home = ServerName(fields.text("home", 63));
    if (!account.home.empty() && !parse_plain_name(account.home.text)) {
        fields.reject("home", "is no server name");
    }
    const std::string state = fields.text("state", 16);
    if (!state.empty() && state != "active" && state != "disabled") {
        fields.reject("state", "can be active or disabled");
    }
    account.disabled = state == "disabled";
    account.quota = fields.number("quota", 0, kMaxQuota);
    account.epoch = fields.number("epoch", 0, kMaxQuota);
    account.unknown = fields.unknown();
    if (auto ok = fields.result(); !ok) return std::unexpected(ok.error());
    return account;
}

/// Written by hand: imports do so ten million times. Ids and server names need no escapes.
std::string encode(const Account& account) {
    std::string out;
    out.reserve(64);
    append_text(out, "id", account.id.text);
    if (!account.home.empty()) append_text(out, "home", account.home.text);
    if (account.disabled) append_text(out, "state", "disabled");
    append_number(out, "quota", account.quota);
    append_number(out, "epoch", account.epoch);
    if (account.unknown.size() > 2) {  // not "{}"
        out += ',';
        out.append(account.unknown, 1, account.unknown.size() - 2);
    }
    out += '}';
    return out;
}

Result<Alias> decode_alias(std::string_view address, std::string_view json) {
    auto object = parse_object(json);
    if (!object) return std::unexpected(object.error());
    FieldReader fields(std::move(*object));
    Alias alias;
    alias.address = AccountAddress(address);
    for (const std::string& text : fields.list("to", kMaxAddress)) {
        auto target = parse_address(text, CasePolicy::Keep);
        if (!target) {
            fields.reject("to", "holds \"" + text + "\": " + target.error().detail);
            break;
        }
        alias.to.push_back(std::move(*target));
    }
    fields.require("to", !alias.to.empty());
    alias.unknown = fields.unknown();
    if (auto ok = fields.result(); !ok) return std::unexpected(ok.error());
    return alias;
}

std::string encode(const Alias& alias) {
    nlohmann::json object = start_object(alias.unknown);
    nlohmann::json targets = nlohmann::json::array();
    for (const AccountAddress& target : alias.to) targets.push_back(target.text);
    object["to"] = std::move(targets);
    return to_text(object);
}

Result<PasswordKeys> decode_password_keys(std::string_view id, std::string_view json) {
    auto object = parse_object(json);
    if (!object) return std::unexpected(object.error());
    FieldReader fields(std::move(*object));
    PasswordKeys keys;
    keys.id = AccountId(id);
    keys.keys = take_keys(fields);
    keys.unknown = fields.unknown();
    if (auto ok = fields.result(); !ok) return std::unexpected(ok.error());
    return keys;
}

std::string encode(const PasswordKeys& keys) {
    return encode_keys(keys.keys, start_object(keys.unknown));
}

Result<Administrator> decode_administrator(std::string_view name, std::string_view json) {
    auto object = parse_object(json);
    if (!object) return std::unexpected(object.error());
    FieldReader fields(std::move(*object));
    Administrator administrator;
    administrator.name = name;
    administrator.keys = take_keys(fields);
    const std::string rights = fields.text("rights", 16);
    if (!rights.empty() && rights != "full" && rights != "read") {
        fields.reject("rights", "can be full or read");
    }
    administrator.read_only = rights == "read";
    administrator.unknown = fields.unknown();
    if (auto ok = fields.result(); !ok) return std::unexpected(ok.error());
    return administrator;
}

std::string encode(const Administrator& administrator) {
    nlohmann::json object = start_object(administrator.unknown);
    object["rights"] = administrator.read_only ? "read" : "full";
    return encode_keys(administrator.keys, std::move(object));
}

Result<std::string> decode_shared_acl(std::string_view json) {
    auto object = parse_object(json);
    if (!object) return std::unexpected(object.error());
    FieldReader fields(std::move(*object));
    std::string value = fields.text("value", kMaxEntry);
    if (auto ok = fields.result(); !ok) return std::unexpected(ok.error());
    return value;
}

std::string encode_shared_acl(std::string_view value) {
    return to_text(nlohmann::json{{"value", value}});
}

}  // namespace muster::cluster
