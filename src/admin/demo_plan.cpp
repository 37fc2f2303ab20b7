#include "admin/demo_plan.h"

#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <random>

#include "base/endpoint.h"
#include "net/listener.h"

namespace muster::admin {
namespace {

// A unix socket's path may have 107 bytes; the longest below the folder takes about 35.
constexpr std::size_t kLongestDir = 70;

/// A port of `address` that nothing listens on at this moment.
/// Free ports, each once, below those that the kernel gives to outgoing connections
/// (ip_local_port_range begins at 32768): one of these could be taken before its server starts.
class FreePorts {
public:
    Result<std::uint16_t> next(const std::string& address) {
        for (int tried = 0; tried < kTries; ++tried) {
            const auto fd = net::listen_tcp({*IpAddress::parse(address), ++last_});
            if (!fd) continue;
            close(*fd);
            return last_;
        }
        return fail(ErrorKind::Unavailable, "no free ports on " + address);
    }

private:
    static constexpr int kTries = 1000;
    std::uint16_t last_ = static_cast<std::uint16_t>(12'000 + std::random_device()() % 16'000);
};

Result<> choose_ports(DemoPlan& plan, const std::string& network) {
    int host = 1;
    FreePorts ports;
    for (DemoServer& server : plan.servers) {
        server.address = network + std::to_string(host++);
        for (const char* use : {"imap", "pop3", "sieve", "lmtp", "cluster", "admin", "mail_out"}) {
            const auto port = ports.next(server.address);
            if (!port) return std::unexpected(port.error());
            server.ports[use] = *port;
        }
    }
    for (DemoFrontEnd& front_end : plan.front_ends) {
        const std::string address = network + std::to_string(host++);
        for (const char* use : {"imap", "imaps", "pop3", "pop3s", "sieve", "smtp", "submission",
                                "submissions", "admin", "cluster"}) {
            const auto port = ports.next(address);
            if (!port) return std::unexpected(port.error());
            front_end.endpoints[use] = address + ":" + std::to_string(*port);
        }
    }
    return {};
}

std::string random_password(std::random_device& random) {
    static constexpr char kLetters[] = "abcdefghjkmnpqrstuvwxyz23456789";
    std::string password(12, '\0');
    for (char& letter : password) letter = kLetters[random() % (sizeof kLetters - 1)];
    return password;
}

std::string quoted(const std::string& text) { return nlohmann::json(text).dump(); }

std::string node_section(const std::string& name, const std::string& roles,
                         const std::string& folder) {
    return "[node]\nname = " + quoted(name) + "\nroles = [" + roles +
           "]\nstate_dir = " + quoted(folder + "/state") + "\nworkers = 1\ndrain_time = 5\n\n";
}

std::string listener_section(const DemoFrontEnd& front_end, const std::string& endpoint,
                             const std::string& protocol, const std::string& tls) {
    return "[[listener]]\nprotocol = " + quoted(protocol) +
           "\naddress = " + quoted(front_end.endpoints.at(endpoint)) + "\ntls = " + quoted(tls) +
           "\ndefault_domain = " + quoted(kDemoDomains[0]) + "\n\n";
}

backend::DovecotService dovecot_service(const DemoServer& server, const std::string& use) {
    return {.listeners = {{server.address, server.ports.at(use), false}},
            .certificate = server.folder + "/dovecot.crt",
            .key = server.folder + "/dovecot.key"};
}

std::string mail_out_of(const DemoServer& server) {
    return server.address + ":" + std::to_string(server.ports.at("mail_out"));
}

std::string user_name(uid_t uid) {
    const passwd* found = getpwuid(uid);
    return found == nullptr ? std::to_string(uid) : found->pw_name;
}
std::string group_name(gid_t gid) {
    const group* found = getgrgid(gid);
    return found == nullptr ? std::to_string(gid) : found->gr_name;
}

}  // namespace

DemoMailUser demo_mail_user() {
    if (const passwd* nobody = getpwnam("nobody"); geteuid() == 0 && nobody != nullptr) {
        return {"nobody", group_name(nobody->pw_gid), nobody->pw_uid, nobody->pw_gid};
    }
    return {user_name(geteuid()), group_name(getegid()), geteuid(), getegid()};
}

Result<DemoPlan> plan_demo(const std::string& dir) {
    if (dir.size() > kLongestDir) {
        return fail(ErrorKind::Refused, "the folder's path is too long for unix sockets (" +
                                            std::to_string(kLongestDir) + " bytes): " + dir);
    }
    std::random_device random;
    DemoPlan plan{.dir = dir,
                  .own_user = geteuid() != 0,
                  .front_ends = {{"fe1", dir + "/fe1", {}}, {"fe2", dir + "/fe2", {}}},
                  .servers = {{"sv1", dir + "/sv1", {}, {}},
                              {"sv2", dir + "/sv2", {}, {}},
                              {"sv3", dir + "/sv3", {}, {}}},
                  .accounts = {}};
    const std::string network =
        "127." + std::to_string(1 + random() % 254) + "." + std::to_string(random() % 255) + ".";
    if (auto chosen = choose_ports(plan, network); !chosen) return std::unexpected(chosen.error());
    const std::pair<const char*, const char*> people[] = {
        {"ada@domain1.dom", "sv1"},  {"kate@domain1.dom", "sv2"}, {"john@domain1.dom", "sv3"},
        {"omar@domain2.dom", "sv1"}, {"mary@domain2.dom", "sv2"}, {"ada@domain2.dom", "sv3"}};
    for (const auto& [address, home] : people) {
        plan.accounts.push_back({address, random_password(random), home});
    }
    return plan;
}

std::string front_end_file(const DemoPlan& plan, const DemoFrontEnd& front_end) {
    const DemoServer& master = plan.servers.front();
    std::string text = node_section(front_end.name, "\"frontend\"", front_end.folder);
    text += "[cluster]\nlisten = " + quoted(front_end.endpoints.at("cluster")) + "\nmasters = [" +
            quoted(master.address + ":" + std::to_string(master.ports.at("cluster"))) + "]\n\n";
    text += "[admin]\nlisten = " + quoted(front_end.endpoints.at("admin")) + "\n\n";
    text += "[upstream]\nca = " + quoted(plan.certificate_authority()) + "\n\n";
    text += "[[certificate]]\nchain = " + quoted(front_end.folder + "/mail.crt") +
            "\nkey = " + quoted(front_end.folder + "/mail.key") + "\n\n";
    text += listener_section(front_end, "imap", "imap", "starttls");
    text += listener_section(front_end, "imaps", "imap", "implicit");
    text += listener_section(front_end, "pop3", "pop3", "starttls");
    text += listener_section(front_end, "pop3s", "pop3", "implicit");
    text += listener_section(front_end, "sieve", "sieve", "starttls");
    text += listener_section(front_end, "smtp", "smtp", "starttls");
    text += listener_section(front_end, "submission", "submission", "starttls");
    text += listener_section(front_end, "submissions", "submission", "implicit");
    text += "[mail]\nhost_name = " + quoted(front_end.name + ".domain1.dom") + "\n";
    return text;
}

std::string server_file(const DemoPlan& plan, const DemoServer& server) {
    const DemoServer& master = plan.servers.front();
    const bool is_master = &server == &master;
    const DemoMailUser mail = demo_mail_user();
    std::string text = node_section(
        server.name, is_master ? "\"master\", \"backend\"" : "\"backend\"", server.folder);
    text += "[cluster]\nlisten = " +
            quoted(server.address + ":" + std::to_string(server.ports.at("cluster"))) + "\n";
    if (!is_master) {
        text += "masters = [" +
                quoted(master.address + ":" + std::to_string(master.ports.at("cluster"))) + "]\n";
    }
    text += "\n[admin]\nlisten = " +
            quoted(server.address + ":" + std::to_string(server.ports.at("admin"))) + "\n\n";
    text += "[backend]\nserver = " + quoted(server.name) +
            "\nbase_dir = " + quoted(server.folder + "/run") +
            "\nconfig = " + quoted(server.folder + "/dovecot/dovecot.conf") +
            "\nmail_root = " + quoted(server.folder + "/mail") +
            "\nmail_uid = " + std::to_string(mail.uid) +
            "\nmail_gid = " + std::to_string(mail.gid) +
            "\nmail_out_listen = " + quoted(mail_out_of(server)) + "\n";
    if (!plan.own_user) text += "dict_socket_group = \"dovecot\"\n";
    return text;
}

backend::DovecotConfigInput dovecot_input(const DemoPlan& plan, const DemoServer& server) {
    const DemoMailUser mail = demo_mail_user();
    backend::DovecotConfigInput input;
    input.config_dir = server.folder + "/dovecot";
    input.base_dir = server.folder + "/run";
    input.state_dir = server.folder + "/dovecot-state";
    input.log_path = server.folder + "/dovecot.log";
    input.auth_socket = server.folder + "/run/muster-auth";
    input.mail_socket = server.folder + "/run/muster-mail";
    input.relay_socket = server.folder + "/run/auth-muster";
    input.hostname = server.name + ".domain1.dom";
    input.imap = dovecot_service(server, "imap");
    input.pop3 = dovecot_service(server, "pop3");
    input.sieve = dovecot_service(server, "sieve");
    input.lmtp = dovecot_service(server, "lmtp");
    input.mail_out = mail_out_of(server);
    input.trusted_networks = {"127.0.0.0/8"};
    input.users.self = plan.own_user;
    input.users.mail = mail.user;
    input.users.mail_group = mail.group;
    return input;
}

}  // namespace muster::admin
