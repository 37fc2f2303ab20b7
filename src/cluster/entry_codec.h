#pragma once
// Objects <-> JSON text of the entries. Decoding checks types, bounds and what belongs together
// inside one object; what one object demands of others (a home that exists) is the business of
// directory_writer.h. Pure. Errors are ErrorKind::Corrupt for text that is no JSON object and
// ErrorKind::Syntax, with a message that names the field, for the rest.

#include <string>
#include <string_view>

#include "base/error.h"
#include "cluster/entries.h"

namespace muster::cluster {

inline constexpr std::size_t kMaxEntry = 256 * 1024;  ///< bytes of JSON, as state::kMaxValue
inline constexpr std::size_t kMaxListItems = 4096;    ///< of any list in an entry

Result<Domain> decode_domain(std::string_view name, std::string_view json);
Result<Server> decode_server(std::string_view name, std::string_view json);
Result<Account> decode_account(std::string_view address, std::string_view json);
Result<Alias> decode_alias(std::string_view address, std::string_view json);
Result<Node> decode_node(std::string_view name, std::string_view json);
Result<Certificate> decode_certificate(std::string_view name, std::string_view json);
Result<Credential> decode_credential(std::string_view server, std::string_view json);
Result<DeliveryCredential> decode_delivery_credential(std::string_view domain,
                                                      std::string_view json);
Result<Setting> decode_setting(std::string_view name, std::string_view json);
Result<PasswordKeys> decode_password_keys(std::string_view id, std::string_view json);
Result<Administrator> decode_administrator(std::string_view name, std::string_view json);
/// `shared-acl/TO/FROM`: the value of Dovecot's shared-mailbox dict.
Result<std::string> decode_shared_acl(std::string_view json);

std::string encode(const Domain& domain);
std::string encode(const Server& server);
std::string encode(const Account& account);
std::string encode(const Alias& alias);
std::string encode(const Node& node);
std::string encode(const Certificate& certificate);
std::string encode(const Credential& credential);
std::string encode(const DeliveryCredential& credential);
std::string encode(const Setting& setting);
std::string encode(const PasswordKeys& keys);
std::string encode(const Administrator& administrator);
std::string encode_shared_acl(std::string_view value);

/// Holds any entry against the rules of its kind: what `cluster apply` and `cluster restore` ask
/// before they write. Keys of an unknown kind are errors. Fields unknown to this version pass.
Result<> check_entry(std::string_view key, std::string_view json);

/// What a look-up needs of an account's row. Decoded without a JSON tree: the fields are views
/// into `json`.
struct AccountRow {
    std::string_view id;
    std::string_view home;
    bool disabled = false;
    std::uint64_t quota = 0;
    std::uint64_t epoch = 0;
};
Result<AccountRow> decode_account_row(std::string_view json);

}  // namespace muster::cluster
