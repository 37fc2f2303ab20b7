#include "admin/prompt.h"

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>

namespace muster::admin {
namespace {

/// The terminal with its echo off, until destroyed.
class SilentTerminal {
public:
    SilentTerminal() : fd_(::open("/dev/tty", O_RDWR | O_CLOEXEC)) {
        if (fd_ < 0 || ::tcgetattr(fd_, &before_) != 0) return;
        termios silent = before_;
        silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        usable_ = ::tcsetattr(fd_, TCSAFLUSH, &silent) == 0;
    }
    ~SilentTerminal() {
        if (usable_) ::tcsetattr(fd_, TCSAFLUSH, &before_);
        if (fd_ >= 0) ::close(fd_);
    }
    SilentTerminal(const SilentTerminal&) = delete;
    SilentTerminal& operator=(const SilentTerminal&) = delete;
    [[nodiscard]] bool usable() const { return usable_; }
    void say(const std::string& text) const {
        if (::write(fd_, text.data(), text.size()) < 0) return;
    }
    [[nodiscard]] std::string line() const {
        std::string text;
        for (char c = 0; ::read(fd_, &c, 1) == 1 && c != '\n';) text += c;
        return text;
    }

private:
    int fd_;
    termios before_{};
    bool usable_ = false;
};

}  // namespace

Result<std::string> ask_password(const std::string& question) {
    const SilentTerminal terminal;
    if (!terminal.usable()) {
        return fail(ErrorKind::Refused, "no terminal to ask for a password: use --password-stdin");
    }
    terminal.say(question + ": ");
    std::string password = terminal.line();
    terminal.say("\n");
    if (password.empty()) return fail(ErrorKind::Refused, "no password was given");
    return password;
}

Result<std::string> ask_new_password(const std::string& question) {
    for (;;) {
        auto first = ask_password(question);
        if (!first) return first;
        const auto second = ask_password("The same again");
        if (!second) return second;
        if (*first == *second) return first;
        std::fputs("They differ; once more.\n", stderr);
    }
}

Result<std::string> password_from_stdin() {
    std::string line;
    if (!std::getline(std::cin, line) || line.empty()) {
        return fail(ErrorKind::Refused, "no password came on standard input");
    }
    if (line.ends_with('\r')) line.pop_back();
    return line;
}

Result<> confirm(const std::string& question) {
    if (::isatty(STDIN_FILENO) == 0) {
        return fail(ErrorKind::Refused, question + " Nobody can be asked here: use --yes");
    }
    std::fputs((question + " [yes/no] ").c_str(), stderr);
    std::string answer;
    std::getline(std::cin, answer);
    if (answer == "yes" || answer == "y") return {};
    return fail(ErrorKind::Refused, "nothing was done");
}

}  // namespace muster::admin
