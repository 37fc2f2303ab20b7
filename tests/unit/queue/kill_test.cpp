// A process that is killed at any moment, and a disk that is full: what was answered is there,
// whole.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <future>
#include <map>

#include "base/log.h"
#include "queue/spool.h"
#include "unit/queue/folder.h"

namespace muster::queue {
namespace {

SpoolSettings settings(const std::string& folder) {
    SpoolSettings settings;
    settings.folder = folder;
    settings.owner = {.node = NodeName("mx1"), .generation = 1, .instance = "i"};
    settings.reserve = 0;
    settings.body_memory = 4000;
    return settings;
}

std::string text_number(std::uint32_t number) {
    std::string text = "Subject: " + std::to_string(number) + "\r\n\r\n";
    const std::size_t length = number % 10 == 0 ? 9000 : 100 + number * 37 % 3000;
    while (text.size() < length) text += std::to_string(number) + "\r\n";
    return text;
}

std::string text_of(const std::shared_ptr<const Content>& content) {
    BodyReader reader(content);
    std::string text;
    for (;;) {
        const auto chunk = reader.next();
        EXPECT_TRUE(chunk);
        if (!chunk || chunk->empty()) return text;
        text += *chunk;
    }
}

/// What the killed process told before its end.
struct Told {
    enum class What : std::uint32_t { Stored, Removing };
    What what;
    std::uint32_t number;
    char id[kQueueIdLength];
};

void tell(int pipe, Told::What what, std::uint32_t number, const QueueId& id) {
    Told told{what, number, {}};
    id.text.copy(told.id, sizeof told.id);
    if (::write(pipe, &told, sizeof told) != sizeof told) ::_exit(1);
}

/// Stores messages for ever, and removes two of three, until it is killed.
[[noreturn]] void store_until_killed(const std::string& folder, int pipe, std::uint32_t number) {
    log::configure(log::Level::Off, log::Format::Logfmt, "test");
    auto spool = Spool::open(settings(folder));
    if (!spool) ::_exit(1);
    for (std::vector<std::future<void>> answers;; answers.clear()) {
        for (int i = 0; i < 8; ++i, ++number) {
            auto promise = std::make_shared<std::promise<void>>();
            answers.push_back(promise->get_future());
            Body body = (*spool)->new_body();
            if (!body.append(text_number(number))) ::_exit(1);
            Envelope envelope;
            envelope.envid = std::to_string(number);
            envelope.recipients = {{.address = "a@example.net"}};
            (*spool)->commit(envelope, *body.finish(), After::Taken,
                             [&spool = **spool, pipe, number, promise](Result<QueueId> id) {
                                 if (!id) ::_exit(1);
                                 tell(pipe, Told::What::Stored, number, *id);
                                 if (number % 3 != 0) {
                                     tell(pipe, Told::What::Removing, number, *id);
                                     spool.remove(*id);
                                 }
                                 promise->set_value();
                             });
        }
        for (auto& each : answers) each.wait();
    }
}

TEST(Killed, WhatWasAnsweredIsThereWhole) {
    const TestFolder folder;
    std::map<QueueId, std::uint32_t> stored;
    std::uint32_t first = 1;
    log::configure(log::Level::Off, log::Format::Logfmt, "test");
    for (const int kill_after : {1, 10, 50, 120, 300, 301, 302}) {
        int ends[2];
        ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
        const pid_t child = ::fork();
        if (child == 0) store_until_killed(folder / "spool", ends[1], first);
        ::close(ends[1]);
        Told told{};
        for (int count = 0; ::read(ends[0], &told, sizeof told) == sizeof told; ++count) {
            const QueueId id(std::string_view(told.id, sizeof told.id));
            if (told.what == Told::What::Stored) {
                stored.emplace(id, told.number);
            } else {
                stored.erase(id);
            }
            if (count == kill_after) ::kill(child, SIGKILL);
        }
        ::close(ends[0]);
        int status = 0;
        ::waitpid(child, &status, 0);
        ASSERT_TRUE(WIFSIGNALED(status));
        first += 100'000;
        auto spool = Spool::open(settings(folder / "spool"));
        ASSERT_TRUE(spool);
        (*spool)->wait_loaded();
        for (const auto& [id, number] : stored) {
            const auto message = (*spool)->read(id);
            ASSERT_TRUE(message) << id.text << ": " << message.error().detail;
            EXPECT_EQ(message->envelope.envid, std::to_string(number));
            EXPECT_EQ(text_of(message->content), text_number(number));
        }
        // Nothing else but messages that were whole and not answered, or not yet removed.
        for (const QueueId& id : (*spool)->schedule().due(now() + std::chrono::hours(1), 10'000)) {
            const auto message = (*spool)->read(id);
            ASSERT_TRUE(message) << message.error().detail;
            const auto number = static_cast<std::uint32_t>(std::stoul(message->envelope.envid));
            EXPECT_EQ(text_of(message->content), text_number(number));
        }
        EXPECT_EQ(files_below((*spool)->folder() + "/incoming"), 0u);
        EXPECT_EQ(files_below((*spool)->folder() + "/spare"), 0u);
    }
}

/// Files of this process cannot grow past `bytes`, as on a full disk.
class FullDisk {
public:
    explicit FullDisk(rlim_t bytes) {
        ::signal(SIGXFSZ, SIG_IGN);
        ::getrlimit(RLIMIT_FSIZE, &before_);
        const rlimit now{bytes, before_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &now);
    }
    FullDisk(const FullDisk&) = delete;
    FullDisk& operator=(const FullDisk&) = delete;
    ~FullDisk() { ::setrlimit(RLIMIT_FSIZE, &before_); }

private:
    rlimit before_{};
};

Result<QueueId> commit(Spool& spool, const std::shared_ptr<const Content>& content) {
    Envelope envelope;
    envelope.recipients = {{.address = "a@example.net"}};
    std::promise<Result<QueueId>> promise;
    spool.commit(envelope, content, After::Taken,
                 [&](Result<QueueId> id) { promise.set_value(std::move(id)); });
    return promise.get_future().get();
}

TEST(FullDisk, RefusesAndLeavesNothing) {
    const TestFolder folder;
    log::configure(log::Level::Off, log::Format::Logfmt, "test");
    auto opened = Spool::open(settings(folder / "spool"));
    ASSERT_TRUE(opened);
    Spool& spool = **opened;
    const QueueId kept = *commit(spool, Content::of("kept"));
    const QueueId done = *commit(spool, Content::of("its file is written over"));
    spool.remove(done);
    spool.flush_writes();
    Body body = spool.new_body();
    ASSERT_TRUE(body.append(std::string(70'000, 'x')));
    const auto spilled = body.finish();
    ASSERT_TRUE(spilled);
    {
        const FullDisk full(2000);
        for (int i = 0; i < 2; ++i) {  // over a spare file, and a new one
            const auto refused = commit(spool, Content::of(std::string(3000, 'x')));
            ASSERT_FALSE(refused);
            EXPECT_EQ(refused.error().kind, ErrorKind::Limit);
        }
        EXPECT_EQ(commit(spool, *spilled).error().kind, ErrorKind::Limit);
        Body late = spool.new_body();
        EXPECT_EQ(late.append(std::string(70'000, 'x')).error().kind, ErrorKind::Limit);
    }
    EXPECT_EQ(files_below(spool.folder() + "/active"), 1u);
    EXPECT_EQ(files_below(spool.folder() + "/incoming"), 0u);
    EXPECT_EQ(spool.schedule().counts().messages, 1u);
    // A result that has no room leaves no half of a line.
    const std::string path =
        spool.folder() + "/active/" + kept.text.substr(0, kBucketLength) + "/" + kept.text;
    const std::string before = file_text(path);
    {
        const FullDisk full(before.size() + 10);
        spool.record(kept, {{.recipient = 0, .outcome = Outcome::Delivered}});
        spool.flush_writes();
    }
    EXPECT_EQ(file_text(path), before);
    EXPECT_TRUE(commit(spool, Content::of("there is room again")));
}

}  // namespace
}  // namespace muster::queue
