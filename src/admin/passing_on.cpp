#include "admin/passing_on.h"

#include <condition_variable>
#include <mutex>

#include "admin/body_file.h"
#include "admin/peers.h"

namespace muster::admin {
namespace {

/// An import or the end of an account may take its time.
constexpr CallBounds kBounds{std::chrono::minutes(10)};
constexpr std::size_t kAhead = std::size_t{1} << 20;  ///< bytes that our caller has not taken yet
constexpr net::Duration kLook{1'000};

/// An answer on its way from a blocking thread to the exchange; each may outlive the other.
class Passage {
public:
    Passage(net::Loop& loop, net::HttpExchange& exchange) : loop_(loop), waiting_(&exchange) {}

    /// On the blocking thread, which waits while too much is on its way. False: nobody wants it.
    static bool take(const std::shared_ptr<Passage>& self, int status, std::string_view bytes) {
        {
            std::unique_lock lock(self->mutex_);
            self->room_.wait(lock, [&] { return self->left_ || self->pending_.size() < kAhead; });
            if (self->left_) return false;
            self->status_ = status;
            self->pending_ += bytes;
        }
        wake(self);
        return true;
    }
    static void end(const std::shared_ptr<Passage>& self, Result<net::HttpReply> reply) {
        {
            const std::scoped_lock lock(self->mutex_);
            self->reply_ = std::move(reply);
        }
        wake(self);
    }

    struct News {
        int status = 0;  ///< 0: nothing was heard yet
        std::string bytes;
        std::optional<Result<net::HttpReply>> reply;  ///< the end
    };
    News news() {
        const std::scoped_lock lock(mutex_);
        room_.notify_one();
        return {status_, std::exchange(pending_, {}), reply_};
    }
    void leave() {  ///< on the loop's thread
        waiting_ = nullptr;
        const std::scoped_lock lock(mutex_);
        left_ = true;
        room_.notify_one();
    }

private:
    static void wake(const std::shared_ptr<Passage>& self) {
        self->loop_.post([self] {
            if (self->waiting_ != nullptr) self->waiting_->wake();
        });
    }

    net::Loop& loop_;
    net::HttpExchange* waiting_;
    std::mutex mutex_;
    std::condition_variable room_;
    std::string pending_;
    int status_ = 0;
    std::optional<Result<net::HttpReply>> reply_;
    bool left_ = false;
};

/// Whom the call is for, in the order to try them; nobody when it is for this node.
Result<std::vector<PeerAddress>> addressees(const NodeContext& node,
                                            const net::HttpRequest& request) {
    std::vector<std::string> names;
    const auto route = find_route(request.method, request.path, names);
    if (route && (*route)->runs_on == RunsOn::Master) return {};  // see run_call()
    if (is_stream(request)) {
        if (node.is_master()) return {};
        auto masters = node.peers->masters();
        if (!masters.empty()) return masters;
        return fail(ErrorKind::Unavailable, "no master is known, nothing was changed");
    }
    const NodeName named(std::string(request.header(kNodeHeader)));
    if (named.empty() || named == node.config.node.name) return {};
    const auto peer = node.peers->find(named);
    if (peer) return std::vector{*peer};
    const auto topology = node.topology->current();
    const cluster::Node* entry = topology->node(named.view());
    if (entry == nullptr) {
        return fail(ErrorKind::NotFound,
                    "there is no node " + named.text + " in the cluster (muster node list)");
    }
    if (entry->revoked) return fail(ErrorKind::Refused, "node " + named.text + " was revoked");
    return fail(ErrorKind::Refused, "node " + named.text +
                                        " takes no calls of others (no cluster.listen in its node "
                                        "file, or it follows from another network): use its own "
                                        "API (--api)");
}

net::HttpCall call_to(const net::HttpRequest& request, const Caller& caller,
                      const std::shared_ptr<BodyFile>& body) {
    ApiCall passed;
    passed.method = request.method;
    passed.path = request.path;
    passed.query = request.query;
    passed.caller = caller;
    net::HttpCall call = passed_on(passed);
    call.headers.emplace_back(kNodeHeader, request.header(kNodeHeader));
    if (const auto type = request.header("content-type"); !type.empty()) call.content_type = type;
    if (!body) return call;
    call.upload = [body](char* into, std::size_t room) {
        const auto count = body->read({into, room});
        return count ? *count : net::HttpCall::kUploadFailed;
    };
    return call;
}

// An exchange and the node outlive the handlers of the exchange.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)

Task<void> deliver(NodeContext& node, net::HttpExchange& exchange, Passage& passage) {
    bool begun = false;
    while (!node.stopping) {
        const auto news = passage.news();
        const bool failed = news.reply && !*news.reply;
        if (failed && !begun)
            co_return co_await exchange.respond(error_response(news.reply->error()));
        if (failed) co_return;  // without finish(): the caller learns that it was cut off
        const int status = news.reply ? (*news.reply)->status : news.status;
        if (!begun && status != 0) {
            net::HttpResponse head;
            head.status = status;
            if (is_stream(exchange.request())) head.content_type = "application/octet-stream";
            co_await exchange.begin(head);
            begun = true;
        }
        co_await exchange.send(news.bytes);
        if (news.reply) co_return co_await exchange.finish();
        co_await exchange.pause(kLook);
    }
}

}  // namespace

Task<bool> pass_on(NodeContext& node, net::HttpExchange& exchange, const Caller& caller) {
    if (!caller.member.empty()) co_return false;
    const auto to = addressees(node, exchange.request());
    if (to && to->empty()) co_return false;
    std::optional<Error> refusal;
    if (!to) refusal = to.error();
    if (!refusal && node.pools->passing.full()) {
        refusal = Error{ErrorKind::Unavailable, "", "too many calls are passed on: try again"};
    }
    auto body = BodyFile::open(node.config.node.state_dir);
    if (!refusal && !body) refusal = body.error();
    if (!refusal) {
        const auto received = co_await receive(node, exchange, **body);
        if (!received) refusal = received.error();
    }
    if (refusal) {
        co_await exchange.respond(error_response(*refusal));
        co_return true;
    }
    const bool has_body = exchange.request().method != "GET";
    const auto passage = std::make_shared<Passage>(*node.control, exchange);
    const auto leave = [](Passage* left) { left->leave(); };
    const std::unique_ptr<Passage, decltype(leave)> left(passage.get(), leave);
    const std::shared_ptr<BodyFile> kept = has_body ? std::move(*body) : nullptr;
    const net::HttpCall call = call_to(exchange.request(), caller, kept);
    const bool is_for_master = is_stream(exchange.request());
    node.pools->passing.submit([&peers = *node.peers, to = to->front(), call, kept, passage,
                                is_for_master] {
        const auto take = [&](int status, std::string_view bytes) {
            return Passage::take(passage, status, bytes);
        };
        const auto rewind = [&] { return kept ? kept->rewind() : Result<>(); };
        Passage::end(passage, is_for_master ? peers.stream_to_master(call, kBounds, rewind, take)
                                            : peers.stream(to, call, kBounds, take));
    });
    co_await deliver(node, exchange, *passage);
    co_return true;
}

// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)

}  // namespace muster::admin
