// The queues of all front ends: list, look, flush, hold, release, remove; and what nodes ask each
// other for it.

#include <algorithm>
#include <array>

#include "admin/api.h"
#include "admin/fan_out.h"
#include "admin/peer_answers.h"
#include "admin/queue_adoption.h"
#include "admin/queue_report.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;

constexpr std::size_t kMostListed = 1'000;
constexpr std::size_t kMostIds = 1'000;
constexpr std::size_t kMostDestinations = 10'000;
constexpr std::size_t kLongestRow = 8'192;  // bytes of a message in a list
constexpr std::chrono::milliseconds kPatience{5'000};
constexpr std::chrono::milliseconds kChangePatience{30'000};

const std::string& name_of(const NodeContext& node) { return node.config.node.name.text; }

json queues_here(const NodeContext& node) {
    json queues = json::array();
    if (node.queue == nullptr) return queues;
    queues.push_back(queue_counts(*node.queue));
    queues.back()["node"] = name_of(node);
    return queues;
}

/// Pages of several queues as one: ids sort by time, so whatever lies behind the end of the
/// shortest page waits for the next call.
class Merged {
public:
    void take(json& page, const std::string& node) {
        for (json& row : page["messages"]) {
            row["node"] = node;
            rows_.push_back(std::move(row));
        }
        for (json& queue : page["queues"]) {
            queue["node"] = node;
            queues_.push_back(std::move(queue));
        }
        looked_at_ += page.value("looked_at", std::uint64_t{0});
        const std::string next = page.value("next", "");
        if (!next.empty() && (next_.empty() || next < next_)) next_ = next;
    }
    json answer(std::size_t limit) {
        std::ranges::sort(rows_, {}, id_of);
        if (!next_.empty()) {
            std::erase_if(rows_, [this](const json& row) { return id_of(row) > next_; });
        }
        if (rows_.size() > limit) {
            rows_.resize(limit);
            next_ = id_of(rows_.back());
        }
        return {{"messages", std::move(rows_)},
                {"queues", std::move(queues_)},
                {"next", next_},
                {"looked_at", looked_at_}};
    }

private:
    static std::string id_of(const json& row) { return row.value("id", ""); }
    std::vector<json> rows_;
    json queues_ = json::array();
    std::string next_;
    std::uint64_t looked_at_ = 0;
};

Result<queue::QueueId> cursor_of(const ApiCall& call) {
    const auto text = net::query_value(call.query, "cursor").value_or("");
    if (text.empty()) return queue::QueueId{};
    return queue::parse_queue_id(text);
}

ApiResult list_queue(NodeContext& node, ApiCall& call) {
    const auto filter = queue_filter(
        [&call](const char* field) { return net::query_value(call.query, field).value_or(""); },
        queue::now());
    if (!filter) return std::unexpected(filter.error());
    const auto cursor = cursor_of(call);
    if (!cursor) return std::unexpected(cursor.error());
    const std::size_t limit = query_number(call, "limit", 100, kMostListed);
    Merged merged;
    if (node.queue != nullptr) {
        const queue::Page page = node.queue->schedule().list(*filter, *cursor, limit);
        json here{{"messages", json::array()},
                  {"queues", queues_here(node)},
                  {"next", page.next.text},
                  {"looked_at", page.looked_at}};
        for (const queue::Summary& message : page.messages) {
            here["messages"].push_back(shown(message, name_of(node)));
        }
        merged.take(here, name_of(node));
    }
    if (is_about_this_node(call)) {
        if (node.queue == nullptr && !call.caller.is_node) return no_queue_here(node);
        return merged.answer(limit);
    }
    json unreachable = json::array();
    const net::HttpCall out{"GET", "/v1/queue?here=1&" + call.query};
    for (PeerAnswer& one :
         ask_all(*node.peers, out, {kPatience, 65'536 + limit * kLongestRow}, tells_queue)) {
        if (one.answer) {
            merged.take(*one.answer, one.peer.name.text);
        } else {
            unreachable.push_back(one.peer.name.text);
        }
    }
    json answer = merged.answer(limit);
    answer["unreachable"] = std::move(unreachable);
    return answer;
}

Result<json> message_here(NodeContext& node, const queue::QueueId& id) {
    if (node.queue == nullptr) return fail(ErrorKind::NotFound, "no such message");
    const auto message = node.queue->read(id);
    if (!message) {
        if (message.error().kind != ErrorKind::NotFound) return std::unexpected(message.error());
        return fail(ErrorKind::NotFound, "no such message");
    }
    return shown(*message, node.queue->schedule().find(id), name_of(node));
}

ApiResult show_message(NodeContext& node, ApiCall& call) {
    const auto id = queue::parse_queue_id(call.names[0]);
    if (!id) return std::unexpected(id.error());
    auto here = message_here(node, *id);
    if (here || here.error().kind != ErrorKind::NotFound || is_about_this_node(call)) return here;
    std::string unreachable;
    const net::HttpCall out{"GET", "/v1/queue/" + id->text + "?here=1"};
    for (PeerAnswer& one :
         ask_all(*node.peers, out, {kPatience, std::size_t{64} << 20}, tells_queued)) {
        if (one.answer) {
            (*one.answer)["node"] = one.peer.name.text;
            return std::move(*one.answer);
        }
        if (one.answer.error().kind == ErrorKind::NotFound) continue;
        unreachable += (unreachable.empty() ? "" : ", ") + one.peer.name.text;
    }
    if (unreachable.empty())
        return fail(ErrorKind::NotFound, "no queue has the message " + id->text);
    return fail(ErrorKind::Unavailable, "no queue has the message " + id->text +
                                            ", of those that answer; not: " + unreachable);
}

ApiResult list_destinations(NodeContext& node, ApiCall& call) {
    json list = json::array();
    json unreachable = json::array();
    if (node.queue != nullptr) {
        for (const auto& each : node.queue->schedule().destinations(kMostDestinations)) {
            list.push_back(shown(each, name_of(node)));
        }
    }
    if (!is_about_this_node(call)) {
        const net::HttpCall out{"GET", "/v1/queue/destinations?here=1"};
        const CallBounds bounds{kPatience, 4096 + kMostDestinations * 1'024};
        for (PeerAnswer& one : ask_all(*node.peers, out, bounds, tells_destinations)) {
            if (!one.answer) {
                unreachable.push_back(one.peer.name.text);
                continue;
            }
            for (json& row : (*one.answer)["destinations"]) {
                row["node"] = one.peer.name.text;
                list.push_back(std::move(row));
            }
        }
    }
    return json{{"destinations", std::move(list)}, {"unreachable", std::move(unreachable)}};
}

enum class Verb : std::uint8_t { Flush, Hold, Release, Remove };

const char* name(Verb verb) {
    switch (verb) {
        case Verb::Flush: return "flush";
        case Verb::Hold: return "hold";
        case Verb::Release: return "release";
        case Verb::Remove: return "remove";
    }
    return "flush";
}

/// Which messages: ids, or for a flush a destination, a recipients' domain, or all.
struct Wanted {
    std::vector<queue::QueueId> ids;
    std::string destination;
    std::string domain;
    bool all = false;
};

Result<std::vector<queue::QueueId>> ids_of(const json& body) {
    std::vector<queue::QueueId> ids;
    if (!body.is_object() || !body.contains("ids")) return ids;
    if (!body["ids"].is_array() || body["ids"].size() > kMostIds) {
        return fail(ErrorKind::Syntax, "ids: a list of up to " + std::to_string(kMostIds));
    }
    for (const json& text : body["ids"]) {
        if (!text.is_string()) return fail(ErrorKind::Syntax, "ids are texts");
        auto id = queue::parse_queue_id(text.get<std::string>());
        if (!id) return std::unexpected(id.error());
        ids.push_back(std::move(*id));
    }
    return ids;
}

Result<Wanted> wanted_of(const json& body, Verb verb) {
    Wanted wanted;
    auto ids = ids_of(body);
    if (!ids) return std::unexpected(ids.error());
    wanted.ids = std::move(*ids);
    if (verb == Verb::Flush) {
        const auto destination = text_field(body, "destination");
        const auto server = text_field(body, "server");
        const auto domain = text_field(body, "domain");
        for (const auto* text : {&destination, &server, &domain}) {
            if (!*text) return std::unexpected(text->error());
        }
        wanted.destination = server->empty() ? *destination : "server:" + *server;
        wanted.domain = *domain;
        wanted.all = body.is_object() && body.value("all", false);
    }
    const int kinds = (wanted.ids.empty() ? 0 : 1) + (wanted.destination.empty() ? 0 : 1) +
                      (wanted.domain.empty() ? 0 : 1) + (wanted.all ? 1 : 0);
    if (kinds == 1) return wanted;
    return fail(ErrorKind::Syntax, verb == Verb::Flush
                                       ? "say one of ids, destination, server, domain, all"
                                       : "say which messages: ids");
}

std::size_t flush(queue::Schedule& schedule, const Wanted& wanted) {
    if (wanted.all) return schedule.flush_all(queue::now());
    if (!wanted.destination.empty()) {
        return schedule.flush_destination(wanted.destination, queue::now());
    }
    if (!wanted.domain.empty()) return schedule.flush_domain(wanted.domain, queue::now());
    return static_cast<std::size_t>(std::ranges::count_if(
        wanted.ids, [&](const auto& id) { return schedule.flush(id, queue::now()); }));
}

Result<std::size_t> change(queue::Spool& spool, Verb verb, const Wanted& wanted) {
    switch (verb) {
        case Verb::Flush: return flush(spool.schedule(), wanted);
        case Verb::Hold: return spool.hold(wanted.ids);
        case Verb::Release: return spool.release(wanted.ids);
        case Verb::Remove: return spool.discard(wanted.ids);
    }
    return 0;
}

/// Who and to whom, for the audit log: of a removed message nothing else is left.
json told_of(queue::Schedule& schedule, const std::vector<queue::QueueId>& ids) {
    json list = json::array();
    for (const queue::QueueId& id : ids) {
        const auto found = schedule.find(id);
        if (!found) continue;
        list.push_back({{"id", id.text},
                        {"sender", found->sender},
                        {"recipients", found->addresses.empty() ? "" : found->addresses.front()},
                        {"recipient_count", found->recipients}});
    }
    return list;
}

template <Verb verb>
ApiResult change_here(NodeContext& node, ApiCall& call) {
    const auto wanted = wanted_of(call.body, verb);
    if (!wanted) return std::unexpected(wanted.error());
    call.audit.object = state::json_line(call.body);
    if (node.queue == nullptr) return json{{"changed", std::size_t{0}}};
    if (verb == Verb::Remove) call.audit.before = told_of(node.queue->schedule(), wanted->ids);
    const auto changed = change(*node.queue, verb, *wanted);
    if (!changed) return std::unexpected(changed.error());
    call.audit.after = {{"changed", *changed}};
    return json{{"changed", *changed}};
}

bool all_here(const NodeContext& node, const json& body) {
    const auto ids = ids_of(body);
    if (node.queue == nullptr || !ids || ids->empty()) return false;
    return std::ranges::all_of(
        *ids, [&node](const auto& id) { return node.queue->schedule().find(id).has_value(); });
}

net::HttpCall call_for(const NodeContext& node, const ApiCall& call, Verb verb) {
    net::HttpCall out{"POST", std::string("/v1/queue/here/") + name(verb)};
    out.body = state::json_line(call.body);
    speak_for(node, call.caller, out);
    return out;
}

/// Here, and on all nodes with a queue, unless the messages named are all here.
template <Verb verb>
ApiResult change_everywhere(NodeContext& node, ApiCall& call) {
    const bool here_only = is_about_this_node(call) || all_here(node, call.body);
    if (is_about_this_node(call) && node.queue == nullptr) return no_queue_here(node);
    auto here = change_here<verb>(node, call);
    if (!here) return here;
    json nodes = json::object();
    std::size_t changed = here->value("changed", std::size_t{0});
    if (node.queue != nullptr) nodes[name_of(node)] = changed;
    json unreachable = json::array();
    json refused = json::object();
    if (!here_only) {
        for (const PeerAnswer& one :
             ask_all(*node.peers, {"GET", "/v1/queue?here=1&limit=1"}, {kPatience}, tells_queue)) {
            if (!one.answer) {
                unreachable.push_back(one.peer.name.text);
                continue;
            }
            if (one.answer->value("queues", json::array()).empty()) continue;
            const auto done = ask(*node.peers, one.peer, call_for(node, call, verb),
                                  {kChangePatience}, tells_changed);
            if (done) {
                nodes[one.peer.name.text] = (*done)["changed"];
                changed += (*done)["changed"].get<std::size_t>();
            } else if (done.error().kind == ErrorKind::Unavailable) {
                unreachable.push_back(one.peer.name.text);
            } else {
                refused[one.peer.name.text] = done.error().detail;
            }
        }
        if (nodes.empty() && unreachable.empty() && refused.empty()) return no_queue_here(node);
    }
    call.audit.after = {{"changed", nodes}};
    return json{{"changed", changed},
                {"nodes", std::move(nodes)},
                {"unreachable", std::move(unreachable)},
                {"refused", std::move(refused)}};
}

/// What an adoption would have to do with: the owner of the queue in `dir`.
ApiResult look_at_adoption(NodeContext& node, ApiCall& call) {
    if (call.caller.is_node || !call.caller.may_write) {
        return fail(ErrorKind::Refused, "for administrators with full rights");
    }
    if (node.queue == nullptr) return no_queue_here(node);
    const auto candidate =
        adoption_candidate(node, net::query_value(call.query, "dir").value_or(""));
    if (!candidate) return std::unexpected(candidate.error());
    return shown(*candidate);
}

constexpr std::array kRoutes{
    ApiRoute{"GET", "/v1/queue", RunsOn::AnyNode, "", list_queue, Takes::AsksNodes},
    ApiRoute{"GET", "/v1/queue/destinations", RunsOn::AnyNode, "", list_destinations,
             Takes::AsksNodes},
    ApiRoute{"GET", "/v1/queue/adoption", RunsOn::AnyNode, "", look_at_adoption, Takes::AsksNodes},
    ApiRoute{"GET", "/v1/queue/{}", RunsOn::AnyNode, "", show_message, Takes::AsksNodes},
    ApiRoute{"POST", "/v1/queue/flush", RunsOn::AnyNode, "queue flush",
             change_everywhere<Verb::Flush>, Takes::AsksNodes},
    ApiRoute{"POST", "/v1/queue/hold", RunsOn::AnyNode, "queue hold", change_everywhere<Verb::Hold>,
             Takes::AsksNodes},
    ApiRoute{"POST", "/v1/queue/release", RunsOn::AnyNode, "queue release",
             change_everywhere<Verb::Release>, Takes::AsksNodes},
    ApiRoute{"POST", "/v1/queue/remove", RunsOn::AnyNode, "queue remove",
             change_everywhere<Verb::Remove>, Takes::AsksNodes},
    ApiRoute{"POST", "/v1/queue/here/flush", RunsOn::AnyNode, "queue flush",
             change_here<Verb::Flush>},
    ApiRoute{"POST", "/v1/queue/here/hold", RunsOn::AnyNode, "queue hold", change_here<Verb::Hold>},
    ApiRoute{"POST", "/v1/queue/here/release", RunsOn::AnyNode, "queue release",
             change_here<Verb::Release>},
    ApiRoute{"POST", "/v1/queue/here/remove", RunsOn::AnyNode, "queue remove",
             change_here<Verb::Remove>},
};

}  // namespace

std::unexpected<Error> no_queue_here(NodeContext& node) {
    std::string names;
    for (const PeerAnswer& one :
         ask_all(*node.peers, {"GET", "/v1/queue?here=1&limit=1"}, {kPatience}, tells_queue)) {
        if (!one.answer || one.answer->value("queues", json::array()).empty()) continue;
        names += (names.empty() ? "" : ", ") + one.peer.name.text;
    }
    const std::string who = "this node (" + name_of(node) + ") has no queue: ";
    if (names.empty()) {
        return fail(ErrorKind::NotFound,
                    who +
                        "no node that answers has one (a front end with a listener for smtp or "
                        "submission, and mail.store)");
    }
    return fail(ErrorKind::NotFound, who + "ask one that has (--api): " + names);
}

std::span<const ApiRoute> queue_routes() { return kRoutes; }

}  // namespace muster::admin
