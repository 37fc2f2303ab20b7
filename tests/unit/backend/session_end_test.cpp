#include "backend/session_end.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <fstream>

#include "backend/dovecot_processes.h"
#include "unit/state/temporary_folder.h"

namespace muster::backend {
namespace {

using std::chrono::milliseconds;

DovecotProcess process(pid_t pid, bool stopped = false) { return {pid, "dovecot/imap", stopped}; }

class NextStep : public testing::Test {
protected:
    EndStep look(milliseconds at, const std::vector<DovecotProcess>& found) {
        return next_step(found, state, start + at, settings);
    }
    const net::Clock::time_point start = net::Clock::now();
    EndState state{start, start};
    SessionEndSettings settings{
        .base_dir = {}, .grace = milliseconds(3000), .settle = milliseconds(1000)};
};

TEST_F(NextStep, AsksFirstAndKillsAfterTheGrace) {
    EXPECT_EQ(look(milliseconds(0), {process(7)}).terminate, std::vector<pid_t>{7});
    const auto waiting = look(milliseconds(2900), {process(7)});
    EXPECT_TRUE(waiting.terminate.empty() && waiting.kill.empty());
    EXPECT_EQ(look(milliseconds(3000), {process(7)}).kill, std::vector<pid_t>{7});
}

TEST_F(NextStep, KillsAStoppedProcessAtOnce) {
    const auto step = look(milliseconds(0), {process(7, true), process(8)});
    EXPECT_EQ(step.kill, std::vector<pid_t>{7});
    EXPECT_EQ(step.terminate, std::vector<pid_t>{8});
}

TEST_F(NextStep, IsOverWhenNothingWasSeenForAWhile) {
    EXPECT_FALSE(look(milliseconds(0), {}).over);
    EXPECT_FALSE(look(milliseconds(999), {process(7)}).over);
    EXPECT_FALSE(look(milliseconds(1500), {}).over);
    EXPECT_TRUE(look(milliseconds(1999), {}).over);
}

TEST_F(NextStep, KillsOnceAndGivesUpAtTheDeadline) {
    look(milliseconds(0), {process(7)});
    EXPECT_EQ(look(milliseconds(3000), {process(7)}).kill, std::vector<pid_t>{7});
    for (const int at : {3250, 10'000, 14'999}) {
        const auto step = look(milliseconds(at), {process(7)});
        EXPECT_TRUE(step.kill.empty() && step.stuck.empty()) << at;
    }
    EXPECT_EQ(look(milliseconds(15'000), {process(7)}).stuck, std::vector<pid_t>{7});
}

TEST(ProcessHandle, ReachesOneProcessAndNobodyElse) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::pause();
        ::_exit(0);
    }
    const auto handle = ProcessHandle::open(child);
    ASSERT_TRUE(handle);
    EXPECT_EQ(handle->signal(SIGTERM), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(handle->signal(SIGTERM), 0);  // gone; whoever has the number now is safe
    EXPECT_FALSE(ProcessHandle::open(child));
}

TEST(DovecotProcesses, HomesBelowTheMailRoot) {
    EXPECT_EQ(home_in("/mail/ka/kate1/0/mail/x", "/mail"), "/mail/ka/kate1/0");
    EXPECT_EQ(home_in("/mail/ka/kate1/0", "/mail"), "/mail/ka/kate1/0");
    for (const char* other : {"/mail", "/mail/ka", "/mail/ka/kate1", "/mails/ka/kate1/0",
                              "/mail//kate1/0", "/home/kate", ""})
        EXPECT_EQ(home_in(other, "/mail"), "") << other;
    EXPECT_EQ(home_in("/a/b/c", ""), "");
}

TEST(DovecotProcesses, WhoServesThePresentHomeIsNoneOfTheFormer) {
    const state::TemporaryFolder folder;
    const HomeChange change{.former = folder.file("0").native(), .present = folder.file("1")};
    for (const auto& home : {change.former, change.present}) {
        std::filesystem::create_directory(home);
        std::ofstream(home + "/log") << "x";
    }
    const auto serves = [&change](const std::string& stands, const std::string& open,
                                  const char* title = "dovecot/imap [ada@domain1.dom]") {
        std::array<int, 2> ready{};
        EXPECT_EQ(::pipe(ready.data()), 0);
        const pid_t child = ::fork();
        if (child == 0) {
            const bool done =
                ::chdir(stands.c_str()) == 0 && ::open(open.c_str(), O_RDONLY | O_CLOEXEC) >= 0;
            if (::write(ready[1], done ? "y" : "n", 1) == 1) ::pause();
            ::_exit(1);
        }
        char said = 0;
        EXPECT_EQ(::read(ready[0], &said, 1), 1);
        EXPECT_EQ(said, 'y');
        const bool result = serves_present_home({child, title}, change);
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
        ::close(ready[0]);
        ::close(ready[1]);
        return result;
    };
    const std::string old_log = change.former + "/log";
    const std::string new_log = change.present + "/log";
    EXPECT_TRUE(serves(change.present, new_log));
    EXPECT_FALSE(serves(change.former, old_log));
    EXPECT_FALSE(serves(change.present, old_log));
    EXPECT_FALSE(serves("/", new_log));
    EXPECT_FALSE(serves(change.present, new_log, "dovecot/lmtp [ada@domain1.dom]"));
    EXPECT_FALSE(serves_present_home({::getpid(), "dovecot/imap"}, {}));
}

TEST(DovecotProcesses, AnvilDump) {
    EXPECT_EQ(parse_anvil_dump("imap/203.0.113.7/ada@d\t14950\t1\nlmtp/ada@d\t14955\t1\n"
                               "sieve/2001:db8::1/a/b@d\t7\t1\nrubbish\nx\ty\tz\n\n"),
              (std::vector<AnvilSession>{
                  {"imap", "ada@d", 14950}, {"lmtp", "ada@d", 14955}, {"sieve", "a/b@d", 7}}));
}

TEST(DovecotProcesses, Titles) {
    EXPECT_TRUE(title_names("dovecot/imap [ada@d 203.0.113.7 IDLE]", "ada@d"));
    EXPECT_TRUE(title_names("dovecot/pop3 [ada@d]", "ada@d"));
    EXPECT_FALSE(title_names("dovecot/imap [ada@d.org 203.0.113.7]", "ada@d"));
    EXPECT_FALSE(title_names("dovecot/imap [xada@d 203.0.113.7]", "ada@d"));
    EXPECT_FALSE(title_names("dovecot/imap-login", "ada@d"));
    EXPECT_FALSE(title_names("vi [ada@d x]", "ada@d"));
}

}  // namespace
}  // namespace muster::backend
