#include "backend/http_lookups.h"

#include <nlohmann/json.hpp>

#include "base/seal.h"

namespace muster::backend {
namespace {

using nlohmann::json;

net::HttpResponse text(int status, std::string body) {
    net::HttpResponse response;
    response.status = status;
    response.body = std::move(body);
    response.content_type = "text/plain; charset=utf-8";
    return response;
}

/// `quota_rule = *:bytes=N` of 2.3 is `quota_storage_size = NB` of 2.4.
std::string line(const std::string& name, std::string value) {
    constexpr std::string_view kBytes = "*:bytes=";
    if (name == "quota_rule") return "quota_storage_size=" + value.substr(kBytes.size()) + "B\n";
    for (char& one : value)
        if (one == '\n') one = ' ';
    return name + "=" + value + "\n";
}

net::HttpResponse response_of(const Answer& answer) {
    if (std::holds_alternative<NotFound>(answer)) return text(404, "");
    const auto* found = std::get_if<Found>(&answer);
    if (found == nullptr) return text(503, "");
    std::string lines;
    for (const auto& [name, value] : json::parse(found->value).items())
        lines += line(name, value.get<std::string>());
    return text(200, std::move(lines));
}

}  // namespace

net::HttpResponse http_lookup(const net::HttpRequest& request, Authority& authority,
                              std::string_view secret) {
    const std::string expected = "Bearer " + std::string(secret);
    if (secret.empty() || !equal_in_constant_time(request.header("authorization"), expected))
        return text(403, "");
    const auto value = [&request](std::string_view name) {
        return net::query_value(request.query, name).value_or("");
    };
    if (request.path == "/passdb")
        return response_of(authority.passdb({value("mechanism"), value("name"), value("resolved"),
                                             value("client"), value("session")}));
    if (request.path == "/userdb") return response_of(authority.userdb({value("name")}));
    if (request.path == "/token")
        return response_of(token_answer({value("id"), value("service"), value("name")},
                                        authority.view, authority.tokens,
                                        TokenStore::Clock::now()));
    return text(404, "");
}

}  // namespace muster::backend
