#include "mx/socketmap_session.h"

#include "base/log.h"
#include "base/metrics.h"

namespace muster::mx {
namespace {

namespace socketmap = wire::socketmap;

constexpr std::size_t kMostUnsent = 65'536;

metrics::Counter& counter(const char* answer) {
    return metrics::counter("muster_socketmap_answers_total",
                            "Answers to other mail servers that asked for an address or a domain",
                            {{"answer", answer}});
}

void count(socketmap::Status status) {
    static metrics::Counter& found = counter("found");
    static metrics::Counter& not_found = counter("not-found");
    static metrics::Counter& failed = counter("failed");
    if (status == socketmap::Status::Ok) return found.add();
    if (status == socketmap::Status::NotFound) return not_found.add();
    failed.add();
}

}  // namespace

Task<void> SocketmapSession::run() {
    while (!finishing_) {
        stream_.expire_after(idle_);
        const std::size_t count = co_await stream_.read_some(scratch_);
        if (count == 0) co_return;
        pending_.append(scratch_.data(), count);
        const bool go_on = co_await answer_pending();
        if (!go_on) co_return;
        if (pending_.empty()) std::string().swap(pending_);
    }
}

void SocketmapSession::finish(net::EndReason reason) {
    finishing_ = true;
    if (pending_.empty()) stream_.abort(reason);
}

Task<bool> SocketmapSession::answer_pending() {
    for (bool more = true; more;) {
        std::string answers;
        more = answer_some(answers);
        if (!answers.empty()) co_await stream_.write(answers);
    }
    pending_.erase(0, std::exchange(used_, 0));
    co_return !faulty_;
}

bool SocketmapSession::answer_some(std::string& answers) {
    while (answers.size() < kMostUnsent) {
        const auto parsed = socketmap::parse_netstring(std::string_view(pending_).substr(used_));
        if (!parsed) {
            faulty_ = true;
            log::info("socketmap-refused", {{"reason", parsed.error().detail}});
            return false;
        }
        const auto* whole = std::get_if<socketmap::Netstring>(&*parsed);
        if (whole == nullptr) return false;
        answer(whole->text, answers);
        used_ += whole->size;
    }
    return true;
}

void SocketmapSession::answer(std::string_view text, std::string& answers) {
    const auto request = socketmap::parse_request(text);
    const MapAnswer found =
        request ? maps_.answer(*request) : MapAnswer{socketmap::Status::Permanent, "not MAP KEY"};
    count(found.status);
    socketmap::append_reply(answers, found.status, found.text);
}

}  // namespace muster::mx
