#pragma once
// Fills a replica from a store of the same process.

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "state/feed.h"
#include "state/follower.h"
#include "state/store.h"

namespace muster::state {

/// The real sender in the same process.
class LocalSource : public Source {
public:
    explicit LocalSource(Store& store) : store_(store) {}
    [[nodiscard]] std::string name() const override { return "local"; }
    void cancel() override { over_ = true; }

    Result<> get(const std::string& target, const Sink& sink) override {
        const auto question = target.find('?');
        const auto query = parse_feed_query(std::string_view(target).substr(question + 1));
        if (!query) return std::unexpected(query.error());
        if (target.starts_with("/v1/changes")) return stream(query->since, sink);
        const auto body =
            target.starts_with("/v1/copy")
                ? copy_page(store_, Scope::Frontend, query->from, query->to, query->limit)
                : digest_page(store_, Scope::Frontend, query->from, query->limit);
        if (!body) return std::unexpected(body.error());
        sink(*body);
        return {};
    }

private:
    Result<> stream(const Cursor& since, const Sink& sink) {
        ChangeStream stream(store_, Scope::Frontend, since);
        while (!over_ && !stream.over()) {
            const auto piece = stream.next();
            if (!piece) return std::unexpected(piece.error());
            if (!sink(*piece)) return {};
            if (!stream.more()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
        return {};
    }

    Store& store_;
    std::atomic<bool> over_ = false;
};

}  // namespace muster::state
