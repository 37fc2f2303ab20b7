#include "delivery/sender_reports.h"

#include <algorithm>

#include "queue/derived_id.h"

namespace muster::delivery {

// The caller holds the message and awaits at once.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)
namespace {

/// For what makes a report differ from others on the same message.
char letter_of(queue::Outcome outcome) {
    switch (outcome) {
        case queue::Outcome::Delivered: return 'd';
        case queue::Outcome::Failed: return 'f';
        case queue::Outcome::Deferred: return 'w';
    }
    return '?';
}

}  // namespace

queue::QueueId report_id(const queue::QueueId& of, const Told& told) {
    std::string what;
    for (const auto& [recipient, outcome] : told) {
        what += std::to_string(recipient) + letter_of(outcome);
    }
    return queue::derived_id(of, what);
}

Task<bool> commit_report(net::Loop& loop, queue::Spool& spool, const queue::Envelope& about,
                         const std::shared_ptr<const queue::Content>& content,
                         const std::vector<ReportItem>& items, std::string_view host_name,
                         queue::QueueId id) {
    if (const auto other = spool.read(id)) {
        const auto& to = other->envelope.recipients;
        const bool is_it = other->envelope.kind == queue::Kind::Dsn && to.size() == 1 &&
                           to.front().address == about.sender;
        if (is_it) co_return true;
        id = spool.new_id();
    }
    auto made = make_report(about, beginning_of(content), items, host_name, id, queue::now());
    if (!made) co_return true;
    const auto queued =
        co_await spool.commit_on(loop, std::move(made->envelope),
                                 queue::Content::of(std::move(made->text)), queue::After::Due, id);
    co_return queued.has_value();
}

bool SenderReports::knows(const queue::QueueId& id, std::uint32_t recipient,
                          queue::Outcome outcome) const {
    const auto found = told_.find(id);
    return found != told_.end() && found->second.contains({recipient, outcome});
}

Task<bool> SenderReports::report(const queue::QueuedMessage& message,
                                 std::vector<queue::RecipientResult> results) {
    if (const auto owed = owed_.find(message.id); owed != owed_.end()) {
        results.insert(results.begin(), owed->second.begin(), owed->second.end());
    }
    std::vector<ReportItem> items;
    Told told;
    for (const queue::RecipientResult& result : results) {
        const queue::Recipient& recipient = message.envelope.recipients[result.recipient];
        const bool is_due = is_wanted(recipient, result.outcome) &&
                            !knows(message.id, result.recipient, result.outcome);
        if (!is_due) continue;
        told.emplace(result.recipient, result.outcome);
        items.push_back({.recipient = recipient,
                         .outcome = result.outcome,
                         .status = result.status,
                         .server = result.server,
                         .diagnostic = result.text,
                         .in_mailbox = result.in_mailbox});
    }
    if (message.envelope.sender.empty() || items.empty()) co_return true;
    const bool done = co_await commit_report(loop_, spool_, message.envelope, message.content,
                                             items, host_name_, report_id(message.id, told));
    if (!done) {
        std::erase_if(results, [&told](const queue::RecipientResult& result) {
            return result.outcome != queue::Outcome::Delivered ||
                   !told.contains({result.recipient, result.outcome});
        });
        if (!results.empty()) owed_[message.id] = std::move(results);
        co_return false;
    }
    owed_.erase(message.id);
    told_[message.id].merge(told);
    co_return true;
}

void SenderReports::sweep() {
    const auto is_gone = [this](const auto& one) { return !spool_.schedule().contains(one.first); };
    if (told_.size() + owed_.size() < sweep_at_) return;
    std::erase_if(told_, is_gone);
    std::erase_if(owed_, is_gone);
    sweep_at_ = std::max(kMany, 2 * (told_.size() + owed_.size()));
}

// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)
}  // namespace muster::delivery
