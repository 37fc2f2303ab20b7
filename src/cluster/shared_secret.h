#pragma once
// What all front ends of a cluster have in common without copying files: secrets with a key to come
// and one that is going, and the keys with which mail is signed. Values as they stand in the state,
// their keys sealed.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/ids.h"
#include "cluster/entries.h"

namespace muster::cluster {

/// `{SEALED}` and the seal in base64 (cluster/credential_seal.h).
using SealedText = std::string;

struct SharedKey {
    std::string id;  ///< says which it is, and nothing of what it is
    SealedText key;
    UnknownFields unknown{};

    friend bool operator==(const SharedKey&, const SharedKey&) = default;
};

/// `secret/NAME`. `current` is used; `previous` and `next` are accepted. A rotation makes next
/// current and current previous in one commit, so nobody uses a key that others do not know.
struct SharedSecret {
    std::string name;
    SharedKey current;
    std::optional<SharedKey> previous;
    std::optional<SharedKey> next;
    std::uint64_t rotated = 0;  ///< seconds since 1970
    UnknownFields unknown;

    friend bool operator==(const SharedSecret&, const SharedSecret&) = default;
};

/// `dkim/DOMAIN/SELECTOR`: a private key that signs mail (RFC 6376).
struct DkimKey {
    DomainName domain;
    std::string selector;  ///< letters, digits, `-`, `_`: no dots
    SealedText key;        ///< PEM, sealed
    std::string record;    ///< the DNS record's text, `v=DKIM1; k=rsa; p=…`
    UnknownFields unknown;

    friend bool operator==(const DkimKey&, const DkimKey&) = default;
};

inline constexpr std::string_view kTicketSecret = "tickets";  ///< of TLS sessions
inline constexpr std::string_view kSrsSecret = "srs";         ///< of rewritten senders

Result<SharedSecret> decode_shared_secret(std::string_view name, std::string_view json);
/// `name` is DOMAIN/SELECTOR.
Result<DkimKey> decode_dkim_key(std::string_view name, std::string_view json);
std::string encode(const SharedSecret& secret);
std::string encode(const DkimKey& key);

/// 1–63 letters, digits, `-`, `_`, in small letters.
Result<std::string> parse_selector(std::string_view text);
/// DOMAIN/SELECTOR as it stands behind `dkim/`; Syntax when it is none.
Result<std::string> parse_dkim_name(std::string_view text);

}  // namespace muster::cluster
