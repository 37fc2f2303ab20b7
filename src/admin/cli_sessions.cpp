// Verbs of sessions.

#include "admin/commands.h"
#include "admin/progress.h"

namespace muster::admin {
namespace {

using nlohmann::json;

struct Filter {
    std::string id;
    std::string account;
    std::string server;
    std::string client;
    std::string service;
};

void add_filter(CLI::App* verb, Filter& filter) {
    verb->add_option("--id", filter.id, "The session of this id");
    verb->add_option("--account", filter.account, "Those of this account");
    verb->add_option("--server", filter.server, "Those on this server");
    verb->add_option("--client", filter.client, "Those of this client address");
    verb->add_option("--service", filter.service, "imap, pop3 or sieve");
}

std::vector<std::pair<const char*, std::string>> given(const Filter& filter) {
    std::vector<std::pair<const char*, std::string>> fields;
    for (const auto& [name, value] :
         std::initializer_list<std::pair<const char*, std::string>>{{"id", filter.id},
                                                                    {"account", filter.account},
                                                                    {"server", filter.server},
                                                                    {"client", filter.client},
                                                                    {"service", filter.service}}) {
        if (!value.empty()) fields.emplace_back(name, value);
    }
    return fields;
}

std::string clock_time(std::int64_t seconds) {
    const std::time_t time = seconds;
    std::tm parts{};
    localtime_r(&time, &parts);
    std::array<char, 32> text{};
    const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &parts);
    return {text.data(), size};
}

void warn_of_unreachable(const json& answer) {
    const json unreachable = answer.value("unreachable", json::array());
    if (unreachable.empty()) return;
    std::fprintf(stderr, "muster: these nodes could not be reached: %s\n",
                 format_value(unreachable).c_str());
}

Result<> list_sessions(Commands& commands, const Filter& filter) {
    std::string path = "/v1/sessions?limit=100000";
    for (const auto& [name, value] : given(filter)) {
        path += std::string("&") + name + "=" + net::percent_encoded(value);
    }
    return commands.show(path, [](json answer) {
        for (json& session : answer["sessions"]) {
            session["since"] = clock_time(session.value("since", std::int64_t{0}));
        }
        say(format_table(answer["sessions"], {{"ID", "id"},
                                              {"ACCOUNT", "account"},
                                              {"SERVICE", "service"},
                                              {"CLIENT", "client"},
                                              {"TLS", "tls"},
                                              {"NODE", "node"},
                                              {"SERVER", "server"},
                                              {"SINCE", "since"}}));
        warn_of_unreachable(answer);
    });
}

Result<> kick(Commands& commands, const Filter& filter) {
    json body = json::object();
    std::string whom;
    for (const auto& [name, value] : given(filter)) {
        body[name] = value;
        whom += (whom.empty() ? "" : ", ") + std::string(name) + " " + value;
    }
    if (body.empty())
        return std::unexpected(Error{ErrorKind::Syntax, "usage", "say which sessions"});
    if (filter.id.empty() && filter.account.empty()) {
        if (auto sure = commands.confirm("End all sessions with " + whom + "?"); !sure) return sure;
    }
    const auto client = commands.api();
    if (!client) return std::unexpected(client.error());
    const auto answer = (*client)->call("POST", "/v1/sessions/kick", body);
    if (!answer) return std::unexpected(answer.error());
    if (commands.options().json) {
        commands.print_json(*answer);
    } else {
        say(with_commas(answer->value("kicked", std::uint64_t{0})) + " sessions ended\n");
    }
    for (const auto& [name, why] : answer->value("refused", json::object()).items()) {
        return fail(ErrorKind::Refused, name + ": " + why.get<std::string>());
    }
    const json unreachable = answer->value("unreachable", json::array());
    if (unreachable.empty()) return {};
    return fail(ErrorKind::Unavailable, "sessions may go on at nodes that could not be reached: " +
                                            format_value(unreachable) +
                                            "; kick again when they answer");
}

}  // namespace

void add_session_commands(Commands& commands) {
    CLI::App* group = commands.group("session", "Sessions of clients, on all front ends");
    const auto wanted = std::make_shared<Filter>();
    add_filter(commands.verb(group, "list", "List them",
                             [&commands, wanted] { return list_sessions(commands, *wanted); }),
               *wanted);
    const auto unwanted = std::make_shared<Filter>();
    add_filter(commands.verb(group, "kick", "End some of them",
                             [&commands, unwanted] { return kick(commands, *unwanted); }),
               *unwanted);
}

}  // namespace muster::admin
