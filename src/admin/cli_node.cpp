// Verbs of this machine: serve, check, demo, status, reload, certificates, Dovecot's
// configuration, and the pages made from the option table.

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "admin/back_end_settings.h"
#include "admin/check.h"
#include "admin/commands.h"
#include "admin/demo.h"
#include "admin/files.h"
#include "admin/node_file.h"
#include "admin/node_identity.h"
#include "admin/options.h"
#include "admin/serve.h"
#include "backend/dovecot_config.h"
#include "base/endpoint.h"
#include "net/pki.h"

namespace muster::admin {
namespace {

using nlohmann::json;

std::string span_of(std::uint64_t seconds) {
    constexpr std::uint64_t kMinute = 60;
    constexpr std::uint64_t kHour = 60 * kMinute;
    constexpr std::uint64_t kDay = 24 * kHour;
    if (seconds < kMinute) return std::to_string(seconds) + " s";
    if (seconds < kHour) return std::to_string(seconds / kMinute) + " min";
    if (seconds < kDay) return std::to_string(seconds / kHour) + " h";
    return std::to_string(seconds / kDay) + " d";
}

std::string span_of(std::chrono::milliseconds time) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time).count();
    return span_of(static_cast<std::uint64_t>(std::max<std::int64_t>(seconds, 0)));
}

std::string ago(const json& milliseconds) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto then = std::chrono::milliseconds(milliseconds.get<std::int64_t>());
    return span_of(std::chrono::duration_cast<std::chrono::milliseconds>(now) - then);
}

/// What each node has of the state, and from where.
void print_replicas(json nodes) {
    for (json& node : nodes) {
        if (!node.contains("replica")) continue;
        json& replica = node["replica"];
        if (replica.contains("for_ms")) {
            replica["since"] =
                span_of(std::chrono::milliseconds(replica["for_ms"].get<std::int64_t>()));
        } else if (replica.contains("since")) {  // of an older node
            replica["since"] = ago(replica["since"]);
        }
        if (replica.contains("lag_ms")) replica["lag"] = replica["lag_ms"].dump() + " ms";
    }
    say("\n" + format_table(nodes, {{"NODE", "name"},
                                    {"REPLICA", "replica.phase"},
                                    {"FOR", "replica.since"},
                                    {"SOURCE", "replica.source"},
                                    {"REVISION", "replica.revision"},
                                    {"LAG", "replica.lag"},
                                    {"TROUBLE", "replica.trouble"}}));
}

void print_followers(json followers) {
    if (followers.empty()) return;
    for (json& one : followers) {
        if (one.contains("time")) one["time"] = ago(one["time"]);
    }
    say("\n" + format_table(followers, {{"FOLLOWER", "name"},
                                        {"SCOPE", "scope"},
                                        {"CONNECTED", "connected"},
                                        {"HEARD OF", "time"},
                                        {"ADDRESS", "address"},
                                        {"VERSION", "version"}}));
}

void print_status(json status) {
    for (json& node : status["nodes"]) {
        if (node.contains("uptime")) node["uptime"] = span_of(node["uptime"].get<std::uint64_t>());
    }
    say(format_table(status["nodes"], {{"NODE", "name"},
                                       {"ROLES", "roles"},
                                       {"REACHABLE", "reachable"},
                                       {"ADMIN", "admin"},
                                       {"SESSIONS", "sessions"},
                                       {"QUEUE", "queue.messages"},
                                       {"UP", "uptime"},
                                       {"VERSION", "version"}}));
    print_replicas(status["nodes"]);
    print_followers(status.value("followers", json::array()));
    say("\n" + format_table(status["servers"], {{"SERVER", "name"},
                                                {"HOST", "host"},
                                                {"STATE", "state"},
                                                {"IMAP", "observed.imap"},
                                                {"POP3", "observed.pop3"},
                                                {"SIEVE", "observed.sieve"},
                                                {"LMTP", "observed.lmtp"},
                                                {"SMTP", "observed.smtp"}}));
    if (status["alarms"].empty()) return say("\nno alarms\n");
    say("\n" + format_table(status["alarms"],
                            {{"ALARM", "about"}, {"SEEN BY", "node"}, {"WHAT", "text"}}));
}

bool is_running(const NodeConfig& config) {
    ApiClient client({config.admin.socket, "", "", ""});
    return exists(config.admin.socket) && client.get("/v1/status?here=1").has_value();
}

Result<> check(Commands& commands) {
    const auto config = read_node_file(commands.options().config);
    if (!config) return std::unexpected(config.error());
    const auto findings = check_node(*config, is_running(*config));
    bool wrong = false;
    json list = json::array();
    for (const Finding& finding : findings) {
        wrong |= finding.wrong;
        list.push_back({{"wrong", finding.wrong}, {"text", finding.text}});
        if (!commands.options().json) {
            say((finding.wrong ? "wrong: " : "warning: ") + printable(finding.text) + "\n");
        }
    }
    if (commands.options().json) commands.print_json({{"findings", list}, {"fine", !wrong}});
    if (wrong) return fail(ErrorKind::Refused, commands.options().config + " is not fit to serve");
    if (!commands.options().json) say(commands.options().config + " is fine\n");
    return {};
}

std::string joined(const json& names) {
    std::string text;
    for (const json& name : names) text += (text.empty() ? "" : ", ") + name.get<std::string>();
    return text;
}

Result<> reload(Commands& commands) {
    const auto client = commands.api();
    if (!client) return std::unexpected(client.error());
    const auto answer = (*client)->call("POST", "/v1/reload");
    if (!answer) return std::unexpected(answer.error());
    if (commands.options().json) {
        commands.print_json(*answer);
        return {};
    }
    say("the node file and its certificates were read again\n");
    const std::string taken = joined((*answer)["taken_over"]);
    const std::string waiting = joined((*answer)["need_restart"]);
    if (!taken.empty()) say("taken over: " + taken + "\n");
    if (!waiting.empty()) say("changed, but only a restart takes it over: " + waiting + "\n");
    return {};
}

struct CertificateArguments {
    std::string name;
    std::vector<std::string> names;
    std::string out = ".";
    int days = static_cast<int>(net::kLongestLife.count());
};

/// The key is made here and never leaves; only its public half goes to the master.
Result<> make_certificate(Commands& commands, const CertificateArguments& arguments) {
    const std::string base = arguments.out + "/" + arguments.name;
    if (exists(base + ".key")) return fail(ErrorKind::Conflict, base + ".key exists already");
    const std::string key = net::make_key();
    std::vector<std::string> names = arguments.names;
    if (names.empty()) names = {arguments.name};
    const auto client = commands.api();
    if (!client) return std::unexpected(client.error());
    const auto issued = (*client)->call("POST", "/v1/authority/issue",
                                        {{"public_key", *net::public_key_of(key)},
                                         {"common_name", arguments.name},
                                         {"names", names},
                                         {"days", arguments.days}});
    if (!issued) return std::unexpected(issued.error());
    if (auto kept = write_file(base + ".key", key, 0600); !kept) return kept;
    if (auto kept = write_file(base + ".crt", issued->value("certificate", "")); !kept) return kept;
    say(base + ".crt and " + base + ".key are written\n");
    return {};
}

struct DovecotArguments {
    std::string version = "2.3";
    std::string certificate;
    std::string key;
    std::vector<std::string> front_ends;
    backend::DovecotOauth2 oauth2;
    std::string out;
};

std::string user_name(std::uint32_t uid) {
    const passwd* user = ::getpwuid(uid);
    return user == nullptr ? std::to_string(uid) : user->pw_name;
}

std::string group_name(std::uint32_t gid) {
    const group* found = ::getgrgid(gid);
    return found == nullptr ? std::to_string(gid) : found->gr_name;
}

backend::DovecotService service_of(const json& server, const char* name,
                                   const DovecotArguments& arguments) {
    backend::DovecotService service;
    const json entry = at_path(server, std::string("services.") + name);
    if (!entry.is_object()) return service;
    const std::string tls = entry.value("tls", "starttls");
    service.listeners.push_back(
        {server.value("host", "*"), entry.value("port", std::uint16_t{0}), tls == "implicit"});
    if (tls == "none") return service;
    service.certificate = arguments.certificate;
    service.key = arguments.key;
    return service;
}

/// Front ends as the state knows them, unless they are named.
Result<std::vector<std::string>> front_end_networks(ApiClient& client,
                                                    const std::vector<std::string>& named) {
    if (!named.empty()) return named;
    const auto nodes = client.get("/v1/nodes");
    if (!nodes) return std::unexpected(nodes.error());
    std::vector<std::string> found;
    for (const json& node : (*nodes)["nodes"]) {
        const auto endpoint = Endpoint::parse(node.value("cluster", ""));
        if (endpoint && !node.value("revoked", false)) found.push_back(endpoint->address.text());
    }
    return found;
}

backend::DovecotConfigInput dovecot_input(const NodeConfig& config, const json& server,
                                          const DovecotArguments& arguments) {
    backend::DovecotConfigInput input;
    input.version =
        arguments.version == "2.4" ? backend::DovecotVersion::V24 : backend::DovecotVersion::V23;
    input.config_dir = std::filesystem::path(config.backend.config).parent_path().string();
    input.base_dir = config.backend.base_dir;
    input.state_dir = "/var/lib/dovecot";
    input.log_path = "syslog";
    input.auth_socket = config.backend.dict_socket;
    input.mail_socket = config.backend.mail_socket;
    input.relay_socket = config.backend.auth_socket;
    input.hostname = server.value("tls_name", server.value("host", config.node.name.text));
    input.imap = service_of(server, "imap", arguments);
    input.pop3 = service_of(server, "pop3", arguments);
    input.sieve = service_of(server, "sieve", arguments);
    input.lmtp = service_of(server, "lmtp", arguments);
    input.submission = service_of(server, "submission", arguments);
    input.users.mail = user_name(config.backend.mail_uid);
    input.users.mail_group = group_name(config.backend.mail_gid);
    input.users.self = ::geteuid() != 0 && config.backend.mail_uid == ::geteuid();
    input.mail_out = config.backend.mail_out_listen;
    input.oauth2 = arguments.oauth2;
    return input;
}

/// LMTP asks for no password: nobody but front ends may reach it.
std::string firewall_rules(const json& server, const std::vector<std::string>& front_ends) {
    const json port = at_path(server, "services.lmtp.port");
    if (!port.is_number()) return {};
    std::string v4;
    std::string v6;
    for (const std::string& text : front_ends) {
        std::string& list = text.find(':') == std::string::npos ? v4 : v6;
        list += (list.empty() ? "" : ", ") + text;
    }
    std::string rules = "\n# Firewall (nft): LMTP for the front ends alone\n";
    const std::string to = " tcp dport " + port.dump();
    if (!v4.empty())
        rules += "#   nft add rule inet filter input ip saddr { " + v4 + " }" + to + " accept\n";
    if (!v6.empty())
        rules += "#   nft add rule inet filter input ip6 saddr { " + v6 + " }" + to + " accept\n";
    return rules + "#   nft add rule inet filter input" + to + " drop\n";
}

Result<> write_files(const std::vector<backend::DovecotFile>& files, const std::string& folder) {
    if (auto made = make_folder(folder); !made) return made;
    for (const backend::DovecotFile& file : files) {
        auto kept = write_file(folder + "/" + file.name, file.text, file.secret ? 0600 : 0644);
        if (!kept) return kept;
        say(folder + "/" + file.name + "\n");
    }
    return {};
}

Result<> dovecot_config(Commands& commands, const DovecotArguments& arguments) {
    const auto config = read_node_file(commands.options().config);
    if (!config) return std::unexpected(config.error());
    const auto client = commands.api();
    if (!client) return std::unexpected(client.error());
    const auto server = (*client)->get(path_of("/v1/servers/", config->backend.server.text));
    if (!server) return std::unexpected(server.error());
    const auto front_ends = front_end_networks(**client, arguments.front_ends);
    if (!front_ends) return std::unexpected(front_ends.error());
    backend::DovecotConfigInput input = dovecot_input(*config, *server, arguments);
    input.trusted_networks = *front_ends;
    if (!arguments.out.empty()) {
        input.config_dir = std::filesystem::absolute(arguments.out).lexically_normal().string();
    }
    if (input.version == backend::DovecotVersion::V24) {
        const auto identity = load_identity(config->node.state_dir);
        if (!identity) return std::unexpected(identity.error());
        input.authority_url = "http://" + config->backend.lookup_listen;
        input.authority_secret = agent_settings(*config, identity->secret).lookup_secret;
    }
    if (!arguments.out.empty()) return write_files(backend::dovecot_files(input), arguments.out);
    say(backend::dovecot_config(input) + firewall_rules(*server, *front_ends));
    return {};
}

/// serve and demo have exit codes of their own; they have said what was wrong already.
Result<> exit_with(int code) {
    std::exit(code);  // NOLINT(concurrency-mt-unsafe): no other thread is left
}

void add_demo(Commands& commands) {
    const auto options = std::make_shared<DemoOptions>();
    CLI::App* verb = commands.verb(
        &commands.app(), "demo", "A whole cluster on loopback, with real Dovecot servers",
        [options] {
            options->program = std::filesystem::read_symlink("/proc/self/exe").string();
            return exit_with(demo(*options));
        });
    verb->add_option("--dir", options->dir, "Folder for its files");
    verb->add_flag("--detach", options->detach, "Leave it running");
    verb->add_flag("--stop", options->stop, "End the one that runs in --dir");
}

void add_backend(Commands& commands) {
    CLI::App* backend = commands.group("backend", "The Dovecot beside this node");
    const auto arguments = std::make_shared<DovecotArguments>();
    CLI::App* verb =
        commands.verb(backend, "dovecot-config", "Print the configuration for it",
                      [&commands, arguments] { return dovecot_config(commands, *arguments); });
    verb->add_option("--dovecot", arguments->version, "2.3 or 2.4")
        ->check(CLI::IsMember({"2.3", "2.4"}))
        ->capture_default_str();
    verb->add_option("--certificate", arguments->certificate, "PEM file for its TLS");
    verb->add_option("--key", arguments->key, "PEM file of its key");
    verb->add_option("--front-ends", arguments->front_ends, "Addresses or networks of front ends")
        ->delimiter(',');
    verb->add_option("--introspection-url", arguments->oauth2.introspection_url,
                     "Where OAuth tokens are checked: offers OAUTHBEARER and XOAUTH2");
    verb->add_option("--introspection-mode", arguments->oauth2.mode, "How they are sent there")
        ->check(CLI::IsMember({"post", "get", "auth"}))
        ->capture_default_str();
    verb->add_option("--introspection-user", arguments->oauth2.username_attribute,
                     "What in the answer is the account's address")
        ->capture_default_str();
    verb->add_option("--introspection-ca", arguments->oauth2.ca,
                     "PEM file of authorities for that place");
    verb->add_option("--out", arguments->out, "Write the files into this folder");
}

void add_pages(Commands& commands) {
    const auto page = [&commands](const char* name, const char* text, std::string (*make)()) {
        commands.verb(&commands.app(), name, text, [make]() -> Result<> {
            say(make());
            return {};
        });
    };
    page("reference", "Print the reference of the node file (Markdown)", reference_page);
    page("sample-config", "Print a node file with every option", sample_file);
    page("manual", "Print the manual page of the node file (roff)", manual_page);
}

}  // namespace

void add_node_commands(Commands& commands) {
    CLI::App& app = commands.app();
    commands.verb(&app, "serve", "Run this node",
                  [&commands] { return exit_with(serve(commands.options().config)); });
    commands.verb(&app, "check", "Prove a node file and what it refers to",
                  [&commands] { return check(commands); });
    add_demo(commands);
    commands.verb(&app, "status", "The cluster at a glance", [&commands] {
        return commands.show("/v1/status", [](const json& status) { print_status(status); });
    });
    commands.verb(app.get_subcommand("node"), "reload", "Let the node read its file again",
                  [&commands] { return reload(commands); });
    CLI::App* networks = commands.group("network", "Other networks that this node follows");
    commands.verb(networks, "list", "How it stands with each of them", [&commands] {
        return commands.show_table("/v1/networks", "networks",
                                   {{"NAME", "name"},
                                    {"MODE", "mode"},
                                    {"PHASE", "phase"},
                                    {"SOURCE", "source"},
                                    {"COPIED", "entries"},
                                    {"DOMAINS", "domains"},
                                    {"REFUSED", "refused"},
                                    {"LAG MS", "lag_ms"},
                                    {"SILENT MS", "silence_ms"},
                                    {"TROUBLE", "trouble"}});
    });
    const auto wanted = std::make_shared<CertificateArguments>();
    CLI::App* issue =
        commands.verb(app.get_subcommand("certificate"), "issue",
                      "Make a key and a certificate of the cluster's authority",
                      [&commands, wanted] { return make_certificate(commands, *wanted); });
    issue->add_option("name", wanted->name, "Name of the files and of the subject")->required();
    issue->add_option("--names", wanted->names, "Host names and addresses")->delimiter(',');
    issue->add_option("--out", wanted->out, "Folder")->capture_default_str();
    issue->add_option("--days", wanted->days, "How long it is valid")->capture_default_str();
    commands.verb(app.get_subcommand("certificate"), "issued",
                  "List what the cluster's authority has signed", [&commands] {
                      return commands.show_table(
                          "/v1/authority/issued", "issued",
                          {{"NAME", "name"}, {"NAMES", "names"}, {"ENDS", "ends"}});
                  });
    const auto gone = std::make_shared<std::string>();
    commands
        .verb(app.get_subcommand("certificate"), "forget",
              "Watch the end of an issued certificate no longer: nothing uses it",
              [&commands, gone] {
                  return commands.change("DELETE", path_of("/v1/authority/issued/", *gone), nullptr,
                                         *gone + " is no longer watched");
              })
        ->add_option("name", *gone, "Name it was issued for")
        ->required();
    add_backend(commands);
    add_pages(commands);
}

}  // namespace muster::admin
