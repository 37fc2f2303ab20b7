// What the directory costs: importing accounts from CSV with password hashes, a front end's copy of
// it, and finding an account with its route there, also while changes stream in.
// Usage: directory_bench [ACCOUNTS [FOLDER]]; prints one figure a line, "WHAT<tab>VALUE<tab>UNIT".

#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/log.h"
#include "cluster/account_import.h"
#include "cluster/directory.h"
#include "cluster/directory_writer.h"
#include "cluster/entry_keys.h"
#include "cluster/route.h"
#include "local_source.h"
#include "state/sqlite_store.h"

namespace muster::cluster {
namespace {

constexpr std::uint64_t kDomains = 1'000;
constexpr std::uint64_t kServers = 50;

double now(clockid_t clock) {
    timespec time{};
    ::clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
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
    return "user" + std::to_string(10'000'000 + n * 7'919 % 10'000'019) + "@domain" +
           std::to_string(n % kDomains) + ".example";
}

void print(const char* what, double value, const char* unit) {
    std::printf("%s\t%.4g\t%s\n", what, value, unit);
    std::fflush(stdout);
}

void make_topology(DirectoryWriter& writer) {
    Domain domain;
    for (std::uint64_t n = 0; n < kServers; ++n) {
        Server server;
        server.name = ServerName("sv" + std::to_string(n));
        server.host = "192.0.2.1";
        server.services[0] = ServiceSettings{.port = 143};
        must(writer.put(server), "server");
        domain.servers.push_back(server.name);
    }
    for (std::uint64_t n = 0; n < kDomains; ++n) {
        domain.name = DomainName("domain" + std::to_string(n) + ".example");
        must(writer.put(domain), "domain");
    }
}

/// Rows of CSV made up as they are read.
ByteReader rows(std::uint64_t accounts) {
    return [accounts, n = std::uint64_t{0}, text = std::string("address,password\n")](
               std::span<char> buffer) mutable -> Result<std::size_t> {
        const std::string hash = ",{SHA512-CRYPT}$6$" + std::string(100, 'x') + "\n";
        while (text.size() < buffer.size() && n < accounts) text += address(n++) + hash;
        const std::size_t size = text.copy(buffer.data(), buffer.size());
        text.erase(0, size);
        return size;
    };
}

void import(state::Store& store, std::uint64_t accounts) {
    const double wall = now(CLOCK_MONOTONIC);
    const double cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    const auto report = must(import_accounts(store, rows(accounts), {}), "import");
    if (!report.written) std::exit(1);
    print("import of accounts with hashes", now(CLOCK_MONOTONIC) - wall, "s");
    print("import, CPU", now(CLOCK_PROCESS_CPUTIME_ID) - cpu, "s");
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    print("import, most memory", static_cast<double>(usage.ru_maxrss) / 1024, "MiB");
}

struct LookUps {
    double cpu_us = 0;
    double p99_us = 0;
};

LookUps look_up(const TopologyTable& topology, std::uint64_t accounts) {
    constexpr std::size_t kLookUps = 200'000;
    Directory directory(topology);
    std::minstd_rand random(7);
    std::uniform_int_distribution<std::uint64_t> pick(0, accounts - 1);
    std::vector<std::string> names;
    for (std::size_t i = 0; i < kLookUps; ++i) names.push_back(address(pick(random)));
    std::vector<double> times;
    times.reserve(kLookUps);
    const double cpu = now(CLOCK_THREAD_CPUTIME_ID);
    for (const std::string& name : names) {
        const double start = now(CLOCK_MONOTONIC);
        const auto located = directory.locate(name, {});
        if (!located || !located->known || !route(*located, Service::Imap, NodeName("fe1"))) {
            std::exit(1);
        }
        times.push_back((now(CLOCK_MONOTONIC) - start) * 1e6);
    }
    const double used = now(CLOCK_THREAD_CPUTIME_ID) - cpu;
    std::ranges::sort(times);
    return {used / static_cast<double>(kLookUps) * 1e6, times[kLookUps * 99 / 100]};
}

/// About 500 accounts a second change until stopped.
void keep_changing(state::Store& store, std::uint64_t accounts, const std::atomic<bool>& over) {
    std::minstd_rand random(11);
    std::uniform_int_distribution<std::uint64_t> pick(0, accounts - 1);
    while (!over) {
        state::Transaction transaction;
        for (int i = 0; i < 10; ++i) {
            const std::string key = std::string(kAccountPrefix) + address(pick(random));
            const auto row = must(store.get(key), "account");
            if (!row) std::exit(1);
            transaction.put(key, row->value);
        }
        must(store.commit(transaction), "change");
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

void find(state::Store& store, const std::shared_ptr<state::Replica>& replica,
          std::uint64_t accounts) {
    HealthTable health;
    const TopologyTable topology(replica, health);
    look_up(topology, accounts);  // warms up
    const LookUps quiet = look_up(topology, accounts);
    print("look-up, CPU", quiet.cpu_us, "us");
    print("look-up, 99th percentile", quiet.p99_us, "us");
    std::atomic<bool> over = false;
    const std::jthread writing([&] { keep_changing(store, accounts, over); });
    const LookUps busy = look_up(topology, accounts);
    over = true;
    print("look-up while changes stream in, CPU", busy.cpu_us, "us");
    print("look-up while changes stream in, 99th percentile", busy.p99_us, "us");
}

void measure(std::uint64_t accounts, const std::filesystem::path& folder) {
    print("accounts", static_cast<double>(accounts), "");
    std::filesystem::create_directories(folder / "replica");
    const auto store = must(state::SqliteStore::open(folder / "directory.db"), "open");
    DirectoryWriter writer(*store);
    make_topology(writer);
    import(*store, accounts);
    const auto replica = must(state::Replica::of_folder(folder / "replica"), "replica");
    const auto sources = [&] {
        std::vector<std::unique_ptr<state::Source>> made;
        made.push_back(std::make_unique<state::LocalSource>(*store));
        return made;
    };
    state::Follower follower(replica, sources, {.scope = state::Scope::Frontend});
    const double copying = now(CLOCK_MONOTONIC);
    const std::jthread thread([&](const std::stop_token& stop) { follower.run(stop); });
    while (!replica->filled()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    print("first copy for a front end", now(CLOCK_MONOTONIC) - copying, "s");
    print("a front end's file",
          static_cast<double>(std::filesystem::file_size(replica->file())) / 1e6, "MB");
    find(*store, replica, accounts);
}

}  // namespace
}  // namespace muster::cluster

int main(int argc, char** argv) {
    muster::log::configure(muster::log::Level::Warning, muster::log::Format::Logfmt, "");
    std::uint64_t accounts = 1'000'000;
    if (argc > 1) {
        const std::string_view text = argv[1];
        std::from_chars(text.data(), text.data() + text.size(), accounts);
    }
    std::string folder = argc > 2 ? argv[2] : std::filesystem::temp_directory_path();
    folder += "/directory-bench-XXXXXX";
    if (!::mkdtemp(folder.data())) return 1;
    muster::cluster::measure(accounts, folder);
    std::filesystem::remove_all(folder);
    return 0;
}
