#include "admin/demo.h"

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
#include "net/connect.h"
#include "net/http_client.h"
#include "state/json_value.h"

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

/// What must answer before the demo is ready, and where to look if it does not.
struct Awaited {
    std::string endpoint;
    std::string log;
    bool is_admin = false;  ///< answers /readyz, once the node has its copy of the directory
};

bool answers(const Awaited& wanted) {
    if (!wanted.is_admin) return net::accepts_connections(*Endpoint::parse(wanted.endpoint));
    net::HttpTarget target;
    target.origin = "http://" + wanted.endpoint;
    net::HttpCall call;
    call.path = "/readyz";
    const auto reply = net::HttpClient(target).call(call);
    return reply && reply->status == 200;
}

std::vector<Awaited> awaited(const DemoPlan& plan) {
    std::vector<Awaited> all;
    for (const DemoServer& server : plan.servers) {
        for (const auto& [use, port] : server.ports) {
            if (use == "mail_out") continue;  // is there before "admin" is, and means no business
            const bool of_dovecot = use != "cluster" && use != "admin";
            all.push_back({server.address + ":" + std::to_string(port),
                           server.folder + (of_dovecot ? "/dovecot.log" : "/muster.log"),
                           use == "admin"});
        }
    }
    for (const DemoFrontEnd& front_end : plan.front_ends) {
        for (const auto& [use, endpoint] : front_end.endpoints) {
            all.push_back({endpoint, front_end.folder + "/muster.log", use == "admin"});
        }
    }
    return all;
}

Result<> all_alive(const RunningDemo& running) {
    const std::string& dir = running.plan.dir;
    for (const auto& [name, pid] : running.processes.nodes) {
        if (is_running(pid, dir)) continue;
        return fail(ErrorKind::Unavailable,
                    name + " ended while starting; see " + dir + "/" + name + "/muster.log");
    }
    for (const auto& [name, pid] : running.processes.engines) {
        if (is_running(pid, dir)) continue;
        return fail(ErrorKind::Unavailable, "the Dovecot of " + name +
                                                " ended while starting; see dovecot.out and "
                                                "dovecot.log in " +
                                                dir + "/" + name);
    }
    return {};
}

Result<> wait_until_ready(const RunningDemo& running) {
    const auto until = std::chrono::steady_clock::now() + kStartTime;
    for (const Awaited& wanted : awaited(running.plan)) {
        while (!answers(wanted)) {
            if (auto alive = all_alive(running); !alive) return alive;
            if (std::chrono::steady_clock::now() > until) {
                return fail(ErrorKind::Unavailable,
                            wanted.endpoint + " is not ready after a minute; see " + wanted.log);
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
    const json description = state::parse_json(*text);
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
    std::error_code missing;
    std::string path = (fs::temp_directory_path(missing) / "muster-demo-XXXXXX").string();
    if (missing) return fail(ErrorKind::Io, "$TMPDIR is no folder: " + missing.message());
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
