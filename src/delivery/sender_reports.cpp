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

/// A report's id: that of the first recipient it is about.
queue::QueueId id_for(const queue::QueueId& of,
                      const std::pair<std::uint32_t, queue::Outcome>& first) {
    return queue::derived_id(of, std::to_string(first.first) + letter_of(first.second));
}

bool is_report_to(const std::string& sender, const queue::QueuedMessage& message) {
    const auto& to = message.envelope.recipients;
    return message.envelope.kind == queue::Kind::Dsn && to.size() == 1 &&
           to.front().address == sender;
}

/// Whether a report is about the recipient, as far as it says so in plain words.
bool names(const std::string& report, const queue::Recipient& recipient) {
    return report.contains("\r\n<" + recipient.address + ">\r\n");
}

}  // namespace

queue::QueueId report_id(const queue::QueueId& of, const Told& told) {
    return id_for(of, *told.begin());
}

Task<bool> commit_report(net::Loop& loop, queue::Spool& spool, const queue::Envelope& about,
                         const std::shared_ptr<const queue::Content>& content,
                         const std::vector<ReportItem>& items, std::string_view host_name,
                         queue::QueueId id) {
    if (const auto other = spool.read(id)) {
        const std::string text =
            is_report_to(about.sender, *other) ? beginning_of(other->content) : std::string();
        const bool says_all = std::ranges::all_of(
            items, [&text](const ReportItem& item) { return names(text, item.recipient); });
        if (says_all) co_return true;
        id = spool.new_id();
    }
    auto made = make_report(about, beginning_of(content), items, host_name, id, queue::now());
    if (!made) co_return true;
    const auto queued =
        co_await spool.commit_on(loop, std::move(made->envelope),
                                 queue::Content::of(std::move(made->text)), queue::After::Due, id);
    co_return queued.has_value();
}

void SenderReports::recall(const queue::QueuedMessage& message,
                           const std::vector<queue::RecipientResult>& results) {
    constexpr std::uint32_t kMost = 1000;
    using queue::Outcome;
    const bool delayed = results.front().outcome == Outcome::Deferred;
    const std::vector<Outcome> kinds =
        delayed ? std::vector{Outcome::Deferred} : std::vector{Outcome::Delivered, Outcome::Failed};
    const auto size = static_cast<std::uint32_t>(message.envelope.recipients.size());
    for (std::uint32_t i = 0; i < std::min(size, kMost); ++i) {
        for (const Outcome kind : kinds) {
            const auto report = spool_.read(id_for(message.id, {i, kind}));
            if (!report || !is_report_to(message.envelope.sender, *report)) continue;
            const std::string text = beginning_of(report->content);
            for (const queue::RecipientResult& result : results) {
                const auto& recipient = message.envelope.recipients[result.recipient];
                if (!names(text, recipient)) continue;
                told_[message.id].emplace(result.recipient, result.outcome);
            }
        }
    }
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
    const auto is_asked_for = [&message](const queue::RecipientResult& result) {
        return is_wanted(message.envelope.recipients[result.recipient], result.outcome);
    };
    if (message.envelope.sender.empty() || std::ranges::none_of(results, is_asked_for)) {
        co_return true;
    }
    if (queue::time_of(message.id) <= began_) recall(message, results);
    std::vector<ReportItem> items;
    Told told;
    for (const queue::RecipientResult& result : results) {
        const queue::Recipient& recipient = message.envelope.recipients[result.recipient];
        const bool is_due =
            is_asked_for(result) && !knows(message.id, result.recipient, result.outcome);
        if (!is_due) continue;
        told.emplace(result.recipient, result.outcome);
        items.push_back({.recipient = recipient,
                         .outcome = result.outcome,
                         .status = result.status,
                         .server = result.server,
                         .diagnostic = result.text,
                         .in_mailbox = result.in_mailbox});
    }
    if (items.empty()) co_return true;
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
