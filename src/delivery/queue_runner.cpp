#include "delivery/queue_runner.h"

#include <algorithm>
#include <random>

#include "base/log.h"
#include "cluster/route.h"
#include "delivery/content_body.h"
#include "delivery/deadlines.h"
#include "delivery/dsn_parameters.h"
#include "net/yield.h"
#include "wire/xtext.h"

namespace muster::delivery {

// What is passed by reference lives in attempt(), which awaits all of it.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)
namespace {

constexpr net::Duration kLongestPause{5'000};
constexpr net::Duration kLookAtEnd{250};
constexpr net::Duration kSweep{1'000};
/// After which the disk is asked again for what it could not read or take.
constexpr queue::milliseconds kStorageAgain = std::chrono::minutes(1);

queue::Outcome queue_outcome(Outcome outcome) {
    switch (outcome) {
        case Outcome::Delivered: return queue::Outcome::Delivered;
        case Outcome::Refused: return queue::Outcome::Failed;
        case Outcome::Deferred: return queue::Outcome::Deferred;
    }
    return queue::Outcome::Deferred;
}

RecipientResult deferred(std::string text) {
    return own_result(Outcome::Deferred, 451, {4, 4, 1}, std::move(text));
}

bool is_open(const queue::RecipientState& state) {
    return state.kind == queue::RecipientState::Kind::Open;
}

/// Those of the group that its server takes in further transactions.
RecipientGroup for_at_once(const RecipientGroup& group, const TransactionResult& done) {
    RecipientGroup found = group;
    found.recipients.clear();
    found.addresses.clear();
    for (std::size_t i = 0; i < group.recipients.size(); ++i) {
        if (!done.recipients[i].at_once) continue;
        found.recipients.push_back(group.recipients[i]);
        found.addresses.push_back(group.addresses[i]);
    }
    return found;
}

/// What the destination of several tries is left with: an answer counts more than silence.
std::optional<queue::GroupResult::Kind> more_final(std::optional<queue::GroupResult::Kind> one,
                                                   std::optional<queue::GroupResult::Kind> other) {
    if (!one || !other) return one ? one : other;
    return std::min(*one, *other);  // in the order of their declaration
}

/// Those that wait for another try, or the others.
std::vector<queue::RecipientResult> with_outcomes(
    const std::vector<queue::RecipientResult>& results, bool deferred) {
    std::vector<queue::RecipientResult> found;
    for (const queue::RecipientResult& result : results) {
        if ((result.outcome == queue::Outcome::Deferred) == deferred) found.push_back(result);
    }
    return found;
}

RouteSettings with_retry(RouteSettings settings, const queue::RetrySettings& retry) {
    settings.retry = retry;
    return settings;
}

}  // namespace

QueueRunner::QueueRunner(RunnerSettings settings, queue::Spool& spool,
                         const cluster::TopologyTable& topology, frontend::HostAddresses& hosts,
                         const frontend::UpstreamSettings& upstream, NodeName node,
                         net::Resolver* resolver)
    : settings_(std::move(settings)),
      spool_(spool),
      directory_(topology),
      targets_(upstream, std::move(node)),
      cache_({.per_target = settings_.tries_of_destination}),
      client_(loop_, cache_),
      homes_(targets_, hosts, settings_.routes.host_name),
      routes_(directory_, with_retry(settings_.routes, spool_.schedule().settings())),
      reports_(loop_, spool_, settings_.routes.host_name),
      traffic_(loop_, spool_.schedule(), settings_.tries_of_destination),
      resolver_(resolver) {
    if (resolver == nullptr) return;
    sts_ = std::make_unique<StsCache>(*resolver, fetching_, settings_.sts_file);
    MxRules rules;
    rules.own_names = {settings_.routes.host_name};
    rules.own_addresses = settings_.own_addresses;
    rules.random = [](std::size_t below) {
        thread_local std::minstd_rand generator(std::random_device{}());
        return generator() % below;
    };
    world_ = std::make_unique<WorldClient>(loop_, *resolver, client_, sts_.get(), std::move(rules));
}

QueueRunner::~QueueRunner() { stop(); }

void QueueRunner::start() {
    spool_.schedule().on_earlier([this] {
        if (was_told_.exchange(true)) return;
        loop_.post([this] {
            was_told_ = false;
            look_again();
        });
    });
    thread_ = std::thread([this] { run(); });
}

void QueueRunner::stop() {
    if (!thread_.joinable()) return;
    spool_.schedule().on_earlier({});
    loop_.post([this] {
        stopping_ = true;
        look_again();
    });
    thread_.join();
}

void QueueRunner::run() {
    loop_.tasks().spawn(work());
    loop_.run();
}

Task<void> QueueRunner::work() {
    while (!stopping_) {
        woken_ = false;
        sweep();
        std::size_t room = settings_.tries - std::min(settings_.tries, tries_.running());
        may_run_ = spool_.owned();
        if (!may_run_) room = 0;
        for (const queue::QueueId& id : spool_.schedule().due(queue::now(), room)) {
            tries_.spawn(attempt(id));
        }
        // Others have their turn in any case: what is on its way must get on.
        if (woken_) {
            co_await net::Yield(loop_);
        } else if (!stopping_) {
            co_await pause();
        }
    }
    co_await end_tries();
    cache_.clear();
    loop_.stop();
}

Task<void> QueueRunner::end_tries() {
    const auto until = net::Clock::now() + settings_.stop_grace;
    while (tries_.running() > 0) {
        net::Sleep sleep(loop_, kLookAtEnd);
        pausing_ = &sleep;
        co_await sleep;
        pausing_ = nullptr;
        if (net::Clock::now() < until) continue;
        cut_off_ = true;
        client_.give_up();
        if (resolver_ != nullptr) resolver_->give_up(loop_);
        if (sts_) sts_->give_up();
    }
}

void QueueRunner::sweep() {
    const auto now = net::Clock::now();
    if (now - swept_ < kSweep) return;
    swept_ = now;
    cache_.sweep();
    reports_.sweep();
}

Task<void> QueueRunner::pause() {
    net::Duration wait = cache_.size() > 0 ? kSweep : kLongestPause;
    if (may_run_ && tries_.running() < settings_.tries) {
        if (const auto next = spool_.schedule().next_due()) {
            const auto until = std::chrono::duration_cast<net::Duration>(*next - queue::now());
            wait = std::clamp(until, net::Duration{1}, wait);
        }
    }
    net::Sleep sleep(loop_, wait);
    pausing_ = &sleep;
    co_await sleep;
    pausing_ = nullptr;
}

void QueueRunner::look_again() {
    woken_ = true;
    if (pausing_ == nullptr || std::exchange(looking_, true)) return;
    loop_.post([this] {
        looking_ = false;
        if (pausing_ != nullptr) pausing_->cut_short();
    });
}

Task<void> QueueRunner::attempt(queue::QueueId id) {
    auto message = spool_.read(id);
    if (!message) {
        if (message.error().kind != ErrorKind::NotFound) {
            log::error("queued-message-unreadable",
                       {{"id", id}, {"reason", message.error().detail}});
        }
        const bool comes_back =
            message.error().kind == ErrorKind::Io || message.error().kind == ErrorKind::Unavailable;
        if (comes_back) spool_.put_back(id, queue::now() + kStorageAgain);
    } else {
        Try each{.message = std::move(*message)};
        co_await deliver(each);
        co_await finish(each);
    }
    look_again();  // there is room for another one
}

Task<void> QueueRunner::deliver(Try& each) {
    QueuePlan plan = routes_.plan(each.message);
    fail_expired(each, plan);
    for (const auto& [recipient, result] : plan.findings) {
        each.results.find(noted(each, recipient, result, {}));
    }
    each.left = std::move(plan.left);
    each.groups = std::move(plan.groups);
    for (const RecipientGroup& group : each.groups) {
        for (const std::uint32_t recipient : group.recipients) each.results.expect(recipient);
    }
    for (const RecipientGroup& group : each.groups) {
        // What was found out so far stands whatever becomes of the rest.
        if (&group != each.groups.data()) {
            spool_.record(each.message.id, each.results.take_untold(each.message.envelope));
        }
        co_await deliver_group(each, group);
    }
}

void QueueRunner::fail_expired(Try& each, QueuePlan& plan) {
    const queue::Time now = queue::now();
    Deadlines deadlines = deadlines_of(each.message, plan, spool_.schedule().settings());
    queue::Time expires = queue::Time::max();
    queue::Time notice = queue::Time::max();
    for (std::uint32_t i = 0; i < each.message.states.size(); ++i) {
        if (!is_open(each.message.states[i])) continue;
        if (queue::expired(deadlines.expires[i], now)) {
            fail_recipient(each, i, "4.4.7", "Could not be delivered in time");
            plan.forget(i);
            continue;
        }
        expires = std::min(expires, deadlines.expires[i]);
        notice = std::min(notice, deadlines.notices[i]);
    }
    std::erase_if(plan.groups,
                  [](const RecipientGroup& group) { return group.recipients.empty(); });
    each.notices = std::move(deadlines.notices);
    if (expires == queue::Time::max()) return;  // nobody is left
    each.message.envelope.expires = expires;    // what reports say of those that wait
    spool_.schedule().set_deadlines(each.message.id, expires, notice);
}

void QueueRunner::fail_recipient(Try& each, std::uint32_t recipient, const char* status,
                                 std::string_view text) {
    const queue::RecipientState& state = each.message.states[recipient];
    std::string why(text);
    if (!state.last.text.empty()) why += "; the last answer was: " + state.last.text;
    each.results.find({.recipient = recipient,
                       .outcome = queue::Outcome::Failed,
                       .status = status,
                       .server = state.last.server,
                       .text = std::move(why)});
}

queue::RecipientResult QueueRunner::noted(const Try& each, std::uint32_t recipient,
                                          const RecipientResult& result, const Answerer& from) {
    const queue::Envelope& envelope = each.message.envelope;
    const std::string& server = from.server;
    log::info(result.outcome == Outcome::Delivered ? "mail-delivered" : "mail-not-delivered",
              {{"id", each.message.id},
               {"session", envelope.session},
               {"from", envelope.sender},
               {"to", envelope.recipients[recipient].address},
               {"server", server},
               {"tries", std::uint64_t{each.message.tries} + 1},
               {"status", result.enhanced.text()},
               {"reason", result.outcome == Outcome::Delivered ? std::string() : result.text}});
    return {.recipient = recipient,
            .outcome = queue_outcome(result.outcome),
            .status = result.enhanced.text(),
            .server = server,
            .text = result.diagnostic(),
            .in_mailbox = from.has_mailboxes};
}

bool QueueRunner::has_place(const RecipientGroup& group) {
    if (group.terms.messages == 0) return true;
    const auto free = pace_.take(group.destination, group.terms.messages, queue::now());
    if (!free) return true;
    spool_.schedule().rest(group.destination, "It takes no more messages in this minute", *free);
    return false;
}

Task<void> QueueRunner::deliver_group(Try& each, const RecipientGroup& group) {
    queue::Schedule& schedule = spool_.schedule();
    if (!traffic_.come(group.destination, group.terms.connections)) {
        each.left.push_back({group.destination, queue::GroupResult::Kind::Busy});
        co_return;
    }
    co_await traffic_.turn(group.destination);
    if (stopping_) {
        each.left.push_back({group.destination, queue::GroupResult::Kind::Held});
        co_return traffic_.leave(group.destination);
    }
    // Only now: those before it may have found that nobody is there.
    if (schedule.held_until(group.destination, queue::now()) || !has_place(group)) {
        each.left.push_back({group.destination, queue::GroupResult::Kind::Held});
        co_return traffic_.leave(group.destination);
    }
    RecipientGroup rest;
    std::optional<queue::GroupResult::Kind> left;
    for (const RecipientGroup* some = &group;; some = &rest) {
        Answerer from;
        const TransactionResult done = co_await send(each, *some, from);
        left = more_final(left, take(each, *some, done, from));
        const bool is_done = std::ranges::none_of(done.recipients, &RecipientResult::at_once);
        if (is_done) break;
        rest = for_at_once(*some, done);
        if (stopping_) {
            left = more_final(left, queue::GroupResult::Kind::Held);
            break;
        }
        spool_.record(each.message.id, each.results.take_untold(each.message.envelope));
    }
    traffic_.leave(group.destination);
    if (left) each.left.push_back({group.destination, *left, group.terms.retry});
}

std::optional<queue::GroupResult::Kind> QueueRunner::take(Try& each, const RecipientGroup& group,
                                                          const TransactionResult& done,
                                                          const Answerer& from) {
    queue::Schedule& schedule = spool_.schedule();
    const auto is_unknown = [this](const RecipientResult& one) {
        return cut_off_ && one.outcome == Outcome::Deferred && !one.from_server;
    };
    if (done.reached) schedule.reached(group.destination, queue::now());
    bool any_left = false;
    bool any_unknown = false;
    for (std::size_t i = 0; i < group.recipients.size(); ++i) {
        const RecipientResult& one = done.recipients[i];
        if (one.at_once) continue;
        any_left = any_left || one.outcome == Outcome::Deferred;
        any_unknown = any_unknown || is_unknown(one);
        if (is_unknown(one)) continue;
        each.results.answer(noted(each, group.recipients[i], one, from));
    }
    if (!any_left) return std::nullopt;
    if (any_unknown) return queue::GroupResult::Kind::Held;
    if (done.reached) return queue::GroupResult::Kind::Deferred;
    schedule.unreachable(group.destination, done.recipients.front().text, queue::now(),
                         group.terms.retry.get());
    return queue::GroupResult::Kind::Unreachable;
}

Task<TransactionResult> QueueRunner::send(const Try& each, const RecipientGroup& group,
                                          Answerer& from) {
    const queue::Envelope& envelope = each.message.envelope;
    std::vector<std::string> texts;  // what the recipients' views point into
    texts.reserve(group.recipients.size() * 2);
    std::vector<Recipient> recipients;
    for (std::size_t i = 0; i < group.recipients.size(); ++i) {
        const queue::Recipient& queued = envelope.recipients[group.recipients[i]];
        const std::string& notify = texts.emplace_back(notify_text(queued.notify));
        const std::string& orcpt = texts.emplace_back(encoded_orcpt(queued.orcpt));
        recipients.push_back(
            {.address = group.addresses[i], .notify = notify, .original_recipient = orcpt});
    }
    ClientFacts client{.name = envelope.client_name,
                       .helo = envelope.helo,
                       .login = envelope.login,
                       .session = envelope.session.text};
    const auto address = IpAddress::parse(envelope.client_address);
    if (address) client.client.address = *address;
    const std::string envid = wire::xtext_encode(envelope.envid);
    ContentBody body(each.message.content);
    const SenderRewriting* const rewriting = settings_.routes.rewriting;
    const std::string sender = group.forwarded && rewriting != nullptr
                                   ? rewriting->forwarded(*directory_.topology(), envelope.sender)
                                   : envelope.sender;
    // Who sent it may have asked for more than it needs (RFC 6531, 3.6).
    const bool needs_more = envelope.smtputf8 && (needs_utf8(sender, recipients) ||
                                                  has_utf8_header(each.message.content));
    const Transaction transaction{.sender = sender,
                                  .recipients = recipients,
                                  .body = &body,
                                  .client = address ? &client : nullptr,
                                  .eight_bit = envelope.body8bit,
                                  .smtp_utf8 = needs_more,
                                  .ret = ret_text(envelope.ret),
                                  .envelope_id = envid};
    if (!group.home.empty()) co_return co_await send_home(group, transaction, from);
    co_return co_await send_out(group, transaction, from);
}

TransactionResult QueueRunner::all(const RecipientGroup& group, const RecipientResult& result) {
    return {.recipients = std::vector<RecipientResult>(group.recipients.size(), result)};
}

Task<TransactionResult> QueueRunner::send_home(const RecipientGroup& group, Transaction transaction,
                                               Answerer& from) {
    const auto topology = directory_.topology();
    targets_.follow(topology);
    from.server = group.home.text;
    const auto servers = cluster::mail_servers(*topology, group.home);
    if (!servers) co_return all(group, deferred(servers.error().detail));
    transaction.smtp_utf8 = needs_utf8(transaction.sender, transaction.recipients);
    TransactionResult last;
    for (const cluster::MailServer& server : *servers) {
        from.server = server.server->server.name.text;
        from.has_mailboxes = server.service == cluster::Service::Lmtp;
        last = co_await send_to(server, group, transaction);
        if (last.reached || stopping_) break;
    }
    co_return last;
}

Task<TransactionResult> QueueRunner::send_to(const cluster::MailServer& server,
                                             const RecipientGroup& group,
                                             const Transaction& transaction) {
    const auto target = homes_.find(server);
    if (!target) co_return all(group, deferred(target.error().detail));
    co_return co_await client_.send(*target, transaction);
}

Task<TransactionResult> QueueRunner::send_out(const RecipientGroup& group, Transaction transaction,
                                              Answerer& from) {
    TransactionResult last = all(group, deferred("No host could be reached"));
    const OutgoingIdentity identity = routes_.identity(transaction.sender);
    WorldRoute route{.helo = identity.helo, .tls = group.tls, .sources = identity.sources};
    if (group.by_smart_host && settings_.smart_host_login) {
        route.login = settings_.smart_host_login;
        // A password is for the right one alone.
        if (route.tls == TlsSetting::Automatic) route.tls = TlsSetting::Verified;
    }
    if (group.terms.login) {
        route.login = group.terms.login;
        route.tls = TlsSetting::Verified;  // whatever the domain's tls says
    }
    for (const Destination& destination : group.remote) {
        if (!world_ || stopping_) co_return last;
        route.destination = destination;
        WorldResult done = co_await world_->send(route, transaction);
        from.server = done.server;
        last = std::move(done.result);
        if (last.reached) break;
    }
    co_return last;
}

Task<void> QueueRunner::finish(Try& each) {
    std::vector<queue::RecipientState>& states = each.message.states;
    const std::vector<queue::RecipientResult> known = each.results.known();
    for (const queue::RecipientResult& result : known) {
        queue::RecipientState& state = states[result.recipient];
        state.last = result;
        if (result.outcome == queue::Outcome::Delivered && is_open(state)) {
            state.kind = queue::RecipientState::Kind::Delivered;
        } else if (result.outcome == queue::Outcome::Failed) {
            state.kind = queue::RecipientState::Kind::Failed;
        }
    }
    const queue::QueueId id = each.message.id;
    std::vector<queue::RecipientResult> fresh = each.results.take();
    // The report first: a crash in between repeats it, and loses none.
    if (!co_await reports_.report(each.message, with_outcomes(fresh, false))) {
        co_return unreported(each, std::move(fresh));
    }
    if (std::ranges::none_of(states, is_open)) co_return remove(id);
    spool_.record(id, std::move(fresh));
    const bool is_late = !stopping_ && !each.message.delay_notice &&
                         queue::expired(first_notice(each), queue::now());
    if (is_late && co_await reports_.report(each.message, delays(each))) {
        spool_.record_delay_notice(id);
    } else if (known.empty() && !queue::counts_as_try(each.left)) {
        co_return spool_.pass_over(id, each.left);
    }
    spool_.settle(id, each.left);
}

queue::Time QueueRunner::first_notice(const Try& each) {
    queue::Time first = queue::Time::max();
    for (std::size_t i = 0; i < each.message.states.size(); ++i) {
        if (is_open(each.message.states[i])) first = std::min(first, each.notices[i]);
    }
    return first;
}

void QueueRunner::unreported(Try& each, std::vector<queue::RecipientResult> fresh) {
    const queue::QueueId& id = each.message.id;
    log::error("report-not-queued", {{"id", id}, {"next", "the message is tried again"}});
    std::erase_if(fresh, [](const queue::RecipientResult& result) {
        return result.outcome == queue::Outcome::Failed;
    });
    spool_.record(id, std::move(fresh));
    // Its own back-off does not count once it has expired.
    if (each.left.empty()) return spool_.put_back(id, queue::now() + kStorageAgain);
    spool_.settle(id, each.left);
}

std::vector<queue::RecipientResult> QueueRunner::delays(const Try& each) {
    std::vector<queue::RecipientResult> found;
    for (std::uint32_t i = 0; i < each.message.states.size(); ++i) {
        const queue::RecipientState& state = each.message.states[i];
        if (!is_open(state) || each.notices[i] == queue::Time::max()) continue;
        queue::RecipientResult result = state.last;
        if (result.status.empty()) {  // nobody has ever tried
            const auto group = std::ranges::find_if(each.groups, [i](const RecipientGroup& one) {
                return std::ranges::find(one.recipients, i) != one.recipients.end();
            });
            result.status = "4.4.1";
            if (group != each.groups.end()) {
                result.text = spool_.schedule().reason(group->destination);
            }
            if (result.text.empty()) result.text = "Its server was not asked yet";
        }
        result.recipient = i;
        result.outcome = queue::Outcome::Deferred;
        found.push_back(std::move(result));
    }
    return found;
}

void QueueRunner::remove(const queue::QueueId& id) {
    reports_.forget(id);
    spool_.remove(id);
}

// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)
}  // namespace muster::delivery
