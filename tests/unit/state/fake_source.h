#pragma once
// A source in the same process: the real sender, with a wire that can be cut or bent.

#include <atomic>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "state/feed.h"
#include "state/source.h"

namespace muster::state {

/// Shared by a test and the sources it handed to a follower. Streams end when nothing is left to
/// send, unless `idle` says to go on.
struct Wire {
    Store* store = nullptr;
    Scope scope = Scope::Relay;
    std::size_t budget = std::numeric_limits<std::size_t>::max();  ///< bytes until the wire is cut
    std::size_t chunk = std::numeric_limits<std::size_t>::max();
    std::function<void(const std::string& target)> on_request = [](const std::string&) {};
    std::function<bool()> idle = [] { return false; };
    std::function<std::string(std::string)> bend = [](std::string body) { return body; };
    std::vector<std::string> targets;
    std::size_t sent = 0;
};

class FakeSource : public Source {
public:
    explicit FakeSource(std::shared_ptr<Wire> wire, std::string name = "fake")
        : wire_(std::move(wire)), name_(std::move(name)) {}

    [[nodiscard]] std::string name() const override { return name_; }
    void cancel() override { cancelled_ = true; }

    Result<> get(const std::string& target, const Sink& sink) override {
        wire_->targets.push_back(target);
        wire_->on_request(target);
        if (!wire_->store) return fail(ErrorKind::Unavailable, "connection refused");
        const auto question = target.find('?');
        const auto path = target.substr(0, question);
        const auto query = parse_feed_query(std::string_view(target).substr(question + 1));
        if (!query) return std::unexpected(query.error());
        if (path == "/v1/changes") return stream(query->since, sink);
        const auto body =
            path == "/v1/copy"
                ? copy_page(*wire_->store, wire_->scope, query->from, query->to, query->limit)
                : digest_page(*wire_->store, wire_->scope, query->from, query->limit);
        if (!body) return std::unexpected(body.error());
        return send(*body, sink) ? Result<>() : cut();
    }

private:
    static std::unexpected<Error> cut() { return fail(ErrorKind::Unavailable, "connection reset"); }

    Result<> stream(const Cursor& since, const Sink& sink) {
        ChangeStream stream(*wire_->store, wire_->scope, since);
        do {
            const auto piece = stream.next();
            if (!piece) return std::unexpected(piece.error());
            if (!send(*piece, sink)) return cut();
            if (!wanted_) return {};
        } while (!stream.over() && (stream.more() || (wire_->idle() && !cancelled_)));
        return {};
    }

    /// False when the wire was cut.
    bool send(const std::string& body, const Sink& sink) {
        const std::string bytes = wire_->bend(body);
        for (std::size_t at = 0; at < bytes.size();) {
            const std::size_t size = std::min({bytes.size() - at, wire_->chunk, wire_->budget});
            if (size == 0) return false;
            wire_->budget -= size;
            wire_->sent += size;
            wanted_ = sink(std::string_view(bytes).substr(at, size));
            if (!wanted_) return true;
            at += size;
        }
        return true;
    }

    std::shared_ptr<Wire> wire_;
    std::string name_;
    bool wanted_ = true;
    std::atomic<bool> cancelled_{false};
};

/// What a follower of these wires asks for its sources, by name.
inline auto sources_of(std::vector<std::pair<std::string, std::shared_ptr<Wire>>> wires) {
    return [wires = std::move(wires)] {
        std::vector<std::unique_ptr<Source>> sources;
        for (const auto& [name, wire] : wires) {
            sources.push_back(std::make_unique<FakeSource>(wire, name));
        }
        return sources;
    };
}

}  // namespace muster::state
