#include "admin/field_values.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "admin/files.h"
#include "cluster/entries.h"

namespace muster::admin {
namespace {

using nlohmann::json;
using enum FieldType;

constexpr std::array kDomain{
    Field{"kind", Text, "shared (any node), local (one node's own) or remote (mail is passed on)"},
    Field{"node", Text, "the node of a local domain"},
    Field{"servers", List, "where its accounts live; new ones are placed by weight"},
    Field{"unknown_server", Text, "server that refuses unknown names"},
    Field{"default_for.addresses", List, "local addresses whose names have this domain"},
    Field{"default_for.tls_names", List, "TLS server names that do so"},
    Field{"case", Text, "fold or keep the case of names"},
    Field{"mail", Text, "inline, queue or inline-only: when mail is answered for"},
    Field{"catch_all", Text, "address that gets mail for unknown ones; empty: refused"},
    Field{"detail", Text,
          "what begins the detail of a sub-address (user+detail): +, -, _, =, # or none"},
    Field{"route", List, "HOST[:PORT] of a remote domain, in order; empty: its MX"},
    Field{"tls", Text,
          "towards a remote domain: automatic, none, opportunistic, encrypted or verified"},
    Field{"retry.first", Number,
          "seconds after a first failed try of mail for a remote domain; else as the node's file "
          "says"},
    Field{"retry.longest", Number, "seconds between tries in the end"},
    Field{"retry.expire_after", Number, "age in seconds at which such mail is given up"},
    Field{"retry.delay_report_after", Number,
          "age in seconds at which its sender is told of the delay; 0: never"},
    Field{"limits.connections", Number,
          "messages on their way to a remote domain's hosts at a time; 0: the node's limit"},
    Field{"limits.messages", Number, "messages a minute to it; 0: no limit"},
    Field{"message_bytes", Number, "largest message for a remote domain; 0: no limit of its own"},
    Field{"filters", List, "names of filters for a remote domain; kept, and not used yet"},
    Field{"source", List, "local addresses from which its accounts' mail goes to the world"},
    Field{"helo", Text, "the name said there; empty: the node's"},
};

constexpr std::array kServer{
    Field{"kind", Text, "dovecot or foreign"},
    Field{"node", Text, "the node beside it (dovecot)"},
    Field{"host", Text, "address or host name"},
    Field{"source", List, "local addresses to connect from"},
    Field{"admin", Text, "up, drain or down"},
    Field{"introduce", Text, "how the client's address is told: xclient, proxy or none"},
    Field{"login", Text, "own, master or token"},
    Field{"tls_name", Text, "name that its certificate must bear"},
    Field{"ca", Text, "PEM certificates to trust (@FILE)"},
    Field{"weight", Number, "share of new accounts; 0: none"},
    Field{"*.port", Number, "port of a service (imap.port …)"},
    Field{"*.tls", Text, "none, starttls or implicit"},
    Field{"*.cache", Number, "warm connections kept by each front end; else as upstream.warm"},
    Field{"*.log", Text,
          "log level of its sessions: debug, info (as the node's), warning, error, off"},
    Field{"*.capabilities", List, "announced before login"},
};

constexpr std::array kNode{
    Field{"scope", Text, "mirror, relay, frontend or backend"},
    Field{"master", Switch, "whether it leads: muster cluster promote changes that"},
    Field{"eligible", Switch, "whether it may be promoted"},
    Field{"cluster", Text, "HOST:PORT of its cluster listener"},
    Field{"pin", Text, "sha256//… of its key"},
    Field{"smtp", List, "HOST:PORT of its SMTP listeners; the node itself says them"},
    Field{"admin", Text, "up or drain"},
    Field{"revoked", Switch, "no longer believed"},
    Field{"credentials", Switch,
          "a mirror: it gets the credentials for delivery, sealed for it alone; else none"},
};

constexpr std::array kAccount{
    Field{"home", Text, "server that serves it; its mail is not moved"},
    Field{"quota", Number, "bytes; 0: no limit"},
    Field{"state", Text, "active or disabled"},
    Field{"epoch", Number, "grows when the mailbox starts anew"},
};

struct Word {
    std::string name;
    std::string value;
};

std::string with_underscores(std::string text) {
    std::ranges::replace(text, '-', '_');
    return text;
}

/// "retry.first" as one also types it.
std::string without_dots(std::string text) {
    std::ranges::replace(text, '.', '_');
    return text;
}

Result<std::vector<Word>> pairs(const std::vector<std::string>& words) {
    std::vector<Word> found;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const bool dashed = words[i].starts_with("--");
        const std::string word = dashed ? words[i].substr(2) : words[i];
        const std::size_t equals = word.find('=');
        if (equals != std::string::npos) {
            found.push_back({with_underscores(word.substr(0, equals)), word.substr(equals + 1)});
        } else if (dashed && i + 1 < words.size() && !words[i + 1].starts_with("--")) {
            found.push_back({with_underscores(word), words[++i]});
        } else if (dashed) {
            found.push_back({with_underscores(word), "true"});
        } else {
            return fail(ErrorKind::Syntax, "\"" + words[i] + "\" is not FIELD=VALUE");
        }
    }
    return found;
}

/// "imap.port" or "imap_port" → "imap.port"; empty when it begins with no service.
std::string service_field(const std::string& name) {
    for (const cluster::Service service : cluster::kServices) {
        const std::string prefix(cluster::name(service));
        if (name.size() <= prefix.size() || !name.starts_with(prefix)) continue;
        const char between = name[prefix.size()];
        if (between == '.' || between == '_') return prefix + "." + name.substr(prefix.size() + 1);
    }
    return {};
}

struct Match {
    const Field* field;
    std::string pointer;  ///< JSON pointer
};

Result<Match> find(std::span<const Field> known, const std::string& name) {
    const std::string service = service_field(name);
    for (const Field& field : known) {
        const std::string path(field.path);
        if (path.starts_with("*.")) {
            if (service.empty() || service.substr(service.find('.')) != path.substr(1)) continue;
            std::string pointer = "/services/" + service;
            std::ranges::replace(pointer, '.', '/');
            return Match{&field, pointer};
        }
        const std::size_t dot = path.find('.');
        const bool short_name = dot != std::string::npos && path.substr(dot + 1) == name;
        if (path != name && !short_name && without_dots(path) != name) continue;
        std::string pointer = "/" + path;
        std::ranges::replace(pointer, '.', '/');
        return Match{&field, pointer};
    }
    std::string names;
    for (const Field& field : known) names += (names.empty() ? "" : ", ") + std::string(field.path);
    return fail(ErrorKind::Syntax, "unknown field \"" + name + "\"; known are " + names);
}

json list_from(const std::string& text) {
    json list = json::array();
    std::size_t begin = 0;
    while (begin <= text.size()) {
        const std::size_t end = std::min(text.find(',', begin), text.size());
        if (end > begin) list.push_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return list;
}

Result<json> value_from(const Field& field, const std::string& text) {
    if (text.empty()) return json();
    switch (field.type) {
        case List: return list_from(text);
        case Switch:
            if (text == "true" || text == "yes") return json(true);
            if (text == "false" || text == "no") return json(false);
            return fail(ErrorKind::Syntax, std::string(field.path) + " wants true or false");
        case Number: {
            std::uint64_t number = 0;
            const auto [end, error] =
                std::from_chars(text.data(), text.data() + text.size(), number);
            if (error != std::errc{} || end != text.data() + text.size()) {
                return fail(ErrorKind::Syntax, std::string(field.path) + " wants a number");
            }
            return json(number);
        }
        case Text: break;
    }
    if (!text.starts_with('@')) return json(text);
    auto content = read_file(text.substr(1));
    if (!content) return std::unexpected(content.error());
    return json(std::move(*content));
}

}  // namespace

std::span<const Field> domain_fields() { return kDomain; }
std::span<const Field> server_fields() { return kServer; }
std::span<const Field> node_fields() { return kNode; }
std::span<const Field> account_fields() { return kAccount; }

Result<json> object_from(std::span<const Field> known, const std::vector<std::string>& words) {
    const auto given = pairs(words);
    if (!given) return std::unexpected(given.error());
    json object = json::object();
    for (const Word& word : *given) {
        const auto match = find(known, word.name);
        if (!match) return std::unexpected(match.error());
        auto value = value_from(*match->field, word.value);
        if (!value) return std::unexpected(value.error());
        object[json::json_pointer(match->pointer)] = std::move(*value);
    }
    return object;
}

std::string describe(std::span<const Field> known) {
    std::string text = "Fields (FIELD=VALUE or --FIELD VALUE):\n";
    for (const Field& field : known) {
        std::string name(field.path);
        if (name.starts_with("*")) name.replace(0, 1, "SERVICE");
        text += "  " + name + std::string(name.size() < 24 ? 24 - name.size() : 1, ' ') +
                std::string(field.text) + "\n";
    }
    return text;
}

}  // namespace muster::admin
