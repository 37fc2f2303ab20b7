// The queue by itself: commits a second and their cost, and how long a full queue takes to load.
//
//   queue_bench commit FOLDER IN_FLIGHT SECONDS [BYTES]   store, then remove, messages
//   queue_bench fill FOLDER COUNT [BYTES]                 leave COUNT messages in the queue
//   queue_bench load FOLDER                               open it, commit one, wait until it is
//   loaded
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>

#include "queue/spool.h"

namespace {

using namespace muster;
using namespace muster::queue;
using Clock = std::chrono::steady_clock;

double cpu_seconds() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

std::unique_ptr<Spool> open_spool(const char* folder) {
    SpoolSettings settings;
    settings.folder = folder;
    settings.owner = {.node = NodeName("bench"), .generation = 1, .instance = "bench"};
    auto spool = Spool::open(std::move(settings));
    if (spool) return std::move(*spool);
    std::fprintf(stderr, "%s\n", spool.error().detail.c_str());
    std::exit(1);
}

std::string text_of(std::size_t bytes) {
    std::string text = "From: a@example.org\r\nSubject: bench\r\n\r\n";
    while (text.size() < bytes) text += "The quick brown fox jumps over the lazy dog.\r\n";
    text.resize(bytes);
    return text;
}

Envelope envelope_number(std::uint64_t number) {
    Envelope envelope;
    envelope.sender = "sender" + std::to_string(number % 1000) + "@example.org";
    envelope.recipients = {{.address = "user" + std::to_string(number) + "@domain" +
                                       std::to_string(number % 500) + ".example.net"}};
    envelope.client_address = "192.0.2.1";
    envelope.client_name = "client.example.org";
    envelope.helo = "client.example.org";
    envelope.session = SessionId("session-" + std::to_string(number));
    envelope.route_class = "mx";
    return envelope;
}

struct Work {
    std::string text;
    bool remove = false;
    std::uint64_t most = 0;
    Clock::time_point end = Clock::time_point::max();
    std::uint64_t count = 0;
    std::uint64_t failed = 0;
};

/// A session: one message after the other.
Task<void> commit_again(Spool& spool, net::Loop& loop, Work& work) {
    while (work.count < work.most && Clock::now() < work.end) {
        Envelope envelope = envelope_number(work.count++);
        auto content = Content::of(work.text);
        const auto id =
            co_await spool.commit_on(loop, std::move(envelope), std::move(content), After::Taken);
        if (!id) ++work.failed;
        if (id && work.remove) spool.remove(*id);
    }
}

std::uint64_t commits(Spool& spool, std::uint64_t in_flight, Work work) {
    net::Loop loop;
    loop.post([&] {
        for (std::uint64_t i = 0; i < in_flight; ++i) {
            loop.tasks().spawn(commit_again(spool, loop, work));
        }
        loop.stop_when_idle();
    });
    loop.run();
    if (work.failed > 0) std::fprintf(stderr, "%lu failed\n", work.failed);
    return work.count;
}

int bench_commit(Spool& spool, std::uint64_t in_flight, int seconds, std::size_t bytes) {
    const double cpu = cpu_seconds();
    const auto start = Clock::now();
    const std::uint64_t count = commits(spool, in_flight,
                                        {.text = text_of(bytes),
                                         .remove = true,
                                         .most = ~std::uint64_t{0},
                                         .end = start + std::chrono::seconds(seconds)});
    spool.flush_writes();
    const double time = since(start);
    const double rate = static_cast<double>(count) / time;
    const Spool::Figures figures = spool.figures();
    std::printf(
        "in flight %lu: %.0f/s, %.4f CPU s per 1000, %.1f messages a sync, %.2f ms a sync\n",
        in_flight, rate, (cpu_seconds() - cpu) * 1000 / static_cast<double>(count),
        static_cast<double>(figures.commits) / static_cast<double>(figures.syncs),
        std::chrono::duration<double, std::milli>(figures.sync_time).count() /
            static_cast<double>(figures.syncs));
    return 0;
}

std::uint64_t resident_kib() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with("VmRSS:")) return std::strtoull(line.c_str() + 6, nullptr, 10);
    }
    return 0;
}

int bench_load(const char* folder) {
    const std::uint64_t before = resident_kib();
    const auto start = Clock::now();
    const auto spool = open_spool(folder);
    std::printf("open after %.3f s\n", since(start));
    commits(*spool, 1, {.text = text_of(4096), .remove = true, .most = 1});
    std::printf("first commit after %.3f s\n", since(start));
    while (spool->schedule().due(now(), 1).empty() && !spool->loading().done) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    std::printf("first old message due after %.3f s\n", since(start));
    spool->wait_loaded();
    const LoadProgress progress = spool->loading();
    std::printf("%lu messages after %.2f s, %.1f CPU s, %lu MiB\n", progress.loaded, since(start),
                cpu_seconds(), (resident_kib() - before) / 1024);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const auto number = [&](int place, std::uint64_t otherwise) {
        return argc > place ? std::strtoull(argv[place], nullptr, 10) : otherwise;
    };
    if (argc < 3) return 2;
    const std::string what = argv[1];
    if (what == "load") return bench_load(argv[2]);
    const auto spool = open_spool(argv[2]);
    if (what == "commit") {
        return bench_commit(*spool, number(3, 50), static_cast<int>(number(4, 5)), number(5, 4096));
    }
    const auto start = Clock::now();
    const std::uint64_t wanted = number(3, 1000);
    commits(*spool, 500, {.text = text_of(number(4, 4096)), .most = wanted});
    std::printf("%lu messages in %.1f s\n", wanted, since(start));
    return 0;
}
