#include "admin/demo.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "admin/child_process.h"
#include "admin/demo_plan.h"
#include "admin/files.h"
#include "admin/node_identity.h"
#include "admin/table_output.h"
#include "base/endpoint.h"
#include "cluster/directory_writer.h"
#include "net/connect.h"
#include "net/pki.h"
#include "state/sqlite_store.h"

namespace muster::admin {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kDovecot = "/usr/sbin/dovecot";
constexpr std::chrono::seconds kStartTime{60};
constexpr std::chrono::seconds kEndTime{10};

struct RunningDemo {
    DemoPlan plan;
    std::map<std::string, pid_t> nodes;    // muster processes by name
    std::map<std::string, pid_t> engines;  // Dovecots by server

    [[nodiscard]] std::vector<pid_t> all() const {
        std::vector<pid_t> pids;
        for (const auto& [name, pid] : nodes) pids.push_back(pid);
        for (const auto& [name, pid] : engines) pids.push_back(pid);
        return pids;
    }
};

int complain(const Error& error) {
    std::fprintf(stderr, "muster demo: %s\n", error.detail.c_str());
    return 1;
}

// ---- laying it out on disk

/// Keys and certificates: the cluster's authority signs those of Dovecot and of the front ends.
Result<> write_certificate(const NodeIdentity& master, const std::string& path,
                           const std::string& name, const std::vector<std::string>& names) {
    const std::string key = net::make_key();
    auto certificate = issue_certificate(master, key, name, names);
    if (!certificate) return std::unexpected(certificate.error());
    if (auto saved = write_file(path + ".crt", *certificate); !saved) return saved;
    return write_file(path + ".key", key, 0600);
}

std::string host_of(const std::string& endpoint) {
    return Endpoint::parse(endpoint)->address.text();
}

Result<> write_front_end(const DemoPlan& plan, const DemoFrontEnd& front_end,
                         const NodeIdentity& master) {
    if (auto made = make_folder(front_end.folder); !made) return made;
    auto certified = write_certificate(
        master, front_end.folder + "/mail", kDemoHost,
        {kDemoHost, "mail.domain2.dom", "localhost", host_of(front_end.endpoints.at("imap"))});
    if (!certified) return certified;
    return write_file(front_end.folder + "/muster.toml", front_end_file(plan, front_end));
}

Result<> write_server(const DemoPlan& plan, const DemoServer& server, const NodeIdentity& master) {
    if (auto made = make_folder(server.folder); !made) return made;
    auto certified = write_certificate(master, server.folder + "/dovecot", server.name,
                                       {server.name + ".domain1.dom", server.address});
    if (!certified) return certified;
    const DemoMailUser mail = demo_mail_user();
    for (const char* folder : {"/mail", "/dovecot", "/run", "/dovecot-state"}) {
        if (auto made = make_folder(server.folder + folder); !made) return made;
    }
    if (geteuid() == 0 && chown((server.folder + "/mail").c_str(), mail.uid, mail.gid) != 0) {
        return fail(ErrorKind::Io, "cannot give " + server.folder + "/mail to " + mail.user);
    }
    for (const auto& file : backend::dovecot_files(dovecot_input(plan, server))) {
        auto saved = write_file(server.folder + "/dovecot/" + file.name, file.text,
                                file.secret ? 0600 : 0644);
        if (!saved) return saved;
    }
    return write_file(server.folder + "/muster.toml", server_file(plan, server));
}

cluster::Server server_entry(const DemoServer& from, const NodeIdentity& master) {
    cluster::Server server;
    server.name = ServerName(from.name);
    server.node = NodeName(from.name);
    server.host = from.address;
    server.tls_name = from.name + ".domain1.dom";
    server.ca = master.authority;
    for (const auto service : {cluster::Service::Imap, cluster::Service::Pop3,
                               cluster::Service::Sieve, cluster::Service::Lmtp}) {
        cluster::ServiceSettings settings;
        settings.port = from.ports.at(std::string(cluster::name(service)));
        settings.tls = cluster::TlsMode::StartTls;
        server.services[static_cast<std::size_t>(service)] = settings;
    }
    return server;
}

Result<> write_directory(const DemoPlan& plan, const NodeIdentity& master,
                         const std::vector<cluster::Node>& nodes) {
    const std::string folder = plan.servers.front().folder + "/state";
    auto stores = state::open_stores(folder);
    if (!stores) return std::unexpected(stores.error());
    if (auto begun = stores->directory->begin_term(); !begun) return begun;
    cluster::DirectoryWriter writer(*stores->directory);
    for (const cluster::Node& node : nodes) {
        if (auto put = writer.put(node); !put) return put;
    }
    std::vector<ServerName> names;
    for (const DemoServer& server : plan.servers) {
        if (auto put = writer.put(server_entry(server, master)); !put) return put;
        names.emplace_back(server.name);
    }
    for (const char* name : kDemoDomains) {
        cluster::Domain domain;
        domain.name = DomainName(name);
        domain.servers = names;
        domain.tls_names = {DomainName("mail." + std::string(name))};
        if (auto put = writer.put(domain); !put) return put;
    }
    for (const DemoAccount& account : plan.accounts) {
        auto made = writer.create_account({.address = account.address,
                                           .id = {},
                                           .home = ServerName(account.home),
                                           .password = account.password,
                                           .keys = {}});
        if (!made) return std::unexpected(made.error());
    }
    return {};
}

cluster::Node node_entry(const std::string& name, cluster::NodeScope scope, bool is_master,
                         const std::string& endpoint, const NodeIdentity& identity) {
    cluster::Node node;
    node.name = NodeName(name);
    node.scope = scope;
    node.master = is_master;
    node.cluster = endpoint;
    node.pin = identity.pin;
    return node;
}

/// A member's identity as joining would leave it.
NodeIdentity member_identity(const std::string& name, const NodeIdentity& master,
                             const PeerAddress& master_address) {
    NodeIdentity identity = new_identity(NodeName(name));
    identity.cluster_id = master.cluster_id;
    identity.authority = master.authority;
    identity.secret = master.secret;
    identity.masters = {master_address};
    return identity;
}

Result<> lay_out(const DemoPlan& plan) {
    const DemoServer& first = plan.servers.front();
    NodeIdentity master = new_identity(NodeName(first.name));
    if (auto founded = found_cluster(master); !founded) return founded;
    if (auto saved = save_identity(first.folder + "/state", master); !saved) return saved;
    if (auto saved = write_file(plan.certificate_authority(), master.authority); !saved) {
        return saved;
    }
    const auto endpoint_of = [](const DemoServer& server) {
        return server.address + ":" + std::to_string(server.ports.at("cluster"));
    };
    const PeerAddress master_address{NodeName(first.name), endpoint_of(first), master.pin};
    std::vector<cluster::Node> nodes;
    for (const DemoServer& server : plan.servers) {
        if (auto written = write_server(plan, server, master); !written) return written;
        const bool is_master = &server == &first;
        const NodeIdentity identity =
            is_master ? master : member_identity(server.name, master, master_address);
        if (auto saved = save_identity(server.folder + "/state", identity); !saved) return saved;
        nodes.push_back(node_entry(server.name, cluster::NodeScope::Backend, is_master,
                                   endpoint_of(server), identity));
    }
    for (const DemoFrontEnd& front_end : plan.front_ends) {
        if (auto written = write_front_end(plan, front_end, master); !written) return written;
        const NodeIdentity identity = member_identity(front_end.name, master, master_address);
        if (auto saved = save_identity(front_end.folder + "/state", identity); !saved) return saved;
        nodes.push_back(node_entry(front_end.name, cluster::NodeScope::Frontend, false,
                                   front_end.endpoints.at("cluster"), identity));
    }
    return write_directory(plan, master, nodes);
}

// ---- bringing it to life

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
            for (const auto& [name, pid] : running.nodes) {
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
        running.nodes[server.name] = *node;
    }
    for (const DemoFrontEnd& front_end : running.plan.front_ends) {
        auto node = start_node(options, front_end.name, front_end.folder);
        if (!node) return std::unexpected(node.error());
        running.nodes[front_end.name] = *node;
    }
    for (const DemoServer& server : running.plan.servers) {
        auto engine = start_child(
            {.name = "dovecot of " + server.name,
             .arguments = {kDovecot, "-F", "-c", server.folder + "/dovecot/dovecot.conf"},
             .log = server.folder + "/dovecot.out",
             .dies_with_parent = !options.detach});
        if (!engine) return std::unexpected(engine.error());
        running.engines[server.name] = *engine;
    }
    return wait_until_ready(running);
}

// ---- telling about it

json describe(const RunningDemo& running) {
    const DemoPlan& plan = running.plan;
    json front_ends = json::array();
    for (const DemoFrontEnd& front_end : plan.front_ends) {
        json row = {{"name", front_end.name}, {"pid", running.nodes.at(front_end.name)}};
        for (const auto& [use, endpoint] : front_end.endpoints) row[use] = endpoint;
        front_ends.push_back(std::move(row));
    }
    json servers = json::array();
    for (const DemoServer& server : plan.servers) {
        json row = {{"name", server.name},
                    {"pid", running.nodes.at(server.name)},
                    {"engine_pid", running.engines.at(server.name)}};
        for (const auto& [use, port] : server.ports) {
            row[use] = server.address + ":" + std::to_string(port);
        }
        servers.push_back(std::move(row));
    }
    json accounts = json::array();
    for (const DemoAccount& account : plan.accounts) {
        accounts.push_back(
            {{"address", account.address}, {"password", account.password}, {"home", account.home}});
    }
    return {{"ca", plan.certificate_authority()},
            {"api", {{"socket", plan.api_socket()}}},
            {"frontends", front_ends},
            {"servers", servers},
            {"accounts", accounts}};
}

void tell(const RunningDemo& running, const json& description, const DemoOptions& options) {
    const DemoPlan& plan = running.plan;
    std::printf("\nA cluster of two front ends and three back ends runs in %s\n\n",
                plan.dir.c_str());
    std::fputs(format_table(description["frontends"], {{"FRONT END", "name"},
                                                       {"PID", "pid"},
                                                       {"IMAP", "imap"},
                                                       {"IMAPS", "imaps"},
                                                       {"POP3S", "pop3s"},
                                                       {"SIEVE", "sieve"}})
                   .c_str(),
               stdout);
    std::puts("");
    std::fputs(format_table(description["servers"], {{"SERVER", "name"},
                                                     {"PID", "pid"},
                                                     {"DOVECOT", "engine_pid"},
                                                     {"IMAP", "imap"},
                                                     {"LMTP", "lmtp"}})
                   .c_str(),
               stdout);
    std::puts("");
    std::fputs(format_table(description["accounts"],
                            {{"ACCOUNT", "address"}, {"PASSWORD", "password"}, {"HOME", "home"}})
                   .c_str(),
               stdout);
    const DemoAccount& kate = plan.accounts[1];
    const std::string& imaps = plan.front_ends.front().endpoints.at("imaps");
    std::printf(
        "\nTry it: every front end serves every account.\n"
        "  curl --cacert %s -u %s:%s imaps://%s/\n"
        "  openssl s_client -quiet -CAfile %s -verify_return_error -connect %s\n"
        "  %s --api %s session list\n"
        "Any IMAP client does: server %s, TLS, one of the accounts above (authority: %s).\n",
        plan.certificate_authority().c_str(), kate.address.c_str(), kate.password.c_str(),
        imaps.c_str(), plan.certificate_authority().c_str(), imaps.c_str(), options.program.c_str(),
        plan.api_socket().c_str(), imaps.c_str(), plan.certificate_authority().c_str());
    std::printf(options.detach ? "\nIt goes on; end it with: muster demo --stop --dir %s\n"
                               : "\nCtrl-C ends it (folder: %s).\n",
                plan.dir.c_str());
    std::fflush(stdout);
}

int stop_demo(const DemoOptions& options) {
    const auto text = read_file(options.dir + "/demo.json");
    if (!text) {
        return complain({ErrorKind::NotFound, {}, "no demo runs in " + options.dir});
    }
    const json description = json::parse(*text, nullptr, false);
    if (description.is_discarded()) {
        return complain({ErrorKind::Corrupt, {}, options.dir + "/demo.json is damaged"});
    }
    std::vector<pid_t> pids;
    for (const char* kind : {"frontends", "servers"}) {
        for (const json& row : description[kind]) {
            pids.push_back(row.value("pid", 0));
            if (row.contains("engine_pid")) pids.push_back(row["engine_pid"].get<pid_t>());
        }
    }
    end_processes(pids, options.dir, kEndTime);
    std::error_code ignored;
    fs::remove(options.dir + "/demo.json", ignored);
    std::printf("The demo in %s has ended; its files and logs are left.\n", options.dir.c_str());
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
    RunningDemo running{std::move(*plan), {}, {}};
    std::fprintf(stderr, "starting a cluster in %s …\n", dir->c_str());
    auto started = lay_out(running.plan);
    if (started) started = start_all(running, options);
    if (!started) {
        end_processes(running.all(), *dir, kEndTime);
        return complain(started.error());
    }
    const json description = describe(running);
    if (auto saved = write_file(*dir + "/demo.json", description.dump(2) + "\n", 0600); !saved) {
        end_processes(running.all(), *dir, kEndTime);
        return complain(saved.error());
    }
    tell(running, description, options);
    if (options.detach) return 0;
    wait_for_interrupt();
    std::puts("\nending …");
    end_processes(running.all(), *dir, kEndTime);
    std::error_code ignored;
    if (options.dir.empty()) {
        fs::remove_all(*dir, ignored);
    } else {
        fs::remove(*dir + "/demo.json", ignored);
    }
    return 0;
}

}  // namespace muster::admin
