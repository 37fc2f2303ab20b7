#pragma once
// What a demo consists of: names, addresses, files. Values only; demo.cpp brings it to life.

#include <nlohmann/json.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "backend/dovecot_config.h"
#include "base/error.h"

namespace muster::admin {

struct DemoFrontEnd {
    std::string name;
    std::string folder;
    std::map<std::string, std::string> endpoints;  ///< imap, imaps, pop3 … → "ADDRESS:PORT"
};

struct DemoServer {
    std::string name;
    std::string folder;
    std::string address;
    std::map<std::string, std::uint16_t>
        ports;  ///< imap, pop3, sieve, lmtp, cluster, admin, mail_out
};

struct DemoAccount {
    std::string address;
    std::string password;
    std::string home;
};

struct DemoPlan {
    std::string dir;
    bool own_user = false;  ///< everything runs as the user who started it, who is not root
    std::vector<DemoFrontEnd> front_ends;
    std::vector<DemoServer> servers;  ///< the first one is the master, too
    std::vector<DemoAccount> accounts;

    [[nodiscard]] std::string certificate_authority() const { return dir + "/ca.pem"; }
    [[nodiscard]] std::string api_socket() const {
        return servers.front().folder + "/state/admin.sock";
    }
};

inline constexpr const char* kDemoDomains[] = {"domain1.dom", "domain2.dom"};
/// The name that all front ends' certificates carry, beside their addresses.
inline constexpr const char* kDemoHost = "mail.domain1.dom";

/// Chooses addresses in 127.0.0.0/8, ports that are free now, and passwords. Refused when `dir` is
/// too long for unix sockets.
Result<DemoPlan> plan_demo(const std::string& dir);

std::string front_end_file(const DemoPlan& plan, const DemoFrontEnd& front_end);
std::string server_file(const DemoPlan& plan, const DemoServer& server);
backend::DovecotConfigInput dovecot_input(const DemoPlan& plan, const DemoServer& server);
/// The user and group that own mail when root runs the demo.
struct DemoMailUser {
    std::string user;
    std::string group;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
};
DemoMailUser demo_mail_user();

}  // namespace muster::admin
