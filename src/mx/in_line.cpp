#include "mx/in_line.h"

#include <algorithm>
#include <unordered_set>

#include "base/log.h"
#include "cluster/route.h"
#include "delivery/content_body.h"
#include "delivery/dsn_parameters.h"
#include "frontend/health_checks.h"
#include "mx/mail_service.h"
#include "wire/tabescape.h"
#include "wire/xtext.h"

namespace muster::mx {

using delivery::Outcome;

// What is passed by reference is the session's, which awaits these.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)
namespace {

delivery::PhaseLimits phases(net::Duration all) {
    return {
        .open = std::min(all, net::Duration{10'000}), .command = all, .block = all, .final = all};
}

/// Without a queue nobody can be told later: better a sender who hears too much.
constexpr std::string_view kSomeRefused = "Some of the recipients were refused by their server";

bool goes_to_queue(const Target& target) {
    return target.home.empty() || target.mode == cluster::MailMode::Queue;
}

/// Dovecot's XRCPTFORWARD: fields with tabs between them, in xtext (seen with 2.3.19: it takes no
/// `=` of base64, and decodes none).
std::string forward_fields(const Message& message) {
    std::string fields;
    const auto add = [&fields](std::string_view name, std::string_view value) {
        if (value.empty()) return;
        if (!fields.empty()) fields += '\t';
        fields.append(name).append("=");
        wire::append_tabescaped(fields, value);
    };
    add("muster_session", message.client.session);
    add("muster_iprev", message.iprev);
    add("muster_name", message.client.name);
    add("muster_login", message.client.login);
    return wire::xtext_encode(fields);
}

delivery::RecipientResult not_reached(std::string reason) {
    return delivery::own_result(Outcome::Deferred, 451, {4, 4, 1}, std::move(reason));
}

}  // namespace

InLine::InLine(frontend::Worker& worker, const SharedMail& shared, delivery::ConnectionCache& cache,
               delivery::HomeTargets& homes, MailCounters& counters)
    : worker_(worker),
      shared_(shared),
      client_(worker.loop(), cache, phases(shared.settings.in_line)),
      homes_(homes),
      counters_(counters) {}

std::vector<InLine::Group> InLine::groups_of(const MailTransaction& transaction) const {
    std::vector<Group> groups;
    for (std::uint32_t i = 0; i < transaction.targets.size(); ++i) {
        const Target& target = transaction.targets[i];
        const bool waits = shared_.spool != nullptr && goes_to_queue(target);
        if (waits || target.result.outcome != Outcome::Deferred) continue;
        auto group = std::ranges::find(groups, target.home, &Group::home);
        if (group == groups.end()) group = groups.insert(groups.end(), {target.home, {}});
        group->targets.push_back(i);
    }
    return groups;
}

Task<Answer> InLine::deliver(Message& message) {
    MailTransaction& transaction = message.transaction;
    note_known_results(message);
    auto groups = groups_of(transaction);
    const bool may_queue = shared_.spool != nullptr && !transaction.in_line_only;
    // What more than one server is to take stands on disk first: a front end that dies in between
    // would otherwise have delivered to some, and have its client send again to all.
    const bool intent = may_queue && groups.size() > 1;
    if (intent) {
        if (const auto stored = co_await queue_up(message, true, queue::After::Taken); !stored) {
            co_return Answer{452, "4.3.1", "No room to take the message now"};
        }
    }
    co_await hand_over_all(message, groups);
    const Answer answer = co_await conclude(message, groups, intent);
    if (answer.code != 250)
        shared_.results.remember(message.identity, taken_targets(transaction, false));
    log_outcome(message, answer);
    co_return answer;
}

Task<Answer> InLine::conclude(const Message& message, const std::vector<Group>& groups,
                              bool intent) {
    if (intent) co_return co_await conclude_intent(message, groups);
    const MailTransaction& transaction = message.transaction;
    Report report = report_on(message);
    const bool may_queue = shared_.spool != nullptr && !transaction.in_line_only;
    const bool is_left = std::ranges::any_of(transaction.targets, [](const Target& target) {
        return target.result.outcome == Outcome::Deferred;
    });
    bool queued = false;
    if (may_queue && is_left) {
        // Nobody takes it before its sender is told.
        const auto after = report.items.empty() ? queue::After::Due : queue::After::Taken;
        const auto stored = co_await queue_up(message, false, after);
        queued = stored.has_value();
        report = report_on(message);  // numbered as in the record
        if (!stored)
            log::warning("queue-refused",
                         {{"session", message.client.session}, {"reason", stored.error().detail}});
    }
    const Answer answer = answer_for(transaction, queued, message.id);
    if (answer.code != 250 || report.items.empty()) co_return answer;
    if (shared_.spool == nullptr) {
        const bool failed = std::ranges::any_of(report.items, [](const delivery::ReportItem& item) {
            return item.outcome == queue::Outcome::Failed;
        });
        co_return failed ? Answer{554, "5.0.0", std::string(kSomeRefused)} : answer;
    }
    const bool told = co_await tell_sender(message, report);
    if (queued && told) shared_.spool->schedule().put_back(message.id, queue::now());
    if (told) co_return answer;
    if (queued) shared_.spool->remove(message.id);
    co_return Answer{451, "4.3.0", "Its sender cannot be told now of refusals; try again later"};
}

Task<Answer> InLine::conclude_intent(const Message& message, const std::vector<Group>& groups) {
    auto& targets = message.transaction.targets;
    const Report report = report_on(message);
    if (!report.items.empty() && !co_await tell_sender(message, report)) {
        // They are tried once more from the queue, and reported then.
        for (Target& target : targets) {
            if (target.recorded && target.result.outcome == Outcome::Refused) {
                target.result.outcome = Outcome::Deferred;
            }
        }
    }
    const bool is_due = close_intent(message, groups);
    // Before its client hears 250, and before others try it: who reads the file without the
    // results would deliver again.
    co_await shared_.spool->written_on(worker_.loop());
    if (is_due) shared_.spool->schedule().put_back(message.id, queue::now());
    co_return answer_for(message.transaction, true, message.id);
}

void InLine::note_known_results(const Message& message) {
    const auto found = shared_.results.find(message.identity);
    if (found.empty()) return;
    const std::unordered_set<std::string_view> known(found.begin(), found.end());
    for (Target& target : message.transaction.targets) {
        if (!known.contains(target.address)) continue;
        target.result = delivery::own_result(Outcome::Delivered, 250, {2, 0, 0},
                                             "It has the message from an earlier try");
    }
}

Task<void> InLine::hand_over_all(const Message& message, std::vector<Group>& groups) {
    const auto until = net::Clock::now() + shared_.settings.in_line;
    if (groups.empty()) co_return;
    if (groups.size() == 1) co_return co_await hand_over(message, groups.front(), until);
    TaskGroup tasks;
    for (Group& group : groups) tasks.spawn(hand_over(message, group, until));
    co_await tasks.drained();
}

Task<void> InLine::hand_over(const Message& message, Group& group, net::Clock::time_point until) {
    auto& targets = message.transaction.targets;
    const auto all_are = [&](const delivery::RecipientResult& result) {
        for (const std::uint32_t i : group.targets) targets[i].result = result;
    };
    const auto topology = worker_.directory().topology();
    worker_.targets().follow(topology);
    const auto servers = cluster::mail_servers(*topology, group.home);
    if (!servers) co_return all_are(not_reached(servers.error().detail));
    for (const cluster::MailServer& server : *servers) {
        const auto target = homes_.find(server);
        if (!target) {
            all_are(not_reached(target.error().detail));
            continue;
        }
        co_await hand_over_to(message, group, server, *target, until);
        if (group.reached) break;
    }
}

Task<void> InLine::hand_over_to(const Message& message, Group& group,
                                const cluster::MailServer& server,
                                std::shared_ptr<const delivery::MailTarget> target,
                                net::Clock::time_point until) {
    auto& targets = message.transaction.targets;
    const queue::Envelope envelope = envelope_of(message.transaction);
    const bool is_member = server.server->server.kind == cluster::ServerKind::Dovecot;
    const std::string forward = is_member ? forward_fields(message) : std::string();
    std::vector<delivery::Recipient> recipients;
    recipients.reserve(group.targets.size());
    std::vector<std::string> texts;  // what the recipients' views point into
    texts.reserve(2 * group.targets.size());
    for (const std::uint32_t i : group.targets) {
        const queue::Recipient queued = queued_recipient(message.transaction, targets[i]);
        const std::string& notify = texts.emplace_back(delivery::notify_text(queued.notify));
        const std::string& orcpt = texts.emplace_back(delivery::encoded_orcpt(queued.orcpt));
        recipients.push_back({.address = targets[i].address,
                              .notify = notify,
                              .original_recipient = orcpt,
                              .forward = forward});
    }
    const std::string envid = wire::xtext_encode(envelope.envid);
    delivery::ContentBody body(message.content);
    delivery::Transaction transaction{
        .sender = envelope.sender,
        .recipients = recipients,
        .body = &body,
        .client = &message.client,
        .eight_bit = envelope.body8bit,
        .smtp_utf8 = delivery::needs_utf8(envelope.sender, recipients),
        .ret = delivery::ret_text(envelope.ret),
        .envelope_id = envid,
        .until = until};
    const auto done = co_await client_.send(std::move(target), transaction);
    group.reached = done.reached;
    for (std::size_t i = 0; i < group.targets.size(); ++i) {
        Target& one = targets[group.targets[i]];
        one.result = done.recipients[i];
        one.in_mailbox = server.service == cluster::Service::Lmtp;
        if (done.recipients[i].uncertain) counters_.uncertain.add();
    }
    const cluster::CheckTarget which{server.server->server.name, server.service};
    auto& health = worker_.shared().health;
    if (done.reached) {
        health.traffic_succeeded(which);
    } else {
        frontend::log_change(health.traffic_failed(
            which, message.client.client.address, done.recipients.front().text, net::Clock::now()));
    }
}

queue::Envelope InLine::full_envelope(const Message& message) {
    queue::Envelope envelope = envelope_of(message.transaction);
    envelope.route_class = message.route_class;
    envelope.client_address = message.client.client.address.text();
    envelope.client_name = message.client.name;
    envelope.helo = message.client.helo;
    envelope.login = message.client.login;
    envelope.session = SessionId(message.client.session);
    return envelope;
}

Task<Result<queue::QueueId>> InLine::queue_up(const Message& message, bool intent,
                                              queue::After after) {
    queue::Envelope envelope = full_envelope(message);
    for (Target& target : message.transaction.targets) {
        target.recorded = target.result.outcome == Outcome::Deferred;
        if (!target.recorded) continue;
        envelope.recipients.push_back(queued_recipient(message.transaction, target));
        envelope.recipients.back().in_line = intent && !goes_to_queue(target);
    }
    co_return co_await shared_.spool->commit_on(worker_.loop(), std::move(envelope),
                                                message.content, after, message.id);
}

// The record holds those targets, in their order, that had no result when it was made.
bool InLine::close_intent(const Message& message, const std::vector<Group>& groups) {
    const auto& targets = message.transaction.targets;
    std::vector<queue::RecipientResult> results;
    std::vector<queue::GroupResult> left;
    std::uint32_t number = 0;  // in the record
    for (std::uint32_t i = 0; i < targets.size(); ++i) {
        const delivery::RecipientResult& result = targets[i].result;
        if (!targets[i].recorded) continue;
        const std::uint32_t recorded = number++;
        if (goes_to_queue(targets[i])) continue;
        const auto outcome = result.outcome == Outcome::Delivered ? queue::Outcome::Delivered
                             : result.outcome == Outcome::Refused ? queue::Outcome::Failed
                                                                  : queue::Outcome::Deferred;
        results.push_back({.recipient = recorded,
                           .outcome = outcome,
                           .status = result.enhanced.text(),
                           .server = targets[i].home.text,
                           .text = result.diagnostic()});
    }
    const auto is_deferred = [&](std::uint32_t i) {
        return targets[i].result.outcome == Outcome::Deferred;
    };
    for (const Group& group : groups) {
        if (!std::ranges::any_of(group.targets, is_deferred)) continue;
        const std::string destination = "server:" + group.home.text;
        // What nobody could reach rests, and with it all else that waits for that server.
        if (!group.reached) {
            shared_.spool->schedule().unreachable(
                destination, targets[group.targets.front()].result.text, queue::now());
        }
        left.push_back({destination, group.reached ? queue::GroupResult::Kind::Deferred
                                                   : queue::GroupResult::Kind::Unreachable});
    }
    const bool all_done = left.empty() && !std::ranges::any_of(targets, goes_to_queue);
    if (all_done) {
        shared_.spool->remove(message.id);
        return false;
    }
    shared_.spool->record(message.id, std::move(results));
    // What was never meant to go in line is due now.
    if (left.empty() || std::ranges::any_of(targets, goes_to_queue)) return true;
    shared_.spool->settle(message.id, std::move(left));
    return false;
}

InLine::Report InLine::report_on(const Message& message) {
    const auto& targets = message.transaction.targets;
    Report report;
    const bool all_refused = std::ranges::all_of(
        targets, [](const Target& target) { return target.result.outcome == Outcome::Refused; });
    if (all_refused) return report;  // the client hears it
    std::uint32_t recorded = 0;
    // Those that the record does not have are numbered behind it.
    auto others = static_cast<std::uint32_t>(std::ranges::count_if(targets, &Target::recorded));
    for (const Target& target : targets) {
        const std::uint32_t number = target.recorded ? recorded++ : others++;
        if (target.result.outcome == Outcome::Deferred) continue;
        const auto outcome = target.result.outcome == Outcome::Refused ? queue::Outcome::Failed
                                                                       : queue::Outcome::Delivered;
        queue::Recipient recipient = queued_recipient(message.transaction, target);
        if (!delivery::is_wanted(recipient, outcome)) continue;
        report.told.emplace(number, outcome);
        report.items.push_back({.recipient = std::move(recipient),
                                .outcome = outcome,
                                .status = target.result.enhanced.text(),
                                .server = target.home.text,
                                .diagnostic = target.result.diagnostic(),
                                .in_mailbox = target.in_mailbox});
    }
    return report;
}

Task<bool> InLine::tell_sender(const Message& message, const Report& report) {
    queue::Envelope envelope = full_envelope(message);
    if (envelope.sender.empty()) co_return true;
    envelope.arrived = queue::now();
    co_return co_await delivery::commit_report(
        worker_.loop(), *shared_.spool, envelope, message.content, report.items,
        shared_.settings.host_name, delivery::report_id(message.id, report.told));
}

void InLine::log_outcome(const Message& message, const Answer& answer) const {
    for (const Target& target : message.transaction.targets) {
        const delivery::RecipientResult& result = target.result;
        const bool delivered = result.outcome == Outcome::Delivered;
        metrics::Counter& counter = delivered                            ? counters_.delivered
                                    : result.outcome == Outcome::Refused ? counters_.refused
                                    : answer.code == 250                 ? counters_.queued
                                                                         : counters_.deferred;
        counter.add();
        const bool waits = result.outcome == Outcome::Deferred && answer.code == 250;
        log::info(delivered ? "mail-delivered"
                  : waits   ? "mail-queued"
                            : "mail-not-delivered",
                  {{"session", message.client.session},
                   {"id", message.id},
                   {"from", message.transaction.mail.path.text()},
                   {"to", target.address},
                   {"server", target.home},
                   {"size", message.content->size()},
                   {"answer", static_cast<std::uint64_t>(answer.code)},
                   {"reason", delivered ? std::string_view() : std::string_view(result.text)}});
    }
}

// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)
}  // namespace muster::mx
