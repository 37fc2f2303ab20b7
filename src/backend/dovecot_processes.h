#pragma once
// The processes of a running Dovecot and whose mail they have open. Everything here blocks (it
// reads /proc and asks Dovecot's anvil): blocking threads only.

#include <sys/types.h>

#include <filesystem>
#include <memory>
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

/// A session, and where its process stands: Dovecot goes to the home of whom it serves.
struct OpenSession {
    std::string user;
    std::string home;  ///< `MAIL_ROOT/…/ID/EPOCH`; empty: elsewhere, or we may not look
};
/// The sessions that anvil knows now. Without a `mail_root` no process is looked at.
Result<std::vector<OpenSession>> open_sessions(const std::filesystem::path& base_dir,
                                               const std::string& mail_root);
/// `MAIL_ROOT/xx/ID/EPOCH` of a path in or below it, else empty. Pure.
std::string home_in(std::string_view path, std::string_view mail_root);

/// One process, whoever gets its number later (pidfd_open(2)).
class ProcessHandle {
public:
    /// Null when there is no such process.
    static std::shared_ptr<const ProcessHandle> open(pid_t pid);
    explicit ProcessHandle(int fd) : fd_(fd) {}
    ~ProcessHandle();
    ProcessHandle(const ProcessHandle&) = delete;
    ProcessHandle& operator=(const ProcessHandle&) = delete;
    /// 0, or errno; a process that is gone is no error.
    [[nodiscard]] int signal(int number) const;

private:
    int fd_;
};

struct DovecotProcess {
    pid_t pid = 0;
    std::string title;  ///< `dovecot/imap [ada@domain1.dom 203.0.113.7 IDLE]`
    bool stopped = false;
    std::shared_ptr<const ProcessHandle> handle{};  ///< taken before it was last looked at
};

/// Whether a title (verbose_proctitle) is that of a session of this account. Pure.
bool title_names(std::string_view title, std::string_view address);

/// An account's home was another before: both as `MAIL_ROOT/xx/ID/EPOCH`.
struct HomeChange {
    std::string former;
    std::string present;  ///< empty: nothing changed
};
/// Whether the process stands in the present home and has nothing open in the former one. A
/// delivery is for several accounts and tells nothing. False when we may not look.
bool serves_present_home(const DovecotProcess& process, const HomeChange& change);

/// The processes of the account: those that anvil counts, those whose title names it, and those
/// that have something open below `home` (where we may look). Only children of this Dovecot's
/// master process are ever returned; none when it does not run. Unavailable: it does not answer.
Result<std::vector<DovecotProcess>> account_processes(const std::filesystem::path& base_dir,
                                                      std::string_view address,
                                                      std::string_view home);

}  // namespace muster::backend
