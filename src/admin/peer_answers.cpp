#include "admin/peer_answers.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace muster::admin {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMostKicked = 1'000'000'000;

enum class Is : std::uint8_t { Text, Number, Flag, Texts, TextsByName };

struct Field {
    std::string_view name;
    Is is;
    bool needed = false;
};

bool is_text(const json& value) { return value.is_string(); }

bool fits(const json& value, Is is) {
    switch (is) {
        case Is::Text: return value.is_string();
        case Is::Number: return value.is_number_integer();
        case Is::Flag: return value.is_boolean();
        case Is::Texts: return value.is_array() && std::ranges::all_of(value, is_text);
        case Is::TextsByName: return value.is_object() && std::ranges::all_of(value, is_text);
    }
    return false;
}

/// An object whose known fields are of their type; what a newer version adds is let through.
bool has(const json& object, std::span<const Field> fields) {
    if (!object.is_object()) return false;
    return std::ranges::all_of(fields, [&object](const Field& field) {
        const auto found = object.find(field.name);
        return found == object.end() ? !field.needed : fits(*found, field.is);
    });
}

/// Absent, or a list of such objects.
bool lists(const json& object, std::string_view name, std::span<const Field> fields) {
    const auto found = object.find(name);
    if (found == object.end()) return true;
    return found->is_array() &&
           std::ranges::all_of(*found, [fields](const json& one) { return has(one, fields); });
}

/// An object of such objects.
bool maps(const json& object, std::span<const Field> fields) {
    return object.is_object() &&
           std::ranges::all_of(object, [fields](const json& one) { return has(one, fields); });
}

constexpr std::array kStatus{Field{"name", Is::Text, true}, Field{"reachable", Is::Flag, true},
                             Field{"roles", Is::Texts},     Field{"version", Is::Text},
                             Field{"uptime", Is::Number},   Field{"draining", Is::Flag},
                             Field{"sessions", Is::Number}};
constexpr std::array kReplica{
    Field{"filled", Is::Flag},     Field{"phase", Is::Text},     Field{"source", Is::Text},
    Field{"trouble", Is::Text},    Field{"entries", Is::Number}, Field{"lag_ms", Is::Number},
    Field{"age_ms", Is::Number},   Field{"cursor", Is::Text},    Field{"since", Is::Number},
    Field{"revision", Is::Number}, Field{"for_ms", Is::Number}};
constexpr std::array kAlarm{Field{"about", Is::Text, true}, Field{"text", Is::Text, true},
                            Field{"severe", Is::Flag}};
constexpr std::array kServer{Field{"name", Is::Text, true}, Field{"state", Is::Text},
                             Field{"observed", Is::TextsByName}};
constexpr std::array kSighting{Field{"time", Is::Number, true}, Field{"connected", Is::Flag, true},
                               Field{"instance", Is::Text}, Field{"address", Is::Text},
                               Field{"version", Is::Text}};
constexpr std::array kSession{Field{"id", Is::Text, true},      Field{"node", Is::Text, true},
                              Field{"account", Is::Text, true}, Field{"service", Is::Text, true},
                              Field{"client", Is::Text, true},  Field{"server", Is::Text, true},
                              Field{"since", Is::Number, true}, Field{"tls", Is::Flag, true}};
constexpr std::array kQueued{Field{"id", Is::Text, true},        Field{"state", Is::Text, true},
                             Field{"sender", Is::Text, true},    Field{"size", Is::Number, true},
                             Field{"arrived", Is::Number, true}, Field{"tries", Is::Number, true}};
constexpr std::array kQueuedRow{Field{"recipients", Is::Texts, true},
                                Field{"destinations", Is::Texts, true},
                                Field{"next_try", Is::Number, true}};
constexpr std::array kQueue{Field{"messages", Is::Number, true}, Field{"bytes", Is::Number, true},
                            Field{"loading", Is::Flag, true}};
constexpr std::array kDestination{
    Field{"destination", Is::Text, true}, Field{"parked", Is::Number, true},
    Field{"failures", Is::Number, true}, Field{"until", Is::Number}, Field{"reason", Is::Text}};
constexpr std::array kPage{Field{"next", Is::Text, true}, Field{"looked_at", Is::Number, true}};
constexpr std::array kProof{Field{"service", Is::Text, true}, Field{"step", Is::Text, true},
                            Field{"result", Is::Text, true}, Field{"ok", Is::Flag, true},
                            Field{"detail", Is::Text, true}};

}  // namespace

bool tells_kicked(const json& answer) {
    if (!answer.is_object() || !answer.contains("kicked")) return false;
    const json& kicked = answer["kicked"];
    return kicked.is_number_unsigned() && kicked.get<std::uint64_t>() <= kMostKicked;
}

bool tells_status(const json& answer) {
    return has(answer, kStatus) &&
           (!answer.contains("replica") || has(answer["replica"], kReplica)) &&
           (!answer.contains("queue") || has(answer["queue"], kQueue)) &&
           lists(answer, "alarms", kAlarm) && lists(answer, "servers", kServer) &&
           (!answer.contains("seen") || maps(answer["seen"], kSighting));
}

bool tells_sessions(const json& answer) {
    return answer.is_object() && answer.contains("sessions") && lists(answer, "sessions", kSession);
}

bool tells_queue(const json& answer) {
    return has(answer, kPage) && lists(answer, "messages", kQueued) &&
           lists(answer, "messages", kQueuedRow) && lists(answer, "queues", kQueue);
}

bool tells_destinations(const json& answer) {
    return answer.is_object() && lists(answer, "destinations", kDestination);
}

bool tells_queued(const json& answer) { return has(answer, kQueued); }

bool tells_changed(const json& answer) {
    return answer.is_object() && answer.contains("changed") &&
           answer["changed"].is_number_unsigned() &&
           answer["changed"].get<std::uint64_t>() <= kMostKicked;
}

bool tells_proofs(const json& answer) {
    return answer.is_object() && answer.contains("proofs") && lists(answer, "proofs", kProof);
}

}  // namespace muster::admin
