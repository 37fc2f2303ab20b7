// Calls about the queue whose answers are streamed: a message's text, the taking over of a dead
// node's queue.

#include "admin/api.h"
#include "admin/long_job.h"
#include "admin/queue_adoption.h"
#include "admin/queue_report.h"
#include "base/log.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;

constexpr std::size_t kAdoptBody = 16 * 1024;
constexpr std::string_view kQueue = "/v1/queue/";
constexpr std::string_view kMessage = "/message";

/// The id in "/v1/queue/ID/message"; empty for another path.
std::string_view id_in(std::string_view path) {
    if (!path.starts_with(kQueue) || !path.ends_with(kMessage)) return {};
    path.remove_prefix(kQueue.size());
    path.remove_suffix(std::min(path.size(), kMessage.size()));
    return path.find('/') == std::string_view::npos ? path : std::string_view{};
}

std::optional<Error> refusal(const NodeContext& node, const Caller& caller) {
    // Other people's mail: for people with all rights, whatever a member may do.
    if (caller.is_node) {
        return Error{ErrorKind::Refused, "", "this needs an administrator of the cluster"};
    }
    if (!caller.may_write) {
        return Error{ErrorKind::Refused, "", caller.name + " may only read lists"};
    }
    if (node.pools->transfers.full()) {
        return Error{ErrorKind::Unavailable, "", "too many transfers are going on: try again"};
    }
    return std::nullopt;
}

Result<> note(NodeContext& node, const Caller& caller, const char* action, std::string object,
              json after, std::string outcome) {
    return append_audit(node, {caller.name, caller.from, action, std::move(object), nullptr,
                               std::move(after), std::move(outcome)});
}

Result<queue::QueuedMessage> read_for(NodeContext& node, const Caller& caller,
                                      const std::string& text) {
    if (node.queue == nullptr) return no_queue_here(node);
    const auto id = queue::parse_queue_id(text);
    if (!id) return std::unexpected(id.error());
    auto message = node.queue->read(*id);
    if (!message && message.error().kind == ErrorKind::NotFound) {
        return fail(ErrorKind::NotFound, "the queue of this node has no message " + id->text);
    }
    auto noted = note(node, caller, "queue message", id->text, nullptr,
                      message ? "done" : message.error().detail);
    if (message && !noted) return std::unexpected(noted.error());
    return message;
}

// An exchange and the node outlive the handlers of the exchange.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)

Task<void> send_message(NodeContext& node, net::HttpExchange& exchange, Caller caller,
                        std::string id) {
    const auto message = co_await net::Blocking(*node.control, node.pools->jobs,
                                                [&] { return read_for(node, caller, id); });
    if (!message) co_return co_await exchange.respond(error_response(message.error()));
    net::HttpResponse head;
    head.content_type = "message/rfc822";
    co_await exchange.begin(head);
    queue::BodyReader reader(message->content);
    for (;;) {
        const auto piece = co_await net::Blocking(*node.control, node.pools->transfers,
                                                  [&reader] { return reader.next(); });
        if (!piece) {
            log::error("export_cut_off", {{"reason", piece.error().detail}});
            co_return;  // without finish(): the client learns that it has not got everything
        }
        if (piece->empty()) break;
        co_await exchange.send(*piece);
    }
    co_await exchange.finish();
}

ApiResult adopt(NodeContext& node, const std::string& dir, bool revoke, const Caller& caller,
                Job& job) {
    if (node.queue == nullptr) return no_queue_here(node);
    const auto report =
        adopt_queue(node, dir, revoke, caller,
                    [&job](const queue::AdoptReport& progress) { job.tell(shown(progress)); });
    json result = report ? shown(*report) : json();
    auto noted =
        note(node, caller, "queue adopt", dir, result, report ? "done" : report.error().detail);
    if (!report) return std::unexpected(report.error());
    if (!noted) return std::unexpected(noted.error());
    return result;
}

Task<void> serve_adoption(NodeContext& node, net::HttpExchange& exchange, Caller caller) {
    const auto body = co_await exchange.body(kAdoptBody);
    if (!body) co_return co_await exchange.respond(error_response(body.error()));
    const json request = state::parse_json(*body);
    const std::string dir = text_field(request, "dir").value_or("");
    const bool revoke = request.is_object() && request.contains("revoke") &&
                        request["revoke"].is_boolean() && request["revoke"].get<bool>();
    Work work = [&node, dir, revoke, caller](Job& job) {
        return adopt(node, dir, revoke, caller, job);
    };
    co_await run_with_progress(node, exchange, std::move(work));
}

}  // namespace

Task<bool> serve_queue_stream(NodeContext& node, net::HttpExchange& exchange,
                              const Caller& caller) {
    const net::HttpRequest& request = exchange.request();
    const std::string id(request.method == "GET" ? id_in(request.path) : "");
    const bool adopts = request.method == "POST" && request.path == "/v1/queue/adopt";
    if (id.empty() && !adopts) co_return false;
    if (const auto why = refusal(node, caller)) {
        co_await exchange.respond(error_response(*why));
    } else if (adopts) {
        co_await serve_adoption(node, exchange, caller);
    } else {
        co_await send_message(node, exchange, caller, id);
    }
    co_return true;
}

// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)

}  // namespace muster::admin
