#pragma once
// The processes of a running Dovecot and whose mail they have open. Everything here blocks (it
// reads /proc and asks Dovecot's anvil): blocking threads only.

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace muster::backend {

/// A session as Dovecot's anvil counts it: from login on, and for LMTP from RCPT on.
struct AnvilSession {
    std::string service;
    std::string user;
    pid_t pid = 0;
    friend bool operator==(const AnvilSession&, const AnvilSession&) = default;
};

/// A line of anvil's dump: `SERVICE[/ADDRESS]/USER <tab> PID <tab> COUNT`. Pure.
std::vector<AnvilSession> parse_anvil_dump(std::string_view text);
/// What anvil knows now. Unavailable: Dovecot does not run, or may not be asked.
Result<std::vector<AnvilSession>> anvil_sessions(const std::filesystem::path& base_dir);

struct DovecotProcess {
    pid_t pid = 0;
    std::string title;  ///< `dovecot/imap [ada@domain1.dom 203.0.113.7 IDLE]`
    bool stopped = false;
};

/// Whether a title (verbose_proctitle) is that of a session of this account. Pure.
bool title_names(std::string_view title, std::string_view address);

/// The processes of the account: those that anvil counts, those whose title names it, and those
/// that have something open below `home` (where we may look). Only children of this Dovecot's
/// master process are ever returned; none when it does not run. Unavailable: it does not answer.
Result<std::vector<DovecotProcess>> account_processes(const std::filesystem::path& base_dir,
                                                      std::string_view address,
                                                      std::string_view home);

}  // namespace muster::backend
