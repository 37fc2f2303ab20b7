// What the state costs: loading a directory, its size, and a look-up with and without changes
// streaming in. Usage: state_bench [ACCOUNTS [FOLDER]]; prints one table.

#include <stdlib.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/log.h"
#include "local_source.h"
#include "state/feed.h"
#include "state/follower.h"
#include "state/sqlite_store.h"

namespace muster::state {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

double thread_cpu_seconds() {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

template <typename T>
T must(Result<T> result, const char* what) {
    if (!result) {
        std::fprintf(stderr, "%s: %s\n", what, result.error().detail.c_str());
        std::exit(1);
    }
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

std::string address(std::uint64_t n) {
    return "account/user" + std::to_string(10'000'000 + n) + "@domain" + std::to_string(n % 1000) +
           ".example";
}

/// A well mixed number for each account, as random ids are.
std::uint64_t mixed(std::uint64_t n) {
    n = (n ^ (n >> 30)) * 0xbf58476d1ce4e5b9;
    n = (n ^ (n >> 27)) * 0x94d049bb133111eb;
    return n ^ (n >> 31);
}

std::string account_id(std::uint64_t n) {
    static constexpr char kBase32[] = "abcdefghijklmnopqrstuvwxyz234567";
    std::string id;
    for (std::uint64_t bits = mixed(n), i = 0; i < 16; ++i) {
        id += kBase32[bits & 31];
        bits = (bits >> 4) ^ (bits << 60);
    }
    return id;
}

std::string account(std::uint64_t n) {
    return R"({"id":")" + account_id(n) + R"(","home":"sv)" + std::to_string(n % 50) + R"("})";
}

struct LookUps {
    double cpu_us = 0;
    double median_us = 0;
    double p99_us = 0;
};

/// Random accounts by address, a twentieth of them unknown.
LookUps look_up(ReplicaReader& reader, std::uint64_t accounts, std::size_t count) {
    std::minstd_rand random(7);
    std::uniform_int_distribution<std::uint64_t> pick(0, accounts + accounts / 20);
    std::vector<double> times;
    times.reserve(count);
    double cpu = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const std::string key = address(pick(random));
        const double cpu_before = thread_cpu_seconds();
        const auto start = Clock::now();
        const auto row = reader.find(key);
        times.push_back(seconds_since(start) * 1e6);
        cpu += thread_cpu_seconds() - cpu_before;
        must(row, "look-up");
    }
    std::ranges::sort(times);
    return {cpu / static_cast<double>(count) * 1e6, times[count / 2], times[count * 99 / 100]};
}

/// What the two clocks of look_up() cost by themselves.
double clock_cost_us() {
    constexpr int kRounds = 100'000;
    const double start = thread_cpu_seconds();
    for (int i = 0; i < kRounds; ++i) (void)Clock::now();
    for (int i = 0; i < kRounds; ++i) (void)thread_cpu_seconds();
    return (thread_cpu_seconds() - start) / kRounds * 1e6;
}

double load(Store& store, std::uint64_t accounts) {
    const std::string keys = R"({"keys":["{SCRAM-SHA-256}4096,)" + std::string(24, 's') + ',' +
                             std::string(44, 'k') + ',' + std::string(44, 'v') + R"("]})";
    const auto start = Clock::now();
    auto bulk = store.bulk({});
    for (std::uint64_t n = 0; n < accounts; ++n) {
        must(bulk->add(address(n), account(n)), "add");
        must(bulk->add("key/" + account_id(n), keys), "add");
    }
    must(bulk->finish(), "load");
    return seconds_since(start);
}

void print(const char* what, double value, const char* unit) {
    std::printf("%-58s %12.2f %s\n", what, value, unit);
    std::fflush(stdout);
}

void print(const char* what, const LookUps& look_ups) {
    std::printf("%-34s CPU %.2f us, median %.2f us, p99 %.2f us\n", what, look_ups.cpu_us,
                look_ups.median_us, look_ups.p99_us);
    std::fflush(stdout);
}

/// One account changes about every 2 ms until stopped.
void keep_changing(Store& store, std::uint64_t accounts, const std::atomic<bool>& over,
                   std::atomic<std::uint64_t>& changes) {
    std::minstd_rand random(11);
    std::uniform_int_distribution<std::uint64_t> pick(0, accounts - 1);
    while (!over) {
        Transaction transaction;
        for (int i = 0; i < 10; ++i) {
            const auto n = pick(random);
            transaction.put(address(n), account(n + 1));
        }
        must(store.commit(transaction), "commit");
        changes += 10;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

double size_of(const std::filesystem::path& file) {
    return static_cast<double>(std::filesystem::file_size(file));
}

void measure(std::uint64_t accounts, const std::filesystem::path& folder) {
    constexpr std::size_t kLookUps = 200'000;
    const auto many = static_cast<double>(accounts);
    std::printf("%llu accounts\n", static_cast<unsigned long long>(accounts));
    std::filesystem::create_directories(folder / "replica");
    const auto store = must(SqliteStore::open(directory_file(folder)), "open");
    print("load of accounts and keys, all or nothing", load(*store, accounts), "s");
    print("master's file per account", size_of(store->file()) / many, "bytes");

    const auto replica = must(Replica::of_folder(folder / "replica"), "replica");
    const auto sources = [&] {
        std::vector<std::unique_ptr<Source>> made;
        made.push_back(std::make_unique<LocalSource>(*store));
        return made;
    };
    Follower follower(replica, sources, {.scope = Scope::Frontend});
    const auto copying = Clock::now();
    std::jthread thread([&](const std::stop_token& stop) { follower.run(stop); });
    while (!replica->filled()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    print("first copy for a front end", seconds_since(copying), "s");
    print("front end's file per account", size_of(replica->file()) / many, "bytes");
    print("front end's file", size_of(replica->file()) / 1e6, "MB");

    const auto opening = Clock::now();
    ReplicaReader reader(must(Replica::of_folder(folder / "replica"), "replica"));
    must(reader.find(address(1)), "look-up");
    print("restarted front end's first look-up after", seconds_since(opening) * 1e3, "ms");

    look_up(reader, accounts, kLookUps);
    print("look-up, quiet", look_up(reader, accounts, kLookUps));
    std::atomic<bool> over = false;
    std::atomic<std::uint64_t> changes = 0;
    LookUps busy;
    const auto start = Clock::now();
    {
        const std::jthread writing([&] { keep_changing(*store, accounts, over, changes); });
        busy = look_up(reader, accounts, 5 * kLookUps);
        over = true;
    }
    print("look-up, changes streaming in", busy);
    print("  changes per second meanwhile", static_cast<double>(changes) / seconds_since(start),
          "");
    print("  of the CPU figures, the clocks take", clock_cost_us(), "us");
    print("front end's log after that", size_of(replica->file().string() + "-wal") / 1e6, "MB");
}

}  // namespace
}  // namespace muster::state

int main(int count, char** arguments) {
    using namespace muster;
    log::configure(log::Level::Warning, log::Format::Logfmt, "bench");
    std::uint64_t accounts = 1'000'000;
    if (count > 1) {
        const std::string_view text = arguments[1];
        std::from_chars(text.data(), text.data() + text.size(), accounts);
    }
    const std::filesystem::path base =
        count > 2 ? std::filesystem::path(arguments[2]) : std::filesystem::temp_directory_path();
    std::string folder = base / "state-bench-XXXXXX";
    if (accounts == 0 || ::mkdtemp(folder.data()) == nullptr) return 2;
    state::measure(accounts, folder);
    std::filesystem::remove_all(folder);
    return 0;
}
