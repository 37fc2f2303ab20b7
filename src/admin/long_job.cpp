#include "admin/long_job.h"

#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;

constexpr net::Duration kProgressPause{1'000};

/// Nothing else would catch what is thrown on a blocking thread.
ApiResult attempt(const Work& work, Job& job) {
    try {
        return work(job);
    } catch (const std::exception& exception) {
        return fail(ErrorKind::Io, "internal error", exception.what());
    }
}

}  // namespace

// An exchange and the node outlive the handlers of the exchange.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)

Task<void> run_with_progress(NodeContext& node, net::HttpExchange& exchange, Work work) {
    const auto job = std::make_shared<Job>();
    job->waiting = &exchange;
    net::Loop* const loop = node.control;
    node.pools->transfers.submit([job, loop, work = std::move(work)] {
        ApiResult result = attempt(work, *job);
        {
            const std::scoped_lock lock(job->mutex);
            job->result = std::move(result);
        }
        loop->post([job] {
            if (job->waiting != nullptr) job->waiting->wake();
        });
    });
    const auto leave = [job](net::HttpExchange*) { job->waiting = nullptr; };
    const std::unique_ptr<net::HttpExchange, decltype(leave)> left(&exchange, leave);
    net::HttpResponse head;
    head.content_type = "application/jsonl";
    co_await exchange.begin(head);
    while (!job->done()) {
        if (node.stopping) co_return;  // without finish(): the client learns that it ended early
        co_await exchange.pause(kProgressPause);
        const auto news = job->news();
        if (news) co_await exchange.send(state::json_line(json{{"progress", *news}}) + "\n");
    }
    // What was done last is told even of work that was over before anybody looked.
    if (const auto news = job->news()) {
        co_await exchange.send(state::json_line(json{{"progress", *news}}) + "\n");
    }
    json last = json::object();
    if (*job->result) {
        last["result"] = std::move(**job->result);
    } else {
        last["error"] = job->result->error().detail;
    }
    co_await exchange.send(state::json_line(last) + "\n");
    co_await exchange.finish();
}

// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)

}  // namespace muster::admin
