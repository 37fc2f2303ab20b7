#pragma once
// What a front end may announce before it knows the account.

#include <span>
#include <string>
#include <vector>

#include "cluster/entries.h"
#include "cluster/topology.h"

namespace muster::cluster {

struct Announcement {
    /// IMAP capabilities, POP3 capabilities, or the extensions of a Sieve interpreter; without
    /// STARTTLS, LOGINDISABLED and AUTH=…, which are the front end's own business.
    std::vector<std::string> capabilities;
    /// SASL mechanisms, upper case; PLAIN at least.
    std::vector<std::string> mechanisms;

    friend bool operator==(const Announcement&, const Announcement&) = default;
};

/// What *all* of the servers that have the service can do, by the state and not by which of them
/// are up. `ServiceSettings::capabilities` hold items as the server announces them, mechanisms as
/// `AUTH=NAME`; a server without a list counts as the built-in one.
Announcement common_announcement(std::span<const ServerView* const> servers, Service service);

/// All of them that have the service learn the account beside a SCRAM message, which signs the
/// name as the client knows it: Dovecots that take forwarded fields. Where a back end judges
/// (login = token or master), it learns nothing but that message.
bool map_names(std::span<const ServerView* const> servers, Service service);

/// The list that a server without one of its own is taken to have: of a Dovecot beside a node, what
/// the configuration printed for it switches on whatever its options (backend/dovecot_config), but
/// not SCRAM-SHA-1: passwords set in Muster have no key for it, and are refused where a client
/// prefers it.
std::vector<std::string> builtin_capabilities(Service service, const Server& server);

}  // namespace muster::cluster
