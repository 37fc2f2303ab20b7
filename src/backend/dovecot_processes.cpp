#include "backend/dovecot_processes.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>

#include "base/proc_file.h"

namespace muster::backend {
namespace {

constexpr std::size_t kMaxDump = std::size_t{64} << 20;
constexpr int kAnvilSeconds = 5;

namespace fs = std::filesystem;

/// A file descriptor that is closed at the end of its scope.
class Socket {
public:
    explicit Socket(int fd) : fd_(fd) {}
    ~Socket() {
        if (fd_ >= 0) ::close(fd_);
    }
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    [[nodiscard]] int fd() const { return fd_; }

private:
    int fd_;
};

bool connect_to(const Socket& socket, const fs::path& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.native().size() >= sizeof address.sun_path) return false;
    std::ranges::copy(path.native(), address.sun_path);
    const timeval limit{kAnvilSeconds, 0};
    setsockopt(socket.fd(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(socket.fd(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    return ::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

template <typename Number>
std::optional<Number> number(std::string_view text) {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end == text.data()) return std::nullopt;
    return value;
}

std::optional<pid_t> master_of(const fs::path& base_dir) {
    return number<pid_t>(read_proc_file(base_dir / "master.pid"));
}

struct Status {
    pid_t parent = 0;
    char state = '?';
};

/// proc(5): `PID (COMMAND) STATE PPID …`, where COMMAND may hold anything.
std::optional<Status> status_of(pid_t pid) {
    const std::string text = read_proc_file("/proc/" + std::to_string(pid) + "/stat");
    const auto close = text.rfind(')');
    if (close == std::string::npos || close + 4 >= text.size()) return std::nullopt;
    const auto parent = number<pid_t>(std::string_view(text).substr(close + 4));
    if (!parent) return std::nullopt;
    return Status{*parent, text[close + 2]};
}

std::string title_of(pid_t pid) {
    std::string title = read_proc_file("/proc/" + std::to_string(pid) + "/cmdline");
    title.erase(std::ranges::find(title, '\0'), title.end());
    return title;
}

/// Whether a path that the process has open, or is in, lies below `home`. False where the kernel
/// does not let us look.
bool inside(pid_t pid, std::string_view home) {
    const fs::path folder = "/proc/" + std::to_string(pid);
    const auto below = [&](const fs::path& link) {
        std::error_code error;
        const std::string target = fs::read_symlink(link, error).native();
        return !error && target.starts_with(home) &&
               (target.size() == home.size() || target[home.size()] == '/');
    };
    if (home.empty()) return false;
    if (below(folder / "cwd")) return true;
    std::error_code error;
    for (fs::directory_iterator at(folder / "fd", error), end; !error && at != end;
         at.increment(error))
        if (below(at->path())) return true;
    return false;
}

std::vector<pid_t> children_of(pid_t master) {
    std::vector<pid_t> found;
    std::error_code error;
    for (fs::directory_iterator at("/proc", error), end; !error && at != end; at.increment(error)) {
        const auto pid = number<pid_t>(at->path().filename().native());
        if (!pid) continue;
        const auto status = status_of(*pid);
        if (status && status->parent == master && status->state != 'Z') found.push_back(*pid);
    }
    return found;
}

}  // namespace

std::vector<AnvilSession> parse_anvil_dump(std::string_view text) {
    std::vector<AnvilSession> sessions;
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        const auto tab = line.find('\t');
        if (tab == std::string_view::npos) continue;
        const auto ident = line.substr(0, tab);
        const auto pid = number<pid_t>(line.substr(tab + 1));
        const auto service_end = ident.find('/');
        if (!pid || service_end == std::string_view::npos) continue;
        auto user = ident.substr(service_end + 1);
        const auto service = ident.substr(0, service_end);
        // All but LMTP put the client's address in between.
        if (service != "lmtp") user.remove_prefix(std::min(user.size(), user.find('/') + 1));
        sessions.push_back({std::string(service), std::string(user), *pid});
    }
    return sessions;
}

Result<std::vector<AnvilSession>> anvil_sessions(const fs::path& base_dir) {
    const Socket socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (socket.fd() < 0 || !connect_to(socket, base_dir / "anvil"))
        return fail(ErrorKind::Unavailable, "Dovecot is not running",
                    "anvil of " + base_dir.native() + ": " + std::strerror(errno));
    constexpr std::string_view kAsk = "VERSION\tanvil\t1\t0\nCONNECT-DUMP\n";
    if (::send(socket.fd(), kAsk.data(), kAsk.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(kAsk.size()))
        return fail(ErrorKind::Unavailable, "Dovecot does not answer", "anvil takes nothing");
    std::string text;
    std::array<char, 16384> buffer;
    while (text != "\n" && !text.ends_with("\n\n") && text.size() < kMaxDump) {
        const ssize_t got = ::recv(socket.fd(), buffer.data(), buffer.size(), 0);
        if (got <= 0) return fail(ErrorKind::Unavailable, "Dovecot does not answer", "anvil");
        text.append(buffer.data(), static_cast<std::size_t>(got));
    }
    return parse_anvil_dump(text);
}

bool title_names(std::string_view title, std::string_view address) {
    constexpr std::string_view kDovecot = "dovecot/";
    const auto open = title.find(" [");
    if (!title.starts_with(kDovecot) || open == std::string_view::npos) return false;
    title.remove_prefix(open + 2);
    if (!title.starts_with(address)) return false;
    title.remove_prefix(address.size());
    return title.starts_with(' ') || title.starts_with(']');
}

std::string home_in(std::string_view path, std::string_view mail_root) {
    constexpr int kParts = 3;  // xx/ID/EPOCH
    if (mail_root.empty() || !path.starts_with(mail_root)) return {};
    std::size_t end = mail_root.size();
    for (int part = 0; part < kParts; ++part) {
        if (end >= path.size() || path[end] != '/') return {};
        const std::size_t next = std::min(path.find('/', end + 1), path.size());
        if (next == end + 1) return {};
        end = next;
    }
    return std::string(path.substr(0, end));
}

Result<std::vector<OpenSession>> open_sessions(const fs::path& base_dir,
                                               const std::string& mail_root) {
    auto counted = anvil_sessions(base_dir);
    if (!counted) return std::unexpected(counted.error());
    std::error_code error;
    const std::string root = mail_root.empty() ? "" : fs::canonical(mail_root, error).native();
    std::vector<OpenSession> sessions;
    for (AnvilSession& session : *counted) {
        std::string home;
        // A delivery may be for several accounts, whose homes it visits one after the other.
        if (!root.empty() && session.service != "lmtp") {
            const fs::path link = "/proc/" + std::to_string(session.pid) + "/cwd";
            home = home_in(fs::read_symlink(link, error).native(), root);
            if (!home.empty()) home.replace(0, root.size(), mail_root);
        }
        sessions.push_back({std::move(session.user), std::move(home)});
    }
    return sessions;
}

// By number: the header of Debian 12's C library is not for C++.
std::shared_ptr<const ProcessHandle> ProcessHandle::open(pid_t pid) {
    const int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    return fd < 0 ? nullptr : std::make_shared<const ProcessHandle>(fd);
}

ProcessHandle::~ProcessHandle() { ::close(fd_); }

int ProcessHandle::signal(int number) const {
    if (::syscall(SYS_pidfd_send_signal, fd_, number, nullptr, 0) == 0 || errno == ESRCH) return 0;
    return errno;
}

bool serves_present_home(const DovecotProcess& process, const HomeChange& change) {
    if (change.present.empty() || process.title.starts_with("dovecot/lmtp")) return false;
    std::error_code error;
    const std::string present = fs::canonical(change.present, error).native();
    if (error) return false;
    const fs::path stands =
        fs::read_symlink("/proc/" + std::to_string(process.pid) + "/cwd", error);
    if (error || stands.native() != present) return false;
    const std::string former = fs::weakly_canonical(change.former, error).native();
    return !error && !inside(process.pid, former);
}

namespace {

/// What of a process may belong to one account.
struct Wanted {
    pid_t master;
    std::string_view address;
    std::string_view home;
    std::vector<AnvilSession> counted;

    [[nodiscard]] bool is_counted(pid_t pid) const {
        return std::ranges::any_of(counted, [&](const AnvilSession& session) {
            return session.pid == pid && session.user == address;
        });
    }
    /// Whether it shows by itself whose it is.
    [[nodiscard]] bool shows(pid_t pid) const {
        return title_names(title_of(pid), address) || inside(pid, home);
    }
};

}  // namespace

Result<std::vector<DovecotProcess>> account_processes(const fs::path& base_dir,
                                                      std::string_view address,
                                                      std::string_view home) {
    const auto master = master_of(base_dir);
    if (!master || !status_of(*master)) return std::vector<DovecotProcess>();
    auto counted = anvil_sessions(base_dir);
    if (!counted) return std::unexpected(counted.error());
    Wanted wanted{*master, address, home, std::move(*counted)};
    std::vector<DovecotProcess> found;
    for (const pid_t pid : children_of(*master)) {
        if (!wanted.is_counted(pid) && !wanted.shows(pid)) continue;
        // Its number may be another's by now: held first, looked at once more then.
        auto handle = ProcessHandle::open(pid);
        if (!handle && errno != ESRCH) {
            return fail(ErrorKind::Unavailable, "process " + std::to_string(pid) +
                                                    " cannot be held: " + std::strerror(errno));
        }
        const auto status = status_of(pid);
        if (!handle || !status || status->parent != *master) continue;
        if (!wanted.shows(pid) && !wanted.is_counted(pid)) continue;
        const bool stopped = status->state == 'T' || status->state == 't';
        found.push_back({pid, title_of(pid), stopped, std::move(handle)});
    }
    return found;
}

}  // namespace muster::backend
