#include "admin/session_report.h"

namespace muster::admin {
namespace {

using nlohmann::json;

std::string names_of(const json& list) {
    std::string text;
    for (const json& name : list) text += (text.empty() ? "" : ", ") + name.get<std::string>();
    return text;
}

std::string home_troubles(const json& sessions) {
    if (sessions.contains("home_error")) return "its home: " + sessions.value("home_error", "");
    std::string text;
    for (const auto& [account, why] : sessions.value("home_errors", json::object()).items()) {
        text += (text.empty() ? "" : "; ") + std::string("home of ") + account + ": " +
                why.get<std::string>();
    }
    return text;
}

}  // namespace

Result<> all_ended(const json& sessions) {
    if (!sessions.is_object()) return {};
    const std::string unreachable = names_of(sessions.value("unreachable", json::array()));
    const std::string homes = home_troubles(sessions);
    if (unreachable.empty() && homes.empty()) return {};
    std::string text = "the change is made, but sessions may go on";
    if (!unreachable.empty()) {
        text += "; not reached: " + unreachable +
                " (a node ends what may not go on as soon as it follows the state again; one that "
                "is cut off for good must be stopped)";
    }
    if (!homes.empty()) {
        text += "; not ended: " + homes +
                " (see that node's log; when its trouble is over: muster session kick --account "
                "ADDRESS, or the same command again)";
    }
    return fail(ErrorKind::Unavailable, text);
}

}  // namespace muster::admin
