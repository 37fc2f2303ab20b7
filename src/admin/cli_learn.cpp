// `server learn`: takes over what a server offers before login.

#include "admin/commands.h"

namespace muster::admin {
namespace {

using nlohmann::json;

/// The services whose entries must change.
json changes_of(const json& offers) {
    json services = json::object();
    for (const auto& [service, offer] : offers.items()) {
        const bool differs = !offer.value("gained", json::array()).empty() ||
                             !offer.value("lost", json::array()).empty();
        if (differs) services[service]["capabilities"] = offer.value("offered", json::array());
    }
    return services;
}

std::string words(const json& list) {
    std::string text;
    for (const json& item : list) text += ' ' + item.get<std::string>();
    return text;
}

void print_difference(const json& offers) {
    for (const auto& [service, offer] : offers.items()) {
        const json gained = offer.value("gained", json::array());
        const json lost = offer.value("lost", json::array());
        if (gained.empty() && lost.empty()) say(service + ": announced as it is\n");
        if (!gained.empty()) say(service + ": offers and is not announced:" + words(gained) + "\n");
        if (!lost.empty()) say(service + ": announced and not offered:" + words(lost) + "\n");
    }
}

/// Why a service could not be asked, if there is one.
Result<> all_asked(const json& answer) {
    const json offers = answer.value("offers", json::object());
    for (const json& proof : answer.value("proofs", json::array())) {
        const std::string service = proof.value("service", "");
        if (service == "lmtp" || service == "submission" || offers.contains(service)) continue;
        if (proof.value("result", "") != "failed") continue;
        return fail(ErrorKind::Refused, service +
                                            " could not be asked: " + proof.value("step", "") +
                                            ": " + proof.value("detail", ""));
    }
    return {};
}

}  // namespace

Result<> learn_server(Commands& commands, const std::string& name) {
    const auto client = commands.api();
    if (!client) return std::unexpected(client.error());
    auto answer = (*client)->call("POST", path_of("/v1/servers/", name, "/check"));
    if (!answer) return std::unexpected(answer.error());
    if (auto asked = all_asked(*answer); !asked) return asked;
    const json offers = answer->value("offers", json::object());
    const json services = changes_of(offers);
    if (!commands.options().json) print_difference(offers);
    if (!services.empty()) {
        auto sure = commands.confirm("Announce for server " + name + " what it offers?");
        if (!sure) return sure;
        const auto changed =
            (*client)->call("PATCH", path_of("/v1/servers/", name), {{"services", services}});
        if (!changed) return std::unexpected(changed.error());
    }
    if (commands.options().json) {
        commands.print_json({{"server", name},
                             {"from", answer->value("from", "")},
                             {"services", offers},
                             {"changed", !services.empty()}});
    } else if (!services.empty()) {
        say("server " + name + ": front ends announce it now\n");
    }
    return {};
}

}  // namespace muster::admin
