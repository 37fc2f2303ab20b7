#pragma once
// How one server is reached for mail.

#include <memory>
#include <optional>
#include <string>

#include "base/endpoint.h"
#include "net/tls.h"

namespace muster::delivery {

enum class MailProtocol : std::uint8_t { Smtp, Lmtp };

enum class MailTls : std::uint8_t {
    None,
    Opportunistic,  ///< STARTTLS where it is offered
    Required,       ///< STARTTLS, or no mail
    Implicit,       ///< TLS from the first byte
};

/// A smart host's login.
struct MailLogin {
    std::string user;
    std::string password;
};

/// Immutable, shared by the connections to it. Connections are used again for targets with the
/// same `key`, so the key must differ when anything else here does.
struct MailTarget {
    std::string key;   ///< e.g. "be1/lmtp/7", "mx.example.org[192.0.2.1]:25/dane:…"
    std::string name;  ///< for logs and reports: "be1", "mx.example.org[192.0.2.1]:25"
    Endpoint endpoint{};
    std::optional<IpAddress> source{};
    MailProtocol protocol = MailProtocol::Smtp;
    MailTls tls = MailTls::None;
    std::shared_ptr<const net::TlsClient> trust{};  ///< null when tls is None
    std::string tls_name{};                         ///< SNI and the name that is matched
    std::string helo{};                             ///< our name for EHLO or LHLO
    /// Clients are told by XCLIENT where the server offers it (to whom it trusts).
    bool introduce = false;
    /// A PROXY header (version 2) comes first and names the client, so a connection is for the mail
    /// of one client address; what has none says LOCAL.
    bool proxy = false;
    /// XCLIENT, EHLO and the transaction go in one packet: the server is known to bear it (seen
    /// with Dovecot 2.3.19 LMTP and Postfix 3.7). Else each is waited for. A Postfix hears of one
    /// client a connection: others get one of their own.
    bool introduce_ahead = false;
    std::optional<MailLogin> login{};  ///< AUTH PLAIN or LOGIN, under TLS only
};

}  // namespace muster::delivery
