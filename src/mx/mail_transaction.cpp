#include "mx/mail_transaction.h"

#include <algorithm>

#include "delivery/sender_rewriting.h"
#include "wire/xtext.h"

namespace muster::mx {
namespace {

using delivery::Outcome;

std::uint8_t notify_bits(const wire::smtp::Recipient& given) {
    if (!given.notify) return 0;
    if (given.notify->never()) return queue::notify::kNever;
    std::uint8_t bits = 0;
    if (given.notify->success) bits |= queue::notify::kSuccess;
    if (given.notify->failure) bits |= queue::notify::kFailure;
    if (given.notify->delay) bits |= queue::notify::kDelay;
    return bits;
}

/// `type;address` with the xtext of its second part decoded.
std::string decoded_orcpt(const std::string& orcpt) {
    const std::size_t semicolon = orcpt.find(';');
    if (semicolon == orcpt.npos) return {};
    const auto address =
        wire::xtext_decode(std::string_view(orcpt).substr(semicolon + 1), wire::smtp::kMaxOrcpt);
    return address ? orcpt.substr(0, semicolon + 1) + *address : std::string();
}

}  // namespace

void MailTransaction::add(wire::smtp::Recipient given, const cluster::MailRoute& route,
                          bool passed_on) {
    const auto number = static_cast<std::uint32_t>(recipients.size());
    given_texts.insert(given.path.text());
    Recipient recipient{std::move(given)};
    for (const cluster::MailTarget& to : route.targets) {
        const auto [there, is_new] =
            target_numbers.try_emplace(to.address, static_cast<std::uint32_t>(targets.size()));
        recipient.targets.push_back(there->second);
        if (!is_new) continue;
        auto mode = route.domain ? route.domain->mail : cluster::MailMode::InLine;
        if (to.waits) mode = cluster::MailMode::Queue;
        in_line_only = in_line_only || mode == cluster::MailMode::InLineOnly;
        const bool in_world = to.home.empty() && to.domain == nullptr;
        targets.push_back(
            {.address = to.address,
             .home = to.home,
             .mode = mode,
             .forwarded = delivery::is_forwarded(route, to) || (passed_on && in_world),
             .recipient = number});
    }
    recipients.push_back(std::move(recipient));
}

bool MailTransaction::keeps_one_home(const cluster::MailRoute& route) const {
    const ServerName& home = targets.empty() ? route.targets.front().home : targets.front().home;
    const auto is_there = [&](const auto& target) { return target.home == home; };
    return !home.empty() && std::ranges::all_of(route.targets, is_there);
}

Answer answer_for(const MailTransaction& transaction, bool queued, const queue::QueueId& id) {
    const auto& targets = transaction.targets;
    const auto has = [&](Outcome outcome) {
        return std::ranges::any_of(
            targets, [&](const Target& target) { return target.result.outcome == outcome; });
    };
    const bool deferred = has(Outcome::Deferred);
    if (deferred && queued) return {250, "2.0.0", "Queued as " + id.text};
    if (!deferred && has(Outcome::Delivered)) return {250, "2.0.0", "Delivered, " + id.text};
    if (deferred) return {451, "4.3.0", "Cannot be delivered now; try again later"};
    const delivery::RecipientResult& refusal = targets.front().result;
    return {refusal.code >= 500 ? refusal.code : 550,
            refusal.enhanced.given() ? refusal.enhanced.text() : "5.0.0",
            "The server of the mailbox refused the message"};
}

std::vector<std::string> taken_targets(const MailTransaction& transaction, bool queued) {
    std::vector<std::string> addresses;
    for (const Target& target : transaction.targets) {
        const bool waits = queued && target.result.outcome == Outcome::Deferred;
        if (waits || target.result.outcome == Outcome::Delivered) {
            addresses.push_back(target.address);
        }
    }
    return addresses;
}

queue::Envelope envelope_of(const MailTransaction& transaction) {
    const wire::smtp::Mail& mail = transaction.mail;
    queue::Envelope envelope;
    envelope.sender = mail.path.text();
    if (mail.ret == wire::smtp::Return::Full) envelope.ret = queue::Return::Full;
    if (mail.ret == wire::smtp::Return::Headers) envelope.ret = queue::Return::Headers;
    if (mail.envid) {
        if (auto decoded = wire::xtext_decode(*mail.envid, wire::smtp::kMaxEnvid)) {
            envelope.envid = std::move(*decoded);
        }
    }
    envelope.smtputf8 = mail.smtputf8;
    envelope.body8bit = mail.body == wire::smtp::Body::EightBitMime;
    return envelope;
}

queue::Recipient queued_recipient(const MailTransaction& transaction, const Target& target) {
    const wire::smtp::Recipient& given = transaction.recipients[target.recipient].given;
    queue::Recipient recipient{.address = target.address,
                               .notify = notify_bits(given),
                               .orcpt = {},
                               .forwarded = target.forwarded};
    if (given.orcpt) recipient.orcpt = decoded_orcpt(*given.orcpt);
    const std::string original = given.path.text();
    if (recipient.orcpt.empty() && original != target.address) {
        recipient.orcpt = (given.path.utf8 ? "utf-8;" : "rfc822;") + original;
    }
    return recipient;
}

}  // namespace muster::mx
