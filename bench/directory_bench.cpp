// What the directory costs: importing accounts from CSV with password hashes, and finding one with
// its route. Usage: directory_bench [ACCOUNTS [FOLDER]]; prints one table.

#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "cluster/account_import.h"
#include "cluster/directory.h"
#include "cluster/directory_writer.h"
#include "cluster/route.h"
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
    std::printf("%-44s %12.2f %s\n", what, value, unit);
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
    print("import of accounts with hashes, wall clock", now(CLOCK_MONOTONIC) - wall, "s");
    print("import, CPU", now(CLOCK_PROCESS_CPUTIME_ID) - cpu, "s");
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    print("most memory", static_cast<double>(usage.ru_maxrss) / 1024, "MiB");
}

void find(const std::shared_ptr<state::Replica>& replica, std::uint64_t accounts) {
    constexpr std::size_t kLookUps = 200'000;
    HealthTable health;
    const TopologyTable topology(replica, health);
    Directory directory(replica, topology);
    std::minstd_rand random(7);
    std::uniform_int_distribution<std::uint64_t> pick(0, accounts - 1);
    std::vector<std::string> names;
    for (std::size_t i = 0; i < kLookUps; ++i) names.push_back(address(pick(random)));
    std::vector<double> times;
    const double cpu = now(CLOCK_THREAD_CPUTIME_ID);
    for (const std::string& name : names) {
        const double start = now(CLOCK_MONOTONIC);
        const auto located = directory.locate(name, {});
        if (!located || !located->known || !route(*located, Service::Imap, NodeName("fe1"))) {
            std::exit(1);
        }
        times.push_back(now(CLOCK_MONOTONIC) - start);
    }
    print("locate and route, CPU",
          (now(CLOCK_THREAD_CPUTIME_ID) - cpu) / static_cast<double>(kLookUps) * 1e6, "us");
    std::ranges::sort(times);
    print("locate and route, 99th percentile", times[kLookUps * 99 / 100] * 1e6, "us");
}

void measure(std::uint64_t accounts, const std::filesystem::path& folder) {
    std::printf("%llu accounts\n", static_cast<unsigned long long>(accounts));
    const auto store = must(state::SqliteStore::open(folder / "directory.db"), "open");
    DirectoryWriter writer(*store);
    make_topology(writer);
    import(*store, accounts);
    find(state::Replica::of_store(*store, store->file()), accounts);
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
