#include "admin/queue_tables.h"

#include <array>
#include <cstdio>
#include <ctime>

#include "admin/commands.h"
#include "admin/progress.h"
#include "admin/table_output.h"

namespace muster::admin {
namespace {

using nlohmann::json;

std::string clock_time(const json& row, const char* field) {
    if (!row.contains(field) || !row[field].is_number_integer()) return "-";
    const std::time_t time = row[field].get<std::int64_t>();
    std::tm parts{};
    localtime_r(&time, &parts);
    std::array<char, 32> text{};
    const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &parts);
    return {text.data(), size};
}

json with_words(json rows) {
    for (json& row : rows) {
        for (const char* field : {"arrived", "next_try"}) row[field] = clock_time(row, field);
        const std::uint64_t more = row.value("recipient_count", std::uint64_t{0});
        json& recipients = row["recipients"];
        if (recipients.size() > 1 || more > 1) {
            recipients = json::array({recipients.empty() ? json("?") : recipients[0],
                                      std::to_string(more - 1) + " more"});
        }
        if (row.value("sender", "").empty()) row["sender"] = "<>";
    }
    return rows;
}

}  // namespace

std::string unreachable_nodes(const json& answer) {
    std::string text;
    for (const json& name : answer.value("unreachable", json::array())) {
        text += (text.empty() ? "" : ", ") + name.get<std::string>();
    }
    return text;
}

void warn_of_unreachable(const json& answer) {
    const std::string names = unreachable_nodes(answer);
    if (names.empty()) return;
    std::fprintf(stderr, "muster: these nodes could not be reached: %s\n",
                 printable(names).c_str());
}

void print_messages(const json& rows) {
    say(format_table(with_words(rows), {{"ID", "id"},
                                        {"NODE", "node"},
                                        {"STATE", "state"},
                                        {"SIZE", "size"},
                                        {"TRIES", "tries"},
                                        {"ARRIVED", "arrived"},
                                        {"NEXT TRY", "next_try"},
                                        {"SENDER", "sender"},
                                        {"RECIPIENTS", "recipients"},
                                        {"FOR", "destinations"}}));
}

void print_queues(const json& queues) {
    say("\n" + format_table(queues, {{"QUEUE OF", "node"},
                                     {"MESSAGES", "messages"},
                                     {"BYTES", "bytes"},
                                     {"WAITING", "waiting"},
                                     {"PARKED", "parked"},
                                     {"TRYING", "trying"},
                                     {"HELD", "held"},
                                     {"LOADING", "loading"}}));
}

void print_message(const json& message) {
    json head = message;
    head.erase("recipients");
    for (const char* field : {"arrived", "expires", "next_try"}) {
        if (head.contains(field)) head[field] = clock_time(head, field);
    }
    if (head.value("sender", "").empty()) head["sender"] = "<>";
    say(format_object(head) + "\n");
    json rows = message["recipients"];
    for (json& row : rows) {
        if (row.contains("last")) row["last"]["time"] = clock_time(row["last"], "time");
    }
    say(format_table(rows, {{"RECIPIENT", "address"},
                            {"STATE", "state"},
                            {"TRIES", "tries"},
                            {"LAST", "last.time"},
                            {"STATUS", "last.status"},
                            {"SERVER", "last.server"},
                            {"ANSWER", "last.text"}}));
}

void print_destinations(json answer) {
    for (json& row : answer["destinations"]) row["until"] = clock_time(row, "until");
    say(format_table(answer["destinations"], {{"DESTINATION", "destination"},
                                              {"NODE", "node"},
                                              {"PARKED", "parked"},
                                              {"FAILURES", "failures"},
                                              {"LEFT ALONE UNTIL", "until"},
                                              {"REASON", "reason"}}));
    warn_of_unreachable(answer);
}

std::string adoption_text(const json& report) {
    const auto number = [&report](const char* field) {
        return with_commas(report.value(field, std::uint64_t{0}));
    };
    return number("adopted") + " of " + number("known") + " messages taken over, " +
           number("present") + " were here already, " + number("removed") +
           " half-written ones removed, " + number("corrupt") + " damaged ones set aside";
}

}  // namespace muster::admin
