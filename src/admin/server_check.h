#pragma once
// `server check`: proves from a front end that a server can be reached, is who it should be,
// believes what it is told of clients, and (with an account) logs one in.

#include <nlohmann/json.hpp>

#include <string>

#include "admin/node_context.h"
#include "frontend/host_addresses.h"
#include "frontend/settings.h"

namespace muster::admin {

/// A real account of the server; empty: nobody is logged in.
struct CheckLogin {
    std::string account;
    std::string password;
};

/// A list of {"step", "ok", "detail"}. Blocking threads only; some seconds at most.
nlohmann::json check_server(NodeContext& node, const frontend::UpstreamSettings& settings,
                            frontend::HostAddresses& hosts, const cluster::Server& server,
                            const CheckLogin& login);

}  // namespace muster::admin
