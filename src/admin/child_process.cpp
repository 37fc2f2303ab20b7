#include "admin/child_process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <thread>

#include "base/proc_file.h"

namespace muster::admin {
namespace {

constexpr std::chrono::milliseconds kLook{20};

[[noreturn]] void become(const ChildCommand& command, pid_t parent) {
    setsid();
    if (command.dies_with_parent) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent) _exit(127);  // it died before we asked
    }
    std::signal(SIGPIPE, SIG_DFL);
    std::signal(SIGXFSZ, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, nullptr);
    const int log = open(command.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(nothing, STDIN_FILENO);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    std::vector<char*> arguments;
    for (const std::string& argument : command.arguments) {
        arguments.push_back(const_cast<char*>(argument.c_str()));
    }
    arguments.push_back(nullptr);
    execvp(arguments.front(), arguments.data());
    dprintf(STDERR_FILENO, "cannot start %s: %s\n", arguments.front(), std::strerror(errno));
    _exit(127);
}

std::string proc_file(pid_t pid, const char* name) {
    return read_proc_file("/proc/" + std::to_string(pid) + "/" + name);
}

}  // namespace

Result<pid_t> start_child(const ChildCommand& command) {
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid < 0) {
        return fail(ErrorKind::Io, "cannot start " + command.name + ": " + std::strerror(errno));
    }
    if (pid == 0) become(command, parent);
    return pid;
}

bool is_running(pid_t pid, const std::string& mark) {
    if (pid <= 0) return false;
    // A child of ours needs no mark: until it has become its program it bears our command line.
    const pid_t ended = waitpid(pid, nullptr, WNOHANG);
    if (ended >= 0) return ended == 0;
    const std::string stat = proc_file(pid, "stat");
    const std::size_t name_end = stat.rfind(") ");
    if (name_end == std::string::npos || stat.compare(name_end, 3, ") Z") == 0) return false;
    return proc_file(pid, "cmdline").find(mark) != std::string::npos;
}

void end_processes(const std::vector<pid_t>& pids, const std::string& mark,
                   std::chrono::milliseconds patience) {
    auto left = pids;
    std::erase_if(left, [&](pid_t pid) { return !is_running(pid, mark); });
    for (const pid_t pid : left) kill(pid, SIGTERM);
    const auto until = std::chrono::steady_clock::now() + patience;
    while (!left.empty()) {
        if (std::chrono::steady_clock::now() >= until) {
            for (const pid_t pid : left) kill(pid, SIGKILL);
        }
        std::this_thread::sleep_for(kLook);
        std::erase_if(left, [&](pid_t pid) { return !is_running(pid, mark); });
    }
}

}  // namespace muster::admin
