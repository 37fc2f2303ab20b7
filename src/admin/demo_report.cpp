#include "admin/demo_report.h"

#include <cstdio>

#include "admin/table_output.h"

namespace muster::admin {

using nlohmann::json;

std::vector<pid_t> DemoProcesses::all() const {
    std::vector<pid_t> pids;
    for (const auto& [name, pid] : nodes) pids.push_back(pid);
    for (const auto& [name, pid] : engines) pids.push_back(pid);
    return pids;
}

std::vector<pid_t> described_pids(const json& description) {
    std::vector<pid_t> pids;
    for (const char* kind : {"frontends", "servers"}) {
        for (const json& row : description.value(kind, json::array())) {
            pids.push_back(row.value("pid", 0));
            if (row.contains("engine_pid")) pids.push_back(row["engine_pid"].get<pid_t>());
        }
    }
    return pids;
}

json describe(const DemoPlan& plan, const DemoProcesses& running) {
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

void tell(const DemoPlan& plan, const json& description, const DemoOptions& options) {
    std::printf("\nA cluster of two front ends and three back ends runs in %s\n\n",
                plan.dir.c_str());
    std::fputs(format_table(description["frontends"], {{"FRONT END", "name"},
                                                       {"PID", "pid"},
                                                       {"IMAP", "imap"},
                                                       {"IMAPS", "imaps"},
                                                       {"POP3S", "pop3s"},
                                                       {"SIEVE", "sieve"},
                                                       {"SMTP", "smtp"},
                                                       {"SUBMISSIONS", "submissions"}})
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
    const DemoAccount& ada = plan.accounts[0];
    const std::string& submissions = plan.front_ends.front().endpoints.at("submissions");
    const std::string& imaps = plan.front_ends.front().endpoints.at("imaps");
    std::printf(
        "\nTry it: every front end serves every account.\n"
        "  curl --cacert %s -u %s:%s imaps://%s/\n"
        "  openssl s_client -quiet -CAfile %s -verify_return_error -connect %s\n"
        "  %s --api %s session list\n"
        "Send kate a message, as ada, and see it arrive:\n"
        "  printf 'Subject: hello\\n\\nIt works.\\n' | curl -sS --crlf --cacert %s -u %s:%s "
        "--mail-from %s --mail-rcpt %s -T - smtps://%s\n"
        "  curl --cacert %s -u %s:%s 'imaps://%s/INBOX;MAILINDEX=*'\n"
        "Any IMAP client does: server %s, TLS, one of the accounts above (authority: %s).\n",
        plan.certificate_authority().c_str(), kate.address.c_str(), kate.password.c_str(),
        imaps.c_str(), plan.certificate_authority().c_str(), imaps.c_str(), options.program.c_str(),
        plan.api_socket().c_str(), plan.certificate_authority().c_str(), ada.address.c_str(),
        ada.password.c_str(), ada.address.c_str(), kate.address.c_str(), submissions.c_str(),
        plan.certificate_authority().c_str(), kate.address.c_str(), kate.password.c_str(),
        imaps.c_str(), imaps.c_str(), plan.certificate_authority().c_str());
    if (options.detach) {
        std::printf("\nIt goes on; end it with: %s demo --stop --dir %s\n", options.program.c_str(),
                    plan.dir.c_str());
    } else {
        std::printf("\nCtrl-C ends it (folder: %s).\n", plan.dir.c_str());
    }
    std::fflush(stdout);
}

}  // namespace muster::admin
