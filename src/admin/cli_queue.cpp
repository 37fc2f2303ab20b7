// Verbs of the queues of all front ends.

#include <filesystem>
#include <set>

#include "admin/commands.h"
#include "admin/progress.h"
#include "admin/queue_tables.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;

constexpr std::size_t kPageSize = 1'000;
constexpr std::size_t kIdsACall = 1'000;
constexpr std::size_t kShownBefore = 10;  ///< of what is about to be changed

struct Filter {
    std::string sender, recipient, domain, destination, server, state, older, newer;
    bool here = false;

    [[nodiscard]] std::vector<std::pair<const char*, std::string>> given() const {
        std::vector<std::pair<const char*, std::string>> fields;
        for (const auto& [name, value] : {std::pair{"sender", &sender},
                                          {"recipient", &recipient},
                                          {"domain", &domain},
                                          {"destination", &destination},
                                          {"server", &server},
                                          {"state", &state},
                                          {"older", &older},
                                          {"newer", &newer}}) {
            if (!value->empty()) fields.emplace_back(name, *value);
        }
        return fields;
    }
};

void add_filter(CLI::App* verb, Filter& filter) {
    verb->add_option("--sender", filter.sender,
                     "Of this sender (* for any characters; <>: reports)");
    verb->add_option("--recipient", filter.recipient, "To this address (*)");
    verb->add_option("--domain", filter.domain, "To somebody in this domain (*)");
    verb->add_option("--destination", filter.destination,
                     "Last tried for this destination, as in queue destinations (*)");
    verb->add_option("--server", filter.server, "Last tried for this server of the cluster");
    verb->add_option("--state", filter.state, "waiting, parked (for a destination), trying, held");
    verb->add_option("--older", filter.older, "Arrived longer ago than this (90s, 15m, 4h, 2d)");
    verb->add_option("--newer", filter.newer, "Arrived within this time");
}

void add_here(CLI::App* verb, bool& here) {
    verb->add_flag("--here", here, "Only the queue of the node that is asked");
}

Result<> reached_all(const json& answer, const char* what) {
    for (const auto& [node, why] : answer.value("refused", json::object()).items()) {
        return fail(ErrorKind::Refused, node + ": " + why.get<std::string>());
    }
    const std::string missing = unreachable_nodes(answer);
    if (missing.empty()) return {};
    return fail(ErrorKind::Unavailable, what + missing);
}

std::uint64_t messages_in(const json& queues) {
    std::uint64_t count = 0;
    for (const json& queue : queues) count += queue.value("messages", std::uint64_t{0});
    return count;
}

/// Pages until `most` rows are there: each call looks at a bounded part of the queues.
Result<json> collect(Commands& commands, const Filter& filter, std::size_t most) {
    const auto client = commands.api();
    if (!client) return std::unexpected(client.error());
    json all{{"messages", json::array()}, {"next", ""}};
    Progress progress;
    std::uint64_t looked_at = 0;
    for (std::string cursor;;) {
        const std::size_t room = most - all["messages"].size();
        std::string path = "/v1/queue?limit=" + std::to_string(std::min(room, kPageSize));
        for (const auto& [name, value] : filter.given()) {
            path += std::string("&") + name + "=" + net::percent_encoded(value);
        }
        if (!cursor.empty()) path += "&cursor=" + cursor;
        if (filter.here) path += "&here=1";
        auto page = (*client)->get(path);
        if (!page) return std::unexpected(page.error());
        for (json& row : (*page)["messages"]) all["messages"].push_back(std::move(row));
        all["queues"] = (*page)["queues"];
        all["unreachable"] = page->value("unreachable", json::array());
        cursor = page->value("next", "");
        all["next"] = cursor;
        looked_at += page->value("looked_at", std::uint64_t{0});
        if (cursor.empty() || all["messages"].size() >= most) return all;
        progress.tell("looked at " + with_commas(looked_at) + " of " +
                      with_commas(messages_in(all["queues"])) + " messages, " +
                      with_commas(all["messages"].size()) + " found");
    }
}

Result<> list_queue(Commands& commands, const Filter& filter, std::size_t limit) {
    const auto found = collect(commands, filter, limit);
    if (!found) return std::unexpected(found.error());
    if (commands.options().json) {
        commands.print_json(*found);
        return {};
    }
    print_messages((*found)["messages"]);
    print_queues((*found)["queues"]);
    if (!found->value("next", "").empty()) {
        std::fprintf(stderr, "muster: there may be more: --limit, or a filter\n");
    }
    warn_of_unreachable(*found);
    return {};
}

Result<> show_message(Commands& commands, const std::string& id, bool text) {
    if (!text) return commands.show(path_of("/v1/queue/", id), print_message);
    const auto client = commands.api();
    if (!client) return std::unexpected(client.error());
    auto got = (*client)->download(
        path_of("/v1/queue/", id, "/message"), nullptr, [](std::string_view piece) {
            return std::fwrite(piece.data(), 1, piece.size(), stdout) == piece.size();
        });
    if (got && std::fflush(stdout) != 0) return fail(ErrorKind::Io, "writing failed");
    return got;
}

struct Choice {
    std::vector<std::string> ids;
    Filter filter;
    bool all = false;
};

std::unexpected<Error> usage(const char* text) {
    return std::unexpected(Error{ErrorKind::Syntax, "usage", text});
}

struct Change {
    const char* verb;
    const char* done;
    bool asks;
};

/// Sends ids in calls of bounded size; `answer` is the sum.
Result<json> send_ids(Commands& commands, const Change& change, const json& rows, bool here) {
    const auto client = commands.api();
    if (!client) return std::unexpected(client.error());
    Progress progress;
    json sum{{"changed", std::uint64_t{0}}, {"refused", json::object()}};
    std::set<std::string> unreachable;
    for (std::size_t at = 0; at < rows.size(); at += kIdsACall) {
        json ids = json::array();
        for (std::size_t i = at; i < std::min(at + kIdsACall, rows.size()); ++i) {
            ids.push_back(rows[i]["id"]);
        }
        const auto answer = (*client)->call(
            "POST", std::string("/v1/queue/") + change.verb + (here ? "?here=1" : ""),
            {{"ids", std::move(ids)}});
        if (!answer) return std::unexpected(answer.error());
        sum["changed"] =
            sum["changed"].get<std::uint64_t>() + answer->value("changed", std::uint64_t{0});
        sum["refused"].update(answer->value("refused", json::object()));
        for (const json& node : answer->value("unreachable", json::array())) {
            unreachable.insert(node.get<std::string>());
        }
        progress.tell(with_commas(sum["changed"].get<std::uint64_t>()) + " of " +
                      with_commas(rows.size()) + " messages " + change.done);
    }
    sum["unreachable"] = unreachable;
    return sum;
}

Result<json> chosen_rows(Commands& commands, const Choice& choice) {
    if (choice.ids.empty()) {
        auto found = collect(commands, choice.filter, ~std::size_t{0});
        if (!found) return std::unexpected(found.error());
        warn_of_unreachable(*found);
        return std::move((*found)["messages"]);
    }
    const auto client = commands.api();
    if (!client) return std::unexpected(client.error());
    json rows = json::array();
    for (const std::string& id : choice.ids) {
        auto one = (*client)->get(path_of("/v1/queue/", id));
        if (!one) return std::unexpected(one.error());
        json recipients = json::array();
        for (const json& each : (*one)["recipients"]) {
            if (recipients.empty()) recipients.push_back(each["address"]);
        }
        (*one)["recipient_count"] = (*one)["recipients"].size();
        (*one)["recipients"] = std::move(recipients);
        rows.push_back(std::move(*one));
    }
    return rows;
}

Result<> report(Commands& commands, const json& answer, const char* done) {
    if (commands.options().json) {
        commands.print_json(answer);
    } else {
        say(with_commas(answer.value("changed", std::uint64_t{0})) + " messages " + done + "\n");
    }
    return reached_all(answer, "these nodes could not be reached, their queues are as before: ");
}

/// Shows what it is about, asks where mail is lost by it, and does it.
Result<> change_messages(Commands& commands, const Change& change, const Choice& choice) {
    if (choice.ids.empty() == (choice.filter.given().empty() && !choice.all)) {
        return usage("say which messages: ids, or a filter, or --all");
    }
    const auto rows = chosen_rows(commands, choice);
    if (!rows) return std::unexpected(rows.error());
    if (change.asks && !rows->empty()) {
        json some = json::array();
        for (const json& row : *rows) {
            if (some.size() < kShownBefore) some.push_back(row);
        }
        if (!commands.options().json) print_messages(some);
        auto sure = commands.confirm("Remove " + with_commas(rows->size()) +
                                     " messages for good? Nobody is told.");
        if (!sure) return sure;
    }
    const auto answer = send_ids(commands, change, *rows, choice.filter.here);
    if (!answer) return std::unexpected(answer.error());
    auto done = report(commands, *answer, change.done);
    const std::uint64_t left = rows->size() - answer->value("changed", std::uint64_t{0});
    if (!done || left == 0) return done;
    return fail(ErrorKind::Conflict, with_commas(left) +
                                         " messages are as they were: they are just being tried, "
                                         "or have gone; look again");
}

Result<> flush(Commands& commands, const Choice& choice) {
    json body = json::object();
    if (!choice.ids.empty()) body["ids"] = choice.ids;
    if (!choice.filter.destination.empty()) body["destination"] = choice.filter.destination;
    if (!choice.filter.server.empty()) body["server"] = choice.filter.server;
    if (!choice.filter.domain.empty()) body["domain"] = choice.filter.domain;
    if (choice.all) body["all"] = true;
    if (body.size() != 1) {
        return usage("say one of: ids, --destination, --server, --domain, --all");
    }
    const auto client = commands.api();
    if (!client) return std::unexpected(client.error());
    const auto answer = (*client)->call(
        "POST", std::string("/v1/queue/flush") + (choice.filter.here ? "?here=1" : ""), body);
    if (!answer) return std::unexpected(answer.error());
    return report(commands, *answer, "are due now");
}

Result<> destinations(Commands& commands, bool here) {
    return commands.show(std::string("/v1/queue/destinations") + (here ? "?here=1" : ""),
                         print_destinations);
}

Result<> adopt(Commands& commands, const std::string& given) {
    const std::string dir = std::filesystem::absolute(given).lexically_normal().string();
    const auto client = commands.api();
    if (!client) return std::unexpected(client.error());
    const auto found = (*client)->get("/v1/queue/adoption?dir=" + net::percent_encoded(dir));
    if (!found) return std::unexpected(found.error());
    const std::string owner = found->value("owner", "");
    const bool revokes = found->value("member", false) && !found->value("revoked", false) &&
                         !found->value("ours", false);
    std::string question = "Take over the queue in " + dir + " of " + owner + "?";
    if (revokes) {
        question = "Revoke node " + owner +
                   " (it must be dead; to come back it has to join anew) "
                   "and take over its queue in " +
                   dir + "?";
    }
    if (auto sure = commands.confirm(question); !sure) return sure;
    Progress progress;
    json result;
    std::string trouble;
    std::string line;
    const auto take = [&](const json& told_now) {
        if (told_now.contains("progress")) progress.tell(adoption_text(told_now["progress"]));
        if (told_now.contains("result")) result = told_now["result"];
        if (told_now.contains("error")) trouble = told_now.value("error", "");
    };
    const auto got = (*client)->download("/v1/queue/adopt", {{"dir", dir}, {"revoke", revokes}},
                                         [&](std::string_view piece) {
                                             for (const char c : piece) {
                                                 if (c != '\n') {
                                                     line += c;
                                                     continue;
                                                 }
                                                 const json parsed = state::parse_json(line);
                                                 if (parsed.is_object()) take(parsed);
                                                 line.clear();
                                             }
                                             return true;
                                         });
    if (!got) return got;
    if (!trouble.empty()) return fail(ErrorKind::Refused, trouble);
    if (result.is_null()) {
        return fail(ErrorKind::Unavailable, "the node ended meanwhile: run it again");
    }
    if (commands.options().json) {
        commands.print_json(result);
    } else {
        say(adoption_text(result) + "\n");
    }
    return {};
}

void add_changes(Commands& commands, CLI::App* group) {
    static constexpr Change kHold{"hold", "held", false};
    static constexpr Change kRelease{"release", "released", false};
    static constexpr Change kRemove{"remove", "removed", true};
    for (const auto& [change, text] : {std::pair{&kHold, "Keep messages until they are released"},
                                       {&kRelease, "Let held ones go, at once"},
                                       {&kRemove, "Discard messages; nobody is told"}}) {
        const auto choice = std::make_shared<Choice>();
        CLI::App* verb = commands.verb(group, change->verb, text, [&commands, change, choice] {
            return change_messages(commands, *change, *choice);
        });
        verb->add_option("ids", choice->ids, "Their ids");
        add_filter(verb, choice->filter);
        verb->add_flag("--all", choice->all, "All of the queue");
        add_here(verb, choice->filter.here);
    }
    const auto choice = std::make_shared<Choice>();
    CLI::App* verb = commands.verb(group, "flush", "Try messages now",
                                   [&commands, choice] { return flush(commands, *choice); });
    verb->add_option("ids", choice->ids, "Their ids");
    verb->add_option("--destination", choice->filter.destination,
                     "All for a destination, as in queue destinations");
    verb->add_option("--server", choice->filter.server, "All for a server of the cluster");
    verb->add_option("--domain", choice->filter.domain, "All to somebody in this domain (*)");
    verb->add_flag("--all", choice->all, "All");
    add_here(verb, choice->filter.here);
}

}  // namespace

void add_queue_commands(Commands& commands) {
    CLI::App* group = commands.group("queue", "Mail that waits, on all front ends");
    const auto filter = std::make_shared<Filter>();
    const auto limit = std::make_shared<std::size_t>(kPageSize);
    CLI::App* list =
        commands.verb(group, "list", "List messages, oldest first", [&commands, filter, limit] {
            return list_queue(commands, *filter, std::max(*limit, std::size_t{1}));
        });
    add_filter(list, *filter);
    list->add_option("--limit", *limit, "How many")->capture_default_str();
    add_here(list, filter->here);
    const auto id = std::make_shared<std::string>();
    const auto text = std::make_shared<bool>(false);
    CLI::App* show =
        commands.verb(group, "show", "One message: its recipients and what was answered",
                      [&commands, id, text] { return show_message(commands, *id, *text); });
    show->add_option("id", *id, "Its id")->required();
    show->add_flag("--message", *text, "Its text instead; is noted in the audit log");
    add_changes(commands, group);
    const auto here = std::make_shared<bool>(false);
    add_here(commands.verb(group, "destinations", "Where mail waits for, and why",
                           [&commands, here] { return destinations(commands, *here); }),
             *here);
    const auto dir = std::make_shared<std::string>();
    commands
        .verb(group, "adopt", "Take over the queue of a dead node, which is revoked",
              [&commands, dir] { return adopt(commands, *dir); })
        ->add_option("dir", *dir, "Folder of that queue, on the machine of the node that is asked")
        ->required();
}

}  // namespace muster::admin
