#pragma once
// Prints the configuration under which a Dovecot works with Muster beside it. Pure: values in,
// text out. docs/dovecot.md says what each part is for and which test proves it.

#include <cstdint>
#include <string>
#include <vector>

namespace muster::backend {

/// V23 is proven by tests/cluster. V24 prints the names that 2.4 gave to the same settings, with
/// Lua look-ups over HTTP (2.4 has no dict passdb); it has not been run and says so in its head.
enum class DovecotVersion : std::uint8_t { V23, V24 };

struct DovecotListener {
    std::string address;  ///< an address of this machine, or "*"
    std::uint16_t port = 0;
    bool tls = false;  ///< TLS from the first byte
};

/// One service; without listeners it is off. `certificate` (PEM file, chain included) and `key`
/// switch STARTTLS on, and are needed by listeners with `tls`.
struct DovecotService {
    std::vector<DovecotListener> listeners;
    std::string certificate;
    std::string key;
};

/// Who Dovecot's processes run as. With `self` all of it runs as the user who starts it, without
/// chroot: for demos and tests, not for strangers' mail.
struct DovecotUsers {
    bool self = false;
    std::string internal = "dovecot";  ///< auth, anvil …; may connect to the auth dict socket
    std::string internal_group = "dovecot";
    std::string login = "dovenull";  ///< the processes that face the network before login
    std::string mail = "vmail";      ///< owns the mail (by name; with `self`: the own user's name)
    std::string mail_group = "vmail";
};

/// Verification of OAUTHBEARER and XOAUTH2 tokens by the provider's introspection endpoint.
/// Without `introspection_url` the two mechanisms are not offered.
struct DovecotOauth2 {
    std::string introspection_url;  ///< `http(s)://…`; client id and secret may stand in it
    std::string mode = "post";      ///< post, get or auth (Dovecot's names)
    std::string username_attribute = "email";
    std::string active_attribute = "active";
    std::string ca;  ///< CA file that the provider's certificate is checked against
};

struct DovecotConfigInput {
    DovecotVersion version = DovecotVersion::V23;
    std::string config_dir;     ///< where dovecot.conf and the files beside it are put
    std::string base_dir;       ///< Dovecot's sockets; short: socket paths end at 107 bytes
    std::string state_dir;      ///< Dovecot's own state
    std::string log_path;       ///< a file, `syslog` or `/dev/stderr`
    std::string auth_socket;    ///< the agent's dict socket for password and user look-ups
    std::string mail_socket;    ///< the agent's dict socket for mail processes (no passwords)
    std::string relay_socket;   ///< where Dovecot's auth service listens for the authenticate relay
    std::string authority_url;  ///< V24 only: the agent's HTTP look-ups on loopback
    std::string authority_secret;  ///< V24 only: what they ask for
    std::string hostname;
    DovecotService imap, pop3, sieve, lmtp, submission;
    /// Addresses or networks of the front ends: only they may name a client's address, session
    /// and account.
    std::vector<std::string> trusted_networks;
    DovecotUsers users;
    std::string mail_out;  ///< "ADDRESS:PORT" that takes mail made here; empty: sendmail's way
    std::string mail_location = "maildir:~/mail";
    DovecotOauth2 oauth2;
    std::uint32_t max_sessions = 2000;  ///< sessions of each protocol at one time
    bool last_login = false;            ///< have Dovecot report log-ins to the agent
    std::string extra;                  ///< appended as it is
};

/// One file to be written; `secret` ones must not be readable by others.
struct DovecotFile {
    std::string name;  ///< inside config_dir
    std::string text;
    bool secret = false;
};

/// The first file is dovecot.conf.
[[nodiscard]] std::vector<DovecotFile> dovecot_files(const DovecotConfigInput& input);

/// All files one after the other, each under a comment with its path, for people to read.
[[nodiscard]] std::string dovecot_config(const DovecotConfigInput& input);

}  // namespace muster::backend
