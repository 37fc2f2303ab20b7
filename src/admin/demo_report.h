#pragma once
// What a demo tells about itself: demo.json for programs, a page for people.

#include <nlohmann/json.hpp>
#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "admin/demo.h"
#include "admin/demo_plan.h"

namespace muster::admin {

/// By name of node or server.
struct DemoProcesses {
    std::map<std::string, pid_t> nodes;
    std::map<std::string, pid_t> engines;  ///< Dovecots

    [[nodiscard]] std::vector<pid_t> all() const;
};

/// The contents of demo.json.
nlohmann::json describe(const DemoPlan& plan, const DemoProcesses& running);
/// The pids that a demo.json names.
std::vector<pid_t> described_pids(const nlohmann::json& description);
/// Prints tables of nodes, servers and accounts, and what to try.
void tell(const DemoPlan& plan, const nlohmann::json& description, const DemoOptions& options);

}  // namespace muster::admin
