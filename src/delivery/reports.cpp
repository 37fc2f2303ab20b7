#include "delivery/reports.h"

#include <algorithm>

#include "base/endpoint.h"
#include "delivery/dsn_parameters.h"
#include "wire/ascii.h"
#include "wire/dsn.h"
#include "wire/message.h"
#include "wire/xtext.h"

namespace muster::delivery {
namespace {

using queue::Outcome;
using wire::dsn::Action;

std::chrono::sys_seconds seconds(queue::Time time) {
    return std::chrono::floor<std::chrono::seconds>(time);
}

Action action_of(const ReportItem& item) {
    switch (item.outcome) {
        case Outcome::Delivered: return item.in_mailbox ? Action::Delivered : Action::Relayed;
        case Outcome::Failed: return Action::Failed;
        case Outcome::Deferred: return Action::Delayed;
    }
    return Action::Failed;
}

bool is_reply(std::string_view text) {
    constexpr std::size_t kCode = 3;
    return text.size() > kCode && text[kCode] == ' ' &&
           std::ranges::all_of(text.substr(0, kCode), wire::is_digit);
}

/// Its name without address and port; an address as RFC 5321, 4.1.3 writes it.
std::string host_of(std::string_view server) {
    const std::string host(server.substr(0, server.find('[')));
    const auto address = IpAddress::parse(host);
    if (!address) return host;
    return (address->is_v4() ? "[" : "[IPv6:") + host + ']';
}

wire::dsn::RecipientStatus status_of(const ReportItem& item, const queue::Envelope& about,
                                     queue::Time now) {
    wire::dsn::RecipientStatus status{
        .final_recipient = item.recipient.address,
        .action = action_of(item),
        .status = item.status,
        .remote_mta = is_reply(item.diagnostic) ? host_of(item.server) : "",
        .diagnostic = item.diagnostic,
        .last_attempt = seconds(now)};
    if (std::string orcpt = encoded_orcpt(item.recipient.orcpt); !orcpt.empty()) {
        status.orcpt = std::move(orcpt);
    }
    if (item.outcome == Outcome::Deferred) status.retry_until = seconds(about.expires);
    return status;
}

}  // namespace

bool is_wanted(const queue::Recipient& recipient, Outcome outcome) {
    const std::uint8_t bits = recipient.notify;
    if ((bits & queue::notify::kNever) != 0) return false;
    switch (outcome) {
        case Outcome::Delivered: return (bits & queue::notify::kSuccess) != 0;
        case Outcome::Failed: return bits == 0 || (bits & queue::notify::kFailure) != 0;
        case Outcome::Deferred: return bits == 0 || (bits & queue::notify::kDelay) != 0;
    }
    return false;
}

std::optional<ReportMessage> make_report(const queue::Envelope& about, std::string_view beginning,
                                         const std::vector<ReportItem>& items,
                                         std::string_view host_name, const queue::QueueId& unique,
                                         queue::Time now) {
    if (about.sender.empty()) return std::nullopt;
    wire::dsn::Report report{.reporting_mta = std::string(host_name),
                             .sender = about.sender,
                             .unique = unique.text,
                             .now = seconds(now),
                             .arrival = seconds(about.arrived),
                             .original = beginning,
                             .return_full = about.ret == queue::Return::Full};
    if (!about.envid.empty()) report.envid = wire::xtext_encode(about.envid);
    for (const ReportItem& item : items) {
        if (is_wanted(item.recipient, item.outcome)) {
            report.recipients.push_back(status_of(item, about, now));
        }
    }
    if (report.recipients.empty()) return std::nullopt;
    queue::Envelope envelope;
    envelope.recipients.push_back({.address = about.sender, .notify = 0, .orcpt = {}});
    envelope.kind = queue::Kind::Dsn;
    envelope.route_class = "report";
    envelope.smtputf8 = wire::dsn::needs_utf8(report);
    return ReportMessage{std::move(envelope), wire::dsn::write(report)};
}

std::string beginning_of(const std::shared_ptr<const queue::Content>& content) {
    queue::BodyReader reader(content);
    std::string beginning;
    while (beginning.size() < wire::dsn::kMaxReturned) {
        const auto piece = reader.next();
        if (!piece || piece->empty()) break;
        beginning += piece->substr(0, wire::dsn::kMaxReturned + 1 - beginning.size());
    }
    return beginning;
}

}  // namespace muster::delivery
