// What outsiders, other nodes and full disks may do to the administration.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>

#include "admin/attempt_limit.h"
#include "admin/audit_log.h"
#include "admin/folder_lock.h"
#include "admin/one_at_a_time.h"
#include "admin/peer_answers.h"
#include "admin/peer_verifier.h"
#include "net/blocking_pool.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

IpAddress ip(std::string_view text) { return *IpAddress::parse(text); }

class Folder {
public:
    Folder() {
        std::string name = "/tmp/muster-hardening-XXXXXX";
        path = ::mkdtemp(name.data());
    }
    ~Folder() { std::filesystem::remove_all(path); }
    std::string path;
};

TEST(OutsideJson, NestedTooDeeplyIsNone) {
    const std::string deep = R"({"x":)" + std::string(100'000, '[');
    EXPECT_TRUE(state::parse_json(deep).is_discarded());
    EXPECT_TRUE(state::parse_json(deep + std::string(100'000, ']') + "}").is_discarded());
    const std::string brackets = R"({"x":"\")" + std::string(1'000, '[') + R"("})";
    EXPECT_FALSE(state::parse_json(brackets).is_discarded());
    const auto nested = [](std::size_t levels) {
        return std::string(levels, '[') + std::string(levels, ']');
    };
    EXPECT_FALSE(state::parse_json(nested(state::kMaxJsonDepth)).is_discarded());
    EXPECT_TRUE(state::parse_json(nested(state::kMaxJsonDepth + 1)).is_discarded());
}

TEST(OutsideJson, AnyBytesCanBeWritten) {
    EXPECT_EQ(state::json_line(json{{"data", "a\xff"}}), "{\"data\":\"a\xef\xbf\xbd\"}");
}

TEST(AttemptLimit, CountsAnAttemptWhenItBegins) {
    AttemptLimit limit(2, 5min);
    const AttemptLimit::Clock::time_point now{};
    EXPECT_TRUE(limit.begin(ip("192.0.2.1"), now));
    EXPECT_TRUE(limit.begin(ip("192.0.2.1"), now));
    EXPECT_FALSE(limit.begin(ip("192.0.2.1"), now));
    EXPECT_TRUE(limit.begin(ip("192.0.2.2"), now));
    limit.forgive(ip("192.0.2.1"));
    EXPECT_TRUE(limit.begin(ip("192.0.2.1"), now));
    EXPECT_FALSE(limit.begin(ip("192.0.2.1"), now + 5min));
    EXPECT_TRUE(limit.begin(ip("192.0.2.1"), now + 5min + 1s));
}

TEST(AttemptLimit, TakesAnIpv6NetworkForOneAddress) {
    AttemptLimit limit(1, 5min);
    const AttemptLimit::Clock::time_point now{};
    EXPECT_TRUE(limit.begin(ip("2001:db8::1"), now));
    EXPECT_FALSE(limit.begin(ip("2001:db8::2:3:4:5"), now));
    EXPECT_TRUE(limit.begin(ip("2001:db8:0:1::1"), now));
}

TEST(AttemptLimit, CountsByNameToo) {
    AttemptLimit limit(1, 5min);
    EXPECT_TRUE(limit.begin("fe1"));
    EXPECT_FALSE(limit.begin("fe1"));
    EXPECT_TRUE(limit.begin("fe2"));
    limit.forgive("fe1");
    EXPECT_TRUE(limit.begin("fe1"));
}

TEST(AttemptLimit, OfTooManyNoneIsForgottenThatReachedTheLimit) {
    AttemptLimit limit(2, 5min, 3);
    AttemptLimit::Clock::time_point now{};
    EXPECT_TRUE(limit.begin("guesser", now));
    EXPECT_TRUE(limit.begin("guesser", now));
    for (int i = 1; i <= 10; ++i) EXPECT_TRUE(limit.begin(std::to_string(i), now += 1s));
    EXPECT_TRUE(limit.reached("guesser", now));
    EXPECT_FALSE(limit.begin("guesser", now));
    EXPECT_TRUE(limit.begin("9", now));
    EXPECT_TRUE(limit.begin("10", now));
    EXPECT_FALSE(limit.begin("11", now)) << "all have reached it";
    EXPECT_FALSE(limit.reached("11", now));
    now += 5min + 1s;
    EXPECT_TRUE(limit.begin("11", now)) << "their windows are over";
    EXPECT_FALSE(limit.reached("guesser", now));
}

TEST(PeerAnswers, NonsenseIsToldFromSense) {
    EXPECT_TRUE(tells_kicked({{"kicked", 3U}}));
    for (const char* text : {R"({"kicked":"x"})", R"({"kicked":-1})", R"({"kicked":1e300})", "[]",
                             "{}", "null", R"({"kicked":99999999999999})"}) {
        EXPECT_FALSE(tells_kicked(json::parse(text))) << text;
    }
    const char* const status =
        R"({"name":"fe1","reachable":true,"roles":["frontend"],
        "replica":{"phase":"following"},"alarms":[{"about":"a","text":"b","severe":true}],
        "servers":[{"name":"sv1","state":"up","observed":{"imap":"up"}}],"of_tomorrow":[1]})";
    EXPECT_TRUE(tells_status(json::parse(status)));
    for (const char* text :
         {R"({"name":5,"reachable":true})", R"({"name":"a","reachable":"yes"})", "7",
          R"({"name":"a","reachable":true,"alarms":{}})",
          R"({"name":"a","reachable":true,"alarms":[7]})",
          R"({"name":"a","reachable":true,"uptime":"long"})",
          R"({"name":"a","reachable":true,"replica":[]})",
          R"({"name":"a","reachable":true,"servers":[{"name":1}]})",
          R"({"name":"a","reachable":true,"seen":{"b":{"time":"x","connected":true}}})",
          R"({"name":"a","reachable":true,"servers":[{"name":"s","observed":{"imap":[]}}]})"}) {
        EXPECT_FALSE(tells_status(json::parse(text))) << text;
    }
    EXPECT_TRUE(tells_sessions(json::parse(R"({"sessions":[]})")));
    EXPECT_FALSE(tells_sessions(json::parse(R"({"sessions":[7]})")));
    EXPECT_FALSE(tells_sessions(json::parse(R"({"sessions":{"a":1}})")));
    EXPECT_FALSE(tells_proofs(json::parse(R"({"proofs":[{"service":1}]})")));
}

TEST(PeerVerifier, RefusesAnAnswerOfAnyBytes) {
    NodeContext node;
    PeerVerifier verifier(node);
    for (const char* answer : {"\xff", "a\xc3", "="}) {
        const auto step = verifier.answer({}, "be1/exchange", answer);
        ASSERT_FALSE(step) << answer;
        EXPECT_EQ(step.error().kind, ErrorKind::Syntax) << answer;
    }
}

TEST(OneAtATime, GivesOneTurnAName) {
    OneAtATime checks;
    auto first = checks.begin("sv1");
    ASSERT_TRUE(first);
    EXPECT_FALSE(checks.begin("sv1"));
    EXPECT_TRUE(checks.begin("sv2"));
    first.reset();
    EXPECT_TRUE(checks.begin("sv1"));
}

TEST(FolderLock, IsHeldByOne) {
    const Folder folder;
    {
        const auto held = FolderLock::take(folder.path);
        ASSERT_TRUE(held);
        EXPECT_EQ(FolderLock::take(folder.path).error().kind, ErrorKind::Conflict);
    }
    EXPECT_TRUE(FolderLock::take(folder.path));
}

TEST(BlockingPool, SaysWhenItIsFullAndFinishesWhatItHas) {
    net::BlockingPool pool(1, 2);
    std::promise<void> begun;
    std::promise<void> go_on;
    std::atomic<int> done = 0;
    pool.submit([&] {
        begun.set_value();
        go_on.get_future().wait();
        ++done;
    });
    begun.get_future().wait();
    EXPECT_FALSE(pool.full());
    pool.submit([&] { ++done; });
    EXPECT_FALSE(pool.full());
    pool.submit([&] { ++done; });
    EXPECT_TRUE(pool.full());
    go_on.set_value();
    pool.close();
    EXPECT_EQ(done, 3);
    pool.submit([&] { ++done; });
    EXPECT_EQ(done, 4);
}

/// A limit on the size of files is a full disk, to a writer.
TEST(AuditLog, ShortWriteLeavesNoHalfLine) {
    const Folder folder;
    const std::string path = folder.path + "/audit.log";
    auto log = AuditLog::open(path);
    ASSERT_TRUE(log);
    ASSERT_TRUE((*log)->append({"unix:0", "socket", "first", "x"}));
    const auto size = std::filesystem::file_size(path);
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    getrlimit(RLIMIT_FSIZE, &before);
    const rlimit small{size + 20, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    EXPECT_FALSE((*log)->append({"unix:0", "socket", "second", "x"}));
    setrlimit(RLIMIT_FSIZE, &before);
    EXPECT_EQ(std::filesystem::file_size(path), size);
    ASSERT_TRUE((*log)->append({"unix:0", "socket", "third", "x"}));
    const auto records = (*log)->newest(10);
    ASSERT_TRUE(records);
    ASSERT_EQ(records->size(), 2U);
    EXPECT_EQ(records->back()["action"], "third");
}

TEST(AuditLog, GoesOnBehindATornLine) {
    const Folder folder;
    const std::string path = folder.path + "/audit.log";
    std::ofstream(path) << R"({"action":"torn)";
    auto log = AuditLog::open(path);
    ASSERT_TRUE(log);
    ASSERT_TRUE((*log)->append({"unix:0", "socket", "whole", "x"}));
    EXPECT_EQ((*log)->newest(10)->size(), 1U);
}

}  // namespace
}  // namespace muster::admin
