// Who may send, and to whom: what an SMTP session answers to MAIL and RCPT.
#include <algorithm>

#include "mx/answers.h"
#include "mx/mail_service.h"
#include "mx/smtp_session.h"
#include "wire/ascii.h"

namespace muster::mx {

using wire::smtp::Refusal;

namespace {

constexpr std::size_t kMostTargets = 5000;  ///< of a message, after aliases; or mail.recipients

constexpr Refusal kUnknownRecipient{550, "5.1.1", "No such address here"};
constexpr Refusal kUnknownSoFar{450, "4.1.1", "No such address is known here yet; try again later"};
constexpr Refusal kRelayDenied{550, "5.7.1", "No mail is passed on to that address"};
constexpr Refusal kRelayDeniedSoFar{450, "4.7.1",
                                    "Not known yet whether that address is here; try again later"};
constexpr Refusal kReportsOnly{550, "5.7.1", "Only reports, from <>, are taken for that address"};
constexpr Refusal kDisabled{450, "4.2.1", "The mailbox takes no mail now"};
constexpr Refusal kAliasLoop{550, "5.4.6", "The address leads in a circle"};
constexpr Refusal kTooManyRecipients{452, "4.5.3", "Too many recipients; send the rest apart"};
constexpr Refusal kOneHome{452, "4.5.3", "Send to this recipient in a message of its own"};
constexpr Refusal kTooMuch{452, "4.7.28", "This account has sent to as many as it may in an hour"};
constexpr Refusal kTryLater{451, "4.3.0", "Cannot be told now; try again later"};
constexpr Refusal kLoginFirst{530, "5.7.0", "Log in first"};
constexpr Refusal kTlsFirst{530, "5.7.0", "Use STARTTLS first"};
constexpr Refusal kNotYours{553, "5.7.1", "The sender's address is not one of this account"};

/// user+detail@domain as user@domain.
std::string without_detail(const cluster::MailTarget& target) {
    std::string plain = target.address;
    if (!target.domain || target.domain->detail.empty()) return plain;
    const std::size_t cut = plain.find(target.domain->detail, 1);
    const std::size_t at = plain.rfind('@');
    if (at != plain.npos && cut < at) plain.erase(cut, at - cut);
    return plain;
}

/// With the domain in small letters, so that the same address is one target.
std::string outside_address(wire::smtp::Path path) {
    for (char& c : path.domain) c = wire::lower(c);
    return path.text();
}

}  // namespace

bool SmtpSession::is_trusted_to_relay() const {
    if (!login_.empty()) return true;
    const IpAddress& client = peer_.client.address;
    return any_contains(service_.settings().relay_from, client) || service_.is_own_server(client);
}

bool SmtpSession::may_send_now() const {
    if (service_.settings().client_messages == 0 || is_trusted_to_relay()) return true;
    return service_.shared().rates.take_message(peer_.client.address);
}

std::optional<Refusal> SmtpSession::judge_sender(const wire::smtp::Path& sender) {
    if (submits() && !is_trusted_to_relay()) {
        return passwords_allowed() ? kLoginFirst : kTlsFirst;
    }
    if (login_.empty() || sender.is_null()) return std::nullopt;
    const auto route = cluster::find_recipient(service_.worker().directory(), sender.local,
                                               sender.domain, service_.settings().host_name);
    if (!route) return route.error().kind == ErrorKind::Syntax ? kNotYours : kTryLater;
    const auto is_own = [&](const cluster::MailTarget& target) {
        if (target.address == login_) return true;
        const auto known = service_.worker().directory().locate(target.address, {});
        if (known && known->known) return known->address.text == login_;
        return without_detail(target) == login_;
    };
    if (!std::ranges::any_of(route->targets, is_own)) return kNotYours;
    return std::nullopt;
}

std::optional<Refusal> SmtpSession::judge_route(const cluster::MailRoute& route) {
    switch (route.verdict) {
        case cluster::MailVerdict::Accept: break;
        case cluster::MailVerdict::Unknown:
            ++unknown_;
            return cluster::knows_all_addresses(service_.worker().directory(), route,
                                                service_.settings().stale_after)
                       ? kUnknownRecipient
                       : kUnknownSoFar;
        case cluster::MailVerdict::Foreign:
            if (is_trusted_to_relay()) break;
            return cluster::knows_all_domains(*route.topology) ? kRelayDenied : kRelayDeniedSoFar;
        case cluster::MailVerdict::Disabled: return kDisabled;
        case cluster::MailVerdict::AliasLoop: return kAliasLoop;
    }
    if (transaction_->targets.size() + route.targets.size() >
        std::max(kMostTargets, service_.settings().recipients)) {
        return kTooManyRecipients;
    }
    // A domain whose mail may be stored goes with none that stores nothing.
    const bool only_in_line = route.domain && route.domain->mail == cluster::MailMode::InLineOnly;
    if (!transaction_->targets.empty() && transaction_->in_line_only != only_in_line) {
        return kOneHome;
    }
    const bool stores_nothing = service_.shared().spool == nullptr || only_in_line;
    if (stores_nothing && !transaction_->keeps_one_home(route)) {
        return transaction_->targets.empty() ? kRelayDenied : kOneHome;
    }
    return std::nullopt;
}

std::optional<Refusal> SmtpSession::judge_recipient(wire::smtp::Recipient& recipient) {
    // An alias may have a thousand members: it is looked up once.
    const bool is_first = transaction_->recipients.empty();
    if (!is_first && transaction_->names(recipient.path.text())) return std::nullopt;
    if (transaction_->recipients.size() >= service_.settings().recipients) {
        return kTooManyRecipients;
    }
    if (!transaction_->mail.path.is_null() &&
        delivery::is_for_reports(service_.shared().rewriting, recipient.path)) {
        return kReportsOnly;
    }
    auto route =
        delivery::find_mail_route(service_.worker().directory(), service_.shared().rewriting,
                                  recipient.path, service_.settings().host_name);
    if (!route) {
        // What no address of ours can look like is nobody's.
        if (route.error().kind != ErrorKind::Syntax && route.error().kind != ErrorKind::Limit) {
            return kTryLater;
        }
        ++unknown_;
        return kUnknownRecipient;
    }
    if (const auto refusal = judge_route(*route)) return refusal;
    if (route->domain && route->domain->message_bytes != 0 &&
        transaction_->mail.size.value_or(0) > route->domain->message_bytes) {
        return kTooLarge;
    }
    if (!login_.empty() && !service_.shared().rates.take_recipient(login_)) return kTooMuch;
    // Quoting is only known here.
    if (route->is_outside()) route->targets.front().address = outside_address(recipient.path);
    // What accounts have redirected leaves their servers with the sender that it came with.
    transaction_->add(std::move(recipient), *route, service_.is_own_server(peer_.client.address));
    return std::nullopt;
}

}  // namespace muster::mx
