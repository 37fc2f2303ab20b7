// Drives SMTP clients at one address and says, as one line of JSON, what came of it.
//
//   mail_load messages --target A:P --count N   N messages of --size BYTES, --each M a connection
//   mail_load unknown  --target A:P --count N   N recipients that nobody is, --batch B in a packet,
//                                               --each M a connection
//   mail_load hold     --target A:P --count N --first F
//                                               N sessions, each with a message of --size BYTES but
//                                               for its final dot: first F, the others after a line
//                                               on standard input; held until that ends
// and for each: --concurrency C (clients at a time), --users U (user0@DOMAIN to userU-1), --domain
// DOMAIN, --sources S (loopback addresses to connect from), --rate R (at most so many messages or
// guesses a second; a client begins when its share is due).
//
// One thread: it shall never be what a server waits for, nor cost it a wake-up a client.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "mail_client.h"
#include "options.h"

namespace muster::bench {
namespace {

using Clock = std::chrono::steady_clock;

/// Runs clients, a few at a time, until `count` messages have come to their end.
class MailLoad {
public:
    MailLoad(const MailWork& work, std::uint32_t each, int concurrency, std::uint32_t rate)
        : work_(work), each_(each), concurrency_(concurrency), rate_(rate) {}

    void run_until(std::uint32_t count);
    void print() const;
    /// Held sessions that the other side has ended.
    [[nodiscard]] int lost() const;
    [[nodiscard]] std::uint32_t failed() const { return failed_; }

private:
    /// As many clients as there is room for, and as are due.
    void start_more();
    [[nodiscard]] bool due() const;
    void start_next();
    void ended(const MailClient& client, const std::string& failure);

    const MailWork& work_;
    const std::uint32_t each_;
    const int concurrency_;
    const std::uint32_t rate_;  // 0: as fast as they are answered
    int running_ = 0;
    EventLoop loop_;
    std::vector<std::unique_ptr<MailClient>> clients_;
    std::uint32_t started_ = 0;  // messages
    std::uint32_t wanted_ = 0;
    std::uint32_t done_ = 0;
    std::uint32_t failed_ = 0;
    Clock::time_point began_;
    double seconds_ = 0;
    std::string first_failure_;
};

void MailLoad::run_until(std::uint32_t count) {
    began_ = Clock::now();
    wanted_ = count;
    start_more();
    while (done_ + failed_ < wanted_) {
        loop_.turn(rate_ == 0 ? -1 : 1);
        start_more();
    }
    seconds_ += std::chrono::duration<double>(Clock::now() - began_).count();
}

void MailLoad::start_more() {
    while (running_ < concurrency_ && started_ < wanted_ && due()) start_next();
}

bool MailLoad::due() const {
    if (rate_ == 0) return true;
    const std::chrono::duration<double> elapsed = Clock::now() - began_;
    return started_ < elapsed.count() * rate_;
}

void MailLoad::start_next() {
    ++running_;
    const std::uint32_t share = std::min(each_, wanted_ - started_);
    const std::size_t place = clients_.size();
    clients_.push_back(
        std::make_unique<MailClient>(loop_, work_, started_, share,
                                     [this, place](MailClient& client, const std::string& failure) {
                                         ended(client, failure);
                                         if (!work_.stays || !failure.empty())
                                             loop_.retire(std::move(clients_[place]));
                                     }));
    started_ += share;
}

void MailLoad::ended(const MailClient& client, const std::string& failure) {
    if (failure.empty()) {
        done_ += client.share();
    } else {
        if (failed_ == 0) first_failure_ = failure;
        failed_ += client.share();
    }
    --running_;
}

void MailLoad::print() const {
    std::string why;
    for (const char c : first_failure_) why += (c < ' ' || c == '"' || c == '\\') ? ' ' : c;
    std::printf(
        "{\"done\": %u, \"failed\": %u, \"began\": %.6f, \"seconds\": %.4f, \"first_failure\": "
        "\"%s\"}\n",
        done_, failed_, std::chrono::duration<double>(began_.time_since_epoch()).count(), seconds_,
        why.c_str());
    std::fflush(stdout);
}

int MailLoad::lost() const {
    return static_cast<int>(std::ranges::count_if(
        clients_, [](const auto& client) { return client && client->gone(); }));
}

int hold(MailLoad& load, std::uint32_t first, std::uint32_t count) {
    char byte = 0;
    load.run_until(first);
    load.print();
    while (read(STDIN_FILENO, &byte, 1) > 0 && byte != '\n') continue;
    load.run_until(count);
    load.print();
    while (read(STDIN_FILENO, &byte, 1) > 0) continue;
    return load.failed() == 0 && load.lost() == 0 ? 0 : 1;
}

std::uint32_t positive(const Options& options, const char* name, int otherwise) {
    return static_cast<std::uint32_t>(std::max(options.number(name, otherwise), 1));
}

}  // namespace
}  // namespace muster::bench

int main(int argc, char** argv) {
    using namespace muster::bench;
    std::signal(SIGPIPE, SIG_IGN);
    const std::string verb = argc > 1 ? argv[1] : "";
    const Options options(argc, argv, 2);
    const MailWork work{.address = parse_endpoint(options.text("target")),
                        .users = options.number("users", 100),
                        .domain = options.has("domain") ? options.text("domain") : "bench.test",
                        .sources = options.number("sources", 50),
                        .text = make_text(positive(options, "size", 4096)),
                        .guesses = verb == "unknown" ? options.number("batch", 50) : 0,
                        .stays = verb == "hold"};
    const std::uint32_t count = positive(options, "count", 1);
    MailLoad load(work, verb == "hold" ? 1 : positive(options, "each", 1),
                  options.number("concurrency", 50),
                  static_cast<std::uint32_t>(options.number("rate", 0)));
    if (verb == "hold") return hold(load, std::min(positive(options, "first", 10), count), count);
    load.run_until(count);
    load.print();
    return load.failed() == 0 ? 0 : 1;
}
