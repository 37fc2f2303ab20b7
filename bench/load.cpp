// Drives IMAP clients at one address and says, as one line of JSON, what came of it.
//
//   load logins --target A:P --count N                   N logins, each connect … LOGOUT
//   load fetch  --target A:P --count N --mebibytes M     N fetches of M MiB, one login each
//   load hold   --target A:P --count N --first F         N sessions, logged in and silent: first F,
//                                                        the others after a line on standard input;
//                                                        held until standard input ends
// and for each: --concurrency C (clients at a time), --tls 1, --users U (user0@DOMAIN to userU-1),
// --domain DOMAIN, --sources S (loopback addresses to connect from).
//
// One thread: it shall never be what a proxy waits for, nor cost a proxy a wake-up a client.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "load_client.h"
#include "options.h"

namespace muster::bench {
namespace {

/// Runs clients, a few at a time, until `count` have come to their end.
class Load {
public:
    Load(const LoadTarget& target, int concurrency) : target_(target), concurrency_(concurrency) {}

    void run_until(int count);
    void print() const;
    /// Held sessions that the other side has ended.
    int lost() const;
    int failed() const { return failed_; }

private:
    void start_next();
    void ended(LoadClient& client, const std::string& failure);

    const LoadTarget& target_;
    int concurrency_;
    EventLoop loop_;
    std::vector<std::unique_ptr<LoadClient>> clients_;  // by number
    int started_ = 0;
    int wanted_ = 0;
    int done_ = 0;
    int failed_ = 0;
    double seconds_ = 0;
    std::string first_failure_;
    std::vector<std::uint32_t> over_;
};

void Load::run_until(int count) {
    const auto start = std::chrono::steady_clock::now();
    wanted_ = count;
    clients_.resize(static_cast<std::size_t>(count));
    for (int i = 0; i < concurrency_ && started_ < wanted_; ++i) start_next();
    while (done_ + failed_ < wanted_) loop_.turn();
    seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void Load::start_next() {
    const auto number = static_cast<std::uint32_t>(started_++);
    clients_[number] = std::make_unique<LoadClient>(
        loop_, target_, number, [this, number](LoadClient& client, const std::string& failure) {
            ended(client, failure);
            if (!target_.stays || !failure.empty()) loop_.retire(std::move(clients_[number]));
        });
}

void Load::ended(LoadClient&, const std::string& failure) {
    if (failure.empty()) {
        ++done_;
    } else if (failed_++ == 0) {
        first_failure_ = failure;
    }
    if (started_ < wanted_) start_next();
}

void Load::print() const {
    std::string why;
    for (const char c : first_failure_) why += (c < ' ' || c == '"' || c == '\\') ? ' ' : c;
    std::printf("{\"done\": %d, \"failed\": %d, \"seconds\": %.4f, \"first_failure\": \"%s\"}\n",
                done_, failed_, seconds_, why.c_str());
    std::fflush(stdout);
}

int Load::lost() const {
    return static_cast<int>(std::ranges::count_if(
        clients_, [](const auto& client) { return client && client->gone(); }));
}

int hold(Load& load, int first, int count) {
    char byte;
    load.run_until(first);
    load.print();
    while (read(STDIN_FILENO, &byte, 1) > 0 && byte != '\n') continue;
    load.run_until(count);
    load.print();
    while (read(STDIN_FILENO, &byte, 1) > 0) continue;
    return load.failed() + load.lost();
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
                            .sources = options.number("sources", 50),
                            .mebibytes = verb == "fetch" ? options.number("mebibytes", 64) : 0,
                            .stays = verb == "hold"};
    const int count = options.number("count", 1);
    Load load(target, options.number("concurrency", 16));
    if (verb == "hold") return hold(load, std::min(options.number("first", 100), count), count);
    load.run_until(count);
    load.print();
    return load.failed() == 0 ? 0 : 1;
}
