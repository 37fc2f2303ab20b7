#include "admin/reload.h"

#include "admin/options.h"

namespace muster::admin {
namespace {

bool at_reload(std::string_view name) {
    const std::size_t dot = name.find('.');
    if (dot == std::string_view::npos) return find_section(name)->at_reload;
    return find_option(name.substr(0, dot), name.substr(dot + 1))->at_reload;
}

}  // namespace

ReloadPlan plan_reload(const NodeConfig& running, const NodeConfig& fresh) {
    ReloadPlan plan;
    for (const auto& [name, value] : fresh.values) {
        const auto before = running.values.find(name);
        if (before != running.values.end() && before->second == value) continue;
        (at_reload(name) ? plan.taken_over : plan.need_restart).push_back(name);
    }
    return plan;
}

void take_over(NodeConfig& running, const NodeConfig& fresh) {
    running.certificates = fresh.certificates;
    running.tls_minimum = fresh.tls_minimum;
    running.node.log_level = fresh.node.log_level;
    running.node.log_format = fresh.node.log_format;
    running.node.drain_time = fresh.node.drain_time;
    for (const auto& [name, value] : fresh.values) {
        if (at_reload(name)) running.values[name] = value;
    }
}

std::string listed(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
    return text.empty() ? "none" : text;
}

}  // namespace muster::admin
