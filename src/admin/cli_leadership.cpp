// Verbs that say or change who leads: cluster masters, promote, accept-loss.

#include <algorithm>

#include "admin/commands.h"
#include "admin/table_output.h"

namespace muster::admin {
namespace {

using nlohmann::json;

struct PromoteArguments {
    std::string name;
    bool force = false;
};

const json* row_of(const json& masters, const std::string& name) {
    const auto row = std::ranges::find_if(
        masters, [&name](const json& one) { return one.value("name", "") == name; });
    return row == masters.end() ? nullptr : &*row;
}

std::string leader_in(const json& masters) {
    std::string leader;
    for (const json& row : masters) {
        if (!row.value("leads", false)) continue;
        leader += (leader.empty() ? "" : " and ") + row.value("name", "");
        if (!row.value("writes", false))
            leader += " (refuses changes: " + printable(row.value("why", "")) + ")";
    }
    return leader.empty() ? "no node that can be reached" : leader;
}

/// Who leads now, how far the other one is behind, what may be lost.
std::string outlook(const json& masters, const PromoteArguments& wanted) {
    std::string text = "Now " + leader_in(masters) + " leads.\n";
    for (const json& row : masters) {
        const std::string name = row.value("name", "");
        if (!row.value("reachable", false)) {
            text += name + " cannot be reached.\n";
        } else {
            text += name + " stands at revision " + std::to_string(row.value("revision", 0ULL)) +
                    ", " + std::to_string(row.value("behind", 0ULL)) + " behind the furthest.\n";
        }
    }
    if (!wanted.force) {
        return text + wanted.name + " will lead; changes wait for a moment, nothing is lost.\n";
    }
    const json* row = row_of(masters, wanted.name);
    const auto behind = row == nullptr ? 0ULL : row->value("behind", 0ULL);
    text += wanted.name + " will lead with what it has";
    if (behind != 0) text += ", although another node has " + std::to_string(behind) + " more";
    return text +
           ". What the former master wrote and did not tell it before it went away is lost to the "
           "cluster; that node keeps it in a file when it returns.\n";
}

Result<> promote(Commands& commands, const PromoteArguments& arguments) {
    const auto client = commands.api();
    if (!client) return std::unexpected(client.error());
    const auto known = (*client)->call("GET", "/v1/cluster/masters", nullptr);
    if (!known) return std::unexpected(known.error());
    if (!commands.options().json) say(outlook((*known)["masters"], arguments));
    auto sure = commands.confirm("Promote " + arguments.name + "?");
    if (!sure) return sure;
    return commands.change("POST", "/v1/cluster/promote",
                           {{"name", arguments.name}, {"force", arguments.force}},
                           arguments.name + " leads now");
}

Result<> accept_loss(Commands& commands) {
    auto sure = commands.confirm(
        "The master goes on with what it has; nodes that have more are made equal to it. Is that "
        "wanted?");
    if (!sure) return sure;
    return commands.change("POST", "/v1/cluster/accept-loss", nullptr, "the master goes on");
}

}  // namespace

void add_leadership_commands(Commands& commands, CLI::App* group) {
    commands.verb(group, "masters", "Who leads, who may, and how far each is behind", [&commands] {
        return commands.show_table("/v1/cluster/masters", "masters",
                                   {{"NAME", "name"},
                                    {"REACHABLE", "reachable"},
                                    {"LEADS", "leads"},
                                    {"MAY LEAD", "may_lead"},
                                    {"MASTERSHIP", "mastership"},
                                    {"REVISION", "revision"},
                                    {"BEHIND", "behind"},
                                    {"WHY", "why"}});
    });
    const auto wanted = std::make_shared<PromoteArguments>();
    CLI::App* verb = commands.verb(group, "promote", "Make another node the master",
                                   [&commands, wanted] { return promote(commands, *wanted); });
    verb->add_option("name", wanted->name, "Node that is to lead")->required();
    verb->add_flag("--force", wanted->force,
                   "Without the present master, which is lost or stopped");
    commands.verb(group, "accept-loss",
                  "The master goes on with what it has; others lose what is newer",
                  [&commands] { return accept_loss(commands); });
}

}  // namespace muster::admin
