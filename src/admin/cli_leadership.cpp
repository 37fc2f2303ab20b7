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

/// Why a forced promotion would be refused, before anybody is asked whether they are sure.
Result<> can_take_over(const json& masters, const std::string& name) {
    const json* row = row_of(masters, name);
    if (row == nullptr) {
        return fail(ErrorKind::NotFound, "there is no node " + name +
                                             " with the role master: muster cluster masters lists "
                                             "them");
    }
    if (!row->value("reachable", false)) {
        return fail(ErrorKind::Unavailable, name + " cannot be reached (" + row->value("why", "") +
                                                "). It must run to lead; nothing was changed");
    }
    if (row->value("leads", false)) return {};
    const auto leader = std::ranges::find_if(masters, [](const json& one) {
        return one.value("leads", false) && one.value("writes", false);
    });
    if (leader == masters.end()) return {};
    return fail(ErrorKind::Refused, leader->value("name", "") +
                                        " leads and answers: muster cluster promote " + name +
                                        " without --force loses nothing. (If " + name +
                                        " cannot reach it, do this on " + name + ")");
}

Result<> promote(Commands& commands, const PromoteArguments& arguments) {
    const auto client = commands.api();
    if (!client) return std::unexpected(client.error());
    const auto known = (*client)->call("GET", "/v1/cluster/masters", nullptr);
    if (!known) return std::unexpected(known.error());
    if (arguments.force) {
        if (auto can = can_take_over((*known)["masters"], arguments.name); !can) return can;
    }
    if (!commands.options().json) say(outlook((*known)["masters"], arguments));
    auto sure = commands.confirm("Promote " + arguments.name + "?");
    if (!sure) return sure;
    return commands.change("POST", "/v1/cluster/promote",
                           {{"name", arguments.name}, {"force", arguments.force}},
                           arguments.name + " leads now");
}

Result<> accept_loss(Commands& commands, const std::string& revoked) {
    const bool revokes = !revoked.empty();
    auto sure = commands.confirm(
        "The master goes on with what it has; nodes that have more are made equal to it" +
        (revokes ? ", and " + revoked + " is revoked" : "") + ". Is that wanted?");
    if (!sure) return sure;
    return commands.change("POST", "/v1/cluster/accept-loss",
                           revokes ? json{{"revoke", revoked}} : json(),
                           "the master goes on" + (revokes ? ", " + revoked + " is revoked" : ""));
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
    const auto revoked = std::make_shared<std::string>();
    verb = commands.verb(group, "accept-loss",
                         "The master goes on with what it has; others lose what is newer",
                         [&commands, revoked] { return accept_loss(commands, *revoked); });
    verb->add_option("--revoke", *revoked,
                     "Node that claims to have more, and is not to be believed");
}

}  // namespace muster::admin
