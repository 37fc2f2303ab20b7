#include "delivery/queue_routes.h"

#include <algorithm>

#include "cluster/address.h"
#include "net/connect.h"
#include "wire/smtp.h"

namespace muster::delivery {
namespace {

Destination destination_of(const cluster::MailHost& host) {
    return {Destination::Kind::Host, host.name, host.port};
}

std::string text_of(const std::vector<Destination>& hosts) {
    std::string text;
    for (const Destination& host : hosts) {
        text += (text.empty() ? "" : ",") + cluster::MailHost{host.name, host.port}.text();
    }
    return text;
}

/// Waits for something that has nothing to do with servers.
void put_off(QueuePlan& plan, std::uint32_t recipient, const char* cause, RecipientResult result) {
    plan.findings.emplace_back(recipient, std::move(result));
    plan.left.push_back({cause, queue::GroupResult::Kind::Deferred});
}

constexpr std::string_view kHosts = "host:";

bool has_own(const DomainTerms& terms) {
    return terms.retry || terms.connections != 0 || terms.messages != 0 || terms.login;
}

}  // namespace

void QueuePlan::forget(std::uint32_t recipient) {
    std::erase_if(findings, [&](const auto& each) { return each.first == recipient; });
    for (RecipientGroup& group : groups) {
        for (std::size_t i = group.recipients.size(); i-- > 0;) {
            if (group.recipients[i] != recipient) continue;
            group.recipients.erase(group.recipients.begin() + static_cast<std::ptrdiff_t>(i));
            group.addresses.erase(group.addresses.begin() + static_cast<std::ptrdiff_t>(i));
        }
    }
}

QueuePlan QueueRoutes::plan(const queue::QueuedMessage& message) {
    QueuePlan plan;
    plan.message_bytes = message.content->size();
    for (std::uint32_t i = 0; i < message.states.size(); ++i) {
        if (message.states[i].kind != queue::RecipientState::Kind::Open) continue;
        plan_recipient(plan, i, message.envelope.recipients[i]);
    }
    return plan;
}

void QueueRoutes::plan_recipient(QueuePlan& plan, std::uint32_t number,
                                 const queue::Recipient& recipient) {
    const auto refuse = [&](std::uint16_t code, wire::smtp::EnhancedStatus status,
                            const char* text) {
        plan.findings.emplace_back(number, own_result(Outcome::Refused, code, status, text));
    };
    const auto path = wire::smtp::parse_address(recipient.address);
    if (!path) return refuse(553, {5, 1, 3}, "Not an address");
    const auto found = find_mail_route(directory_, settings_.rewriting, *path, settings_.host_name);
    if (!found && found.error().kind != ErrorKind::Syntax) {
        return put_off(plan, number, "directory",
                       own_result(Outcome::Deferred, 451, {4, 4, 1},
                                  "The directory cannot be read: " + found.error().detail));
    }
    switch (found ? found->verdict : cluster::MailVerdict::Unknown) {
        case cluster::MailVerdict::Accept:
        case cluster::MailVerdict::Foreign: break;
        case cluster::MailVerdict::Disabled:  // until it is enabled, or time is over
            return put_off(
                plan, number, "disabled",
                own_result(Outcome::Deferred, 450, {4, 2, 1}, "The mailbox is disabled"));
        case cluster::MailVerdict::Unknown:
            if (found && !cluster::knows_all_addresses(directory_, *found, settings_.stale_after)) {
                return put_off(plan, number, "directory",
                               own_result(Outcome::Deferred, 450, {4, 1, 1}, "Not known here yet"));
            }
            [[fallthrough]];
        case cluster::MailVerdict::AliasLoop:
            return refuse(550, {5, 1, 1}, "No such address any more");
    }
    if (found->is_outside()) {
        cluster::MailTarget target = found->targets.front();
        target.address = recipient.address;  // as its sender wrote it
        return add(plan, target, number, recipient.forwarded);
    }
    for (const cluster::MailTarget& target : found->targets) {
        add(plan, target, number, is_forwarded(*found, target));
    }
}

void QueueRoutes::add(QueuePlan& plan, const cluster::MailTarget& target, std::uint32_t recipient,
                      bool forwarded) {
    RecipientGroup group;
    if (!target.home.empty()) {
        group.home = target.home;
        group.destination = "server:" + target.home.text;
    } else {
        group = to_world(target);
        const bool has_terms =
            target.domain != nullptr && target.domain->kind == cluster::DomainKind::Remote;
        if (has_terms && !put_on_terms(plan, group, *target.domain, recipient)) return;
    }
    group.forwarded = forwarded;
    auto same = std::ranges::find_if(plan.groups, [&group](const RecipientGroup& one) {
        return one.destination == group.destination && one.tls == group.tls &&
               one.forwarded == group.forwarded;
    });
    if (same == plan.groups.end()) same = plan.groups.insert(same, std::move(group));
    same->recipients.push_back(recipient);
    same->addresses.push_back(target.address);
}

bool QueueRoutes::put_on_terms(QueuePlan& plan, RecipientGroup& group,
                               const cluster::Domain& domain, std::uint32_t recipient) {
    if (domain.message_bytes != 0 && plan.message_bytes > domain.message_bytes) {
        plan.findings.emplace_back(recipient,
                                   own_result(Outcome::Refused, 552, {5, 3, 4},
                                              "Too large: " + domain.name.text + " takes " +
                                                  std::to_string(domain.message_bytes) + " bytes"));
        return false;
    }
    auto known = plan.terms.find(domain.name.text);
    if (known == plan.terms.end()) {
        auto terms = terms_of(domain);
        if (!terms) {
            put_off(plan, recipient, "credential",
                    own_result(Outcome::Deferred, 451, {4, 7, 0},
                               "The credential of " + domain.name.text +
                                   " cannot be used: " + terms.error().detail));
            return false;
        }
        known = plan.terms.emplace(domain.name.text, std::move(*terms)).first;
    }
    group.terms = known->second;
    if (has_own(group.terms) && group.destination.starts_with(kHosts)) {
        group.destination += '/' + domain.name.text;
    }
    return true;
}

RecipientGroup QueueRoutes::to_world(const cluster::MailTarget& target) const {
    RecipientGroup group;
    group.remote = settings_.smart_host;
    group.by_smart_host = true;
    if (target.domain != nullptr) group.tls = target.domain->tls;
    if (target.domain != nullptr && !target.domain->route.empty()) {
        group.remote.clear();
        group.by_smart_host = false;
        for (const cluster::MailHost& host : target.domain->route) {
            group.remote.push_back(destination_of(host));
        }
    }
    if (!group.remote.empty()) {
        group.destination = std::string(kHosts) + text_of(group.remote);
        return group;
    }
    const std::string domain = target.address.substr(target.address.rfind('@') + 1);
    auto parsed = Destination::of_domain(domain);
    group.destination = "domain:" + (parsed ? parsed->text() : domain);
    group.by_smart_host = false;
    if (parsed) {
        parsed->port = settings_.port;
        group.remote.push_back(std::move(*parsed));
    }
    return group;
}

Result<DomainTerms> QueueRoutes::terms_of(const cluster::Domain& domain) const {
    using std::chrono::seconds;
    auto login = login_of(domain);
    if (!login) return std::unexpected(login.error());
    DomainTerms terms{.connections = domain.limits.connections,
                      .messages = domain.limits.messages,
                      .login = std::move(*login)};
    const cluster::RetryOptions& own = domain.retry;
    if (!own.first && !own.longest && !own.expire_after && !own.delay_report_after) return terms;
    queue::RetrySettings retry = settings_.retry;
    if ((own.first || own.longest) && !retry.delays.empty()) {
        queue::milliseconds first = retry.delays.front();
        queue::milliseconds longest = retry.delays.back();
        if (own.first) first = seconds(*own.first);
        if (own.longest) longest = seconds(*own.longest);
        if (!own.first) first = std::min(first, longest);
        if (!own.longest) longest = std::max(first, longest);
        retry.delays = queue::retry_delays(first, longest);
        retry.destination_first = first;
        retry.destination_most = longest;
    }
    if (own.expire_after) retry.expire_after = seconds(*own.expire_after);
    if (own.delay_report_after) retry.delay_notice_after = seconds(*own.delay_report_after);
    terms.own_expiry = own.expire_after.has_value();
    terms.retry = std::make_shared<const queue::RetrySettings>(std::move(retry));
    return terms;
}

Result<std::optional<MailLogin>> QueueRoutes::login_of(const cluster::Domain& domain) const {
    if (domain.route.empty()) return std::nullopt;
    const auto topology = directory_.topology();
    const cluster::DeliveryCredential* const credential = topology->delivery(domain.name.text);
    if (topology->is_delivery_unreadable(domain.name.text)) {
        return fail(ErrorKind::Unavailable, "this version cannot read it");
    }
    if (credential == nullptr) return std::nullopt;
    if (!settings_.open_password) return fail(ErrorKind::Refused, "nobody opens it here");
    auto password = settings_.open_password(*credential);
    if (!password) return std::unexpected(password.error());
    if (password->empty()) return fail(ErrorKind::Refused, "it has no password");
    return MailLogin{credential->user, std::move(*password)};
}

OutgoingIdentity QueueRoutes::identity(std::string_view sender) const {
    OutgoingIdentity found{settings_.host_name, settings_.source_addresses};
    const std::size_t at = sender.rfind('@');
    if (at == sender.npos) return found;
    const auto name = cluster::parse_domain(sender.substr(at + 1));
    const auto topology = directory_.topology();
    const cluster::Domain* const domain = name ? topology->domain(name->text) : nullptr;
    if (domain == nullptr) return found;
    if (!domain->helo.empty()) found.helo = domain->helo;
    std::vector<IpAddress> here;
    for (const IpAddress& each : domain->source) {
        if (net::has_address(each)) here.push_back(each);
    }
    if (!here.empty()) found.sources = std::move(here);
    return found;
}

}  // namespace muster::delivery
