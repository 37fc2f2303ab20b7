#include "state/scope.h"

#include <algorithm>
#include <array>

#include "state/json_value.h"

namespace muster::state {
namespace {

struct Family {
    std::string_view name;
    Scope scope;
    bool came_later = false;  ///< than the first version
};

/// The smallest scope that sees each family of keys (ARCHITECTURE.md, "State").
constexpr std::array kFamilies{
    Family{"account", Scope::Relay},
    Family{"alias", Scope::Relay},
    Family{"domain", Scope::Mirror},
    Family{"node", Scope::Mirror},
    Family{"server", Scope::Relay},
    Family{"setting", Scope::Relay},
    Family{"certificate", Scope::Frontend},
    Family{"credential", Scope::Frontend},
    Family{"delivery", Scope::Frontend, true},
    Family{"secret", Scope::Frontend, true},
    Family{"dkim", Scope::Frontend, true},
    Family{"key", Scope::Backend},
    Family{"shared-acl", Scope::Backend},
    Family{"admin", Scope::Backend},
    Family{"token", Scope::All},
    Family{"issued", Scope::All},
};

constexpr std::string_view kDelivery = "delivery/";
constexpr std::array<std::string_view, 5> kNames{"mirror", "relay", "frontend", "backend", "all"};

/// Null: of no family that this version knows.
const Family* family_of(std::string_view key) {
    const auto slash = key.find('/');
    if (slash == std::string_view::npos) return nullptr;
    const auto* const found = std::ranges::find(kFamilies, key.substr(0, slash), &Family::name);
    return found == kFamilies.end() ? nullptr : found;
}

bool sees_delivery(std::string_view key, Sight sight) {
    return sight.delivery && key.starts_with(kDelivery);
}

bool is_true(const nlohmann::json& object, const char* field) {
    const auto found = object.find(field);
    return found != object.end() && found->is_boolean() && found->get<bool>();
}

}  // namespace

std::string_view name(Scope scope) { return kNames[static_cast<std::size_t>(scope)]; }

std::optional<Scope> scope_from(std::string_view text) {
    for (const Scope scope : {Scope::Mirror, Scope::Relay, Scope::Frontend, Scope::Backend}) {
        if (text == name(scope)) return scope;
    }
    return std::nullopt;
}

bool visible(std::string_view key, Sight sight) {
    if (sight.scope == Scope::All || sees_delivery(key, sight)) return true;
    const Family* family = family_of(key);
    return family != nullptr && family->scope <= sight.scope &&
           !(family->came_later && sight.only_first_families);
}

bool forbidden(std::string_view key, Sight sight) {
    if (key.find('/') == std::string_view::npos) return sight.scope != Scope::All;
    const Family* family = family_of(key);
    return family != nullptr && family->scope > sight.scope && !sees_delivery(key, sight);
}

bool visible(std::string_view key, std::string_view value, Sight sight) {
    if (!visible(key, sight)) return false;
    if (sight.scope != Scope::Mirror || key.starts_with(kDelivery)) return true;
    const nlohmann::json object = parse_json(value);
    if (!object.is_object()) return false;
    if (key.starts_with("domain/")) {
        const auto kind = object.find("kind");
        return kind != object.end() && *kind == "remote";
    }
    return is_true(object, "master") || is_true(object, "eligible");
}

}  // namespace muster::state
