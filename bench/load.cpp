// Drives IMAP clients at one address and says, as one line of JSON, what came of it.
//
//   load logins --target A:P --count N                   N logins, each connect … LOGOUT
//   load fetch  --target A:P --count N --mebibytes M     N fetches of M MiB, one login each
//   load hold   --target A:P --count N --first F         N sessions, logged in and silent: first F,
//                                                        the others after a line on standard input;
//                                                        held until standard input ends
// and for each: --concurrency C (threads, one client at a time in each), --tls 1, --users U
// (user0@DOMAIN to userU-1), --domain DOMAIN, --sources S (loopback addresses to connect from).

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "load_client.h"
#include "options.h"

namespace muster::bench {
namespace {

/// Counts what the client threads did.
struct Outcome {
    std::atomic<int> done = 0;
    std::atomic<int> failed = 0;
    std::mutex lock;
    std::string first_failure;

    void failure(const std::string& why) {
        const std::lock_guard guard(lock);
        if (failed++ == 0) first_failure = why;
    }
};

/// Runs `story(number)` for 0 … count-1 on `threads` threads; a story that throws has failed.
double run_all(int count, int threads, Outcome& outcome,
               const std::function<void(std::uint32_t)>& story) {
    std::atomic<int> next = 0;
    const auto work = [&] {
        for (int number = next++; number < count; number = next++) {
            try {
                story(static_cast<std::uint32_t>(number));
                ++outcome.done;
            } catch (const std::runtime_error& error) {
                outcome.failure(error.what());
            }
        }
    };
    const auto start = std::chrono::steady_clock::now();
    {
        std::vector<std::jthread> pool;
        for (int i = 0; i < threads; ++i) pool.emplace_back(work);
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void print(const Outcome& outcome, double seconds) {
    std::string why;
    for (const char c : outcome.first_failure) why += (c < ' ' || c == '"' || c == '\\') ? ' ' : c;
    std::printf("{\"done\": %d, \"failed\": %d, \"seconds\": %.4f, \"first_failure\": \"%s\"}\n",
                outcome.done.load(), outcome.failed.load(), seconds, why.c_str());
    std::fflush(stdout);
}

/// Sessions whose connection the other side has ended.
int count_ended(const std::vector<std::unique_ptr<LoadClient>>& sessions) {
    int ended = 0;
    for (const auto& session : sessions) {
        pollfd state{.fd = session ? session->descriptor() : -1, .events = POLLRDHUP, .revents = 0};
        if (session && poll(&state, 1, 0) > 0) ++ended;
    }
    return ended;
}

/// Opens `first` sessions, says so, waits for a line, opens the others, says so, and waits for the
/// end of standard input. Memory is read at both stops, with the same processes running.
void hold(int first, int count, int threads, const LoadTarget& target, Outcome& outcome) {
    std::vector<std::unique_ptr<LoadClient>> sessions(static_cast<std::size_t>(count));
    const auto open = [&](int from, int to) {
        const double seconds = run_all(to - from, threads, outcome, [&](std::uint32_t offset) {
            const std::uint32_t number = static_cast<std::uint32_t>(from) + offset;
            auto client = std::make_unique<LoadClient>(target, number);
            client->log_in();
            sessions[number] = std::move(client);
        });
        print(outcome, seconds);
    };
    char byte;
    open(0, first);
    while (read(STDIN_FILENO, &byte, 1) > 0 && byte != '\n') continue;
    open(first, count);
    while (read(STDIN_FILENO, &byte, 1) > 0) continue;
    outcome.failed += count_ended(sessions);
}

}  // namespace
}  // namespace muster::bench

int main(int argc, char** argv) {
    using namespace muster::bench;
    std::signal(SIGPIPE, SIG_IGN);
    const std::string verb = argc > 1 ? argv[1] : "";
    const Options options(argc, argv, 2);
    const TlsContext context = client_context();
    const LoadTarget target{.address = parse_endpoint(options.text("target")),
                            .tls = options.number("tls", 0) != 0 ? context.get() : nullptr,
                            .users = options.number("users", 100),
                            .domain = options.has("domain") ? options.text("domain") : "bench.test",
                            .sources = options.number("sources", 50)};
    const int count = options.number("count", 1);
    const int threads = options.number("concurrency", 16);
    const int mebibytes = options.number("mebibytes", 64);
    Outcome outcome;
    if (verb == "hold") {
        hold(std::min(options.number("first", 100), count), count, threads, target, outcome);
        return outcome.failed == 0 ? 0 : 1;
    }
    const double seconds = run_all(count, threads, outcome, [&](std::uint32_t number) {
        LoadClient client(target, number);
        client.log_in();
        if (verb == "fetch") client.fetch(mebibytes);
        client.log_out();
    });
    print(outcome, seconds);
    return outcome.failed == 0 ? 0 : 1;
}
