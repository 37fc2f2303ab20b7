#include "admin/demo.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "admin/child_process.h"
#include "admin/demo_layout.h"
#include "admin/demo_plan.h"
#include "admin/demo_report.h"
#include "admin/files.h"
#include "base/endpoint.h"

namespace muster::admin {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kDovecot = "/usr/sbin/dovecot";
constexpr std::chrono::seconds kStartTime{60};
constexpr std::chrono::seconds kEndTime{10};

struct RunningDemo {
    DemoPlan plan;
    DemoProcesses processes;
};

int complain(const Error& error) {
    std::fprintf(stderr, "muster demo: %s\n", error.detail.c_str());
    return 1;
}

bool answers(const std::string& endpoint) {
    const auto parsed = Endpoint::parse(endpoint);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(parsed->port);
    const auto bytes = parsed->address.v4();
    std::copy(bytes.begin(), bytes.end(), reinterpret_cast<std::uint8_t*>(&address.sin_addr));
    const bool connected =
        connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    close(fd);
    return connected;
}

/// Every address that must answer before the demo is ready, and the log to look into if not.
std::vector<std::pair<std::string, std::string>> awaited(const DemoPlan& plan) {
    std::vector<std::pair<std::string, std::string>> endpoints;
    for (const DemoServer& server : plan.servers) {
        for (const auto& [use, port] : server.ports) {
            const bool of_dovecot = use != "cluster" && use != "admin";
            endpoints.emplace_back(server.address + ":" + std::to_string(port),
                                   server.folder + (of_dovecot ? "/dovecot.log" : "/muster.log"));
        }
    }
    for (const DemoFrontEnd& front_end : plan.front_ends) {
        for (const auto& [use, endpoint] : front_end.endpoints) {
            endpoints.emplace_back(endpoint, front_end.folder + "/muster.log");
        }
    }
    return endpoints;
}

Result<> wait_until_ready(const RunningDemo& running) {
    const auto until = std::chrono::steady_clock::now() + kStartTime;
    for (const auto& [endpoint, log] : awaited(running.plan)) {
        while (!answers(endpoint)) {
            for (const auto& [name, pid] : running.processes.nodes) {
                if (is_running(pid, running.plan.dir)) continue;
                return fail(ErrorKind::Unavailable, name + " ended while starting; see " +
                                                        running.plan.dir + "/" + name +
                                                        "/muster.log");
            }
            if (std::chrono::steady_clock::now() > until) {
                return fail(ErrorKind::Unavailable,
                            "nothing answers on " + endpoint + " after a minute; see " + log);
            }
            std::this_thread::sleep_for(std::chrono::milliseconds{20});
        }
    }
    return {};
}

Result<pid_t> start_node(const DemoOptions& options, const std::string& name,
                         const std::string& folder) {
    return start_child(
        {.name = name,
         .arguments = {options.program, "serve", "--config", folder + "/muster.toml"},
         .log = folder + "/muster.log",
         .dies_with_parent = !options.detach});
}

Result<> start_all(RunningDemo& running, const DemoOptions& options) {
    for (const DemoServer& server : running.plan.servers) {
        auto node = start_node(options, server.name, server.folder);
        if (!node) return std::unexpected(node.error());
        running.processes.nodes[server.name] = *node;
    }
    for (const DemoFrontEnd& front_end : running.plan.front_ends) {
        auto node = start_node(options, front_end.name, front_end.folder);
        if (!node) return std::unexpected(node.error());
        running.processes.nodes[front_end.name] = *node;
    }
    for (const DemoServer& server : running.plan.servers) {
        auto engine = start_child(
            {.name = "dovecot of " + server.name,
             .arguments = {kDovecot, "-F", "-c", server.folder + "/dovecot/dovecot.conf"},
             .log = server.folder + "/dovecot.out",
             .dies_with_parent = !options.detach});
        if (!engine) return std::unexpected(engine.error());
        running.processes.engines[server.name] = *engine;
    }
    return wait_until_ready(running);
}

int stop_demo(const DemoOptions& options) {
    const std::string dir = fs::absolute(options.dir).lexically_normal().string();
    const auto text = read_file(dir + "/demo.json");
    if (!text) {
        return complain({ErrorKind::NotFound, {}, "no demo runs in " + dir});
    }
    const json description = json::parse(*text, nullptr, false);
    if (description.is_discarded()) {
        return complain({ErrorKind::Corrupt, {}, dir + "/demo.json is damaged"});
    }
    end_processes(described_pids(description), dir, kEndTime);
    std::error_code ignored;
    fs::remove(dir + "/demo.json", ignored);
    std::printf("The demo in %s has ended; its files and logs are left.\n", dir.c_str());
    return 0;
}

Result<std::string> demo_folder(const std::string& wanted) {
    if (!wanted.empty()) {
        if (exists(wanted + "/demo.json")) {
            return fail(ErrorKind::Conflict, "a demo runs in " + wanted + " already (or ended " +
                                                 "hard): muster demo --stop --dir " + wanted);
        }
        if (exists(wanted + "/sv1")) {
            return fail(
                ErrorKind::Conflict,
                wanted + " holds the files of an earlier demo; remove it, or choose another");
        }
        if (auto made = make_folder(wanted); !made) return std::unexpected(made.error());
        return fs::absolute(wanted).lexically_normal().string();
    }
    std::string path = (fs::temp_directory_path() / "muster-demo-XXXXXX").string();
    if (mkdtemp(path.data()) == nullptr) return fail(ErrorKind::Io, "cannot make " + path);
    fs::permissions(path, fs::perms(0755));  // mail processes of another user pass through it
    return path;
}

void wait_for_interrupt() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    int signal = 0;
    sigwait(&set, &signal);
}

void block_interrupts() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

}  // namespace

int demo(const DemoOptions& options) {
    if (options.stop) return stop_demo(options);
    if (!exists(kDovecot)) {
        return complain({ErrorKind::Unavailable,
                         {},
                         "Dovecot is not installed (no " + std::string(kDovecot) + ")"});
    }
    const auto dir = demo_folder(options.dir);
    if (!dir) return complain(dir.error());
    auto plan = plan_demo(*dir);
    if (!plan) return complain(plan.error());
    block_interrupts();
    RunningDemo running{std::move(*plan), {}};
    std::fprintf(stderr, "starting a cluster in %s …\n", dir->c_str());
    auto started = lay_out(running.plan);
    if (started) started = start_all(running, options);
    if (!started) {
        end_processes(running.processes.all(), *dir, kEndTime);
        return complain(started.error());
    }
    const json description = describe(running.plan, running.processes);
    if (auto saved = write_file(*dir + "/demo.json", description.dump(2) + "\n", 0600); !saved) {
        end_processes(running.processes.all(), *dir, kEndTime);
        return complain(saved.error());
    }
    tell(running.plan, description, options);
    if (options.detach) return 0;
    wait_for_interrupt();
    std::puts("\nending …");
    end_processes(running.processes.all(), *dir, kEndTime);
    std::error_code ignored;
    if (options.dir.empty()) {
        fs::remove_all(*dir, ignored);
    } else {
        fs::remove(*dir + "/demo.json", ignored);
    }
    return 0;
}

}  // namespace muster::admin
