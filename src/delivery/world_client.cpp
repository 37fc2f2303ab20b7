#include "delivery/world_client.h"

#include <algorithm>
#include <utility>

#include "base/seal.h"

namespace muster::delivery {
namespace {

constexpr std::size_t kMostTargets = 10'000;
constexpr std::size_t kMostUnreachable = 10'000;

std::string name_of(const MxAddress& host) {
    return host.host + '[' + host.endpoint.address.text() +
           "]:" + std::to_string(host.endpoint.port);
}

/// RFC 7672, 3.2.2: a certificate for the domain itself does, too, when its MX records led to the
/// host for certain.
bool allows_domain(const TlsPolicy& policy, bool mx_secure) {
    return policy.verify == TlsPolicy::Verify::Dane && mx_secure;
}

/// A connection is for those who logged in with the same password.
std::string login_key(const std::optional<MailLogin>& login) {
    return login ? login->user + '\0' + sha256(login->password) : std::string();
}

/// Everything in which targets for one address may differ.
std::string key_of(const std::string& name, const WorldRoute& route, const TlsPolicy& policy,
                   const DaneFacts& dane, bool mx_secure, const std::optional<IpAddress>& source) {
    std::string key = name + '/' + std::to_string(static_cast<int>(policy.mode)) +
                      std::to_string(static_cast<int>(policy.verify)) + '/' + route.helo + '/' +
                      (source ? source->text() : "") + '/' + login_key(route.login);
    for (const net::TlsaRecord& record : dane.records) {
        key += {'/', static_cast<char>(record.usage), static_cast<char>(record.selector),
                static_cast<char>(record.matching)};
        key += record.data;
    }
    if (allows_domain(policy, mx_secure)) key += '/' + route.destination.name;
    return key;
}

}  // namespace

/// One message on its way from host to host.
struct WorldClient::Try {
    Transaction transaction;
    std::vector<std::size_t> open{};  ///< recipients that may be given to another host
    WorldResult result{};
    unsigned sessions = 0;

    explicit Try(Transaction what) : transaction(what) {
        result.result.recipients.resize(what.recipients.size());
        for (std::size_t i = 0; i < what.recipients.size(); ++i) open.push_back(i);
    }
    void fail(const RecipientResult& why) {
        for (const std::size_t which : open) result.result.recipients[which] = why;
    }
    /// Takes the results of those that were open.
    void take(TransactionResult heard) {
        std::vector<std::size_t> still;
        for (std::size_t i = 0; i < open.size(); ++i) {
            RecipientResult& one = heard.recipients[i];
            if (one.outcome == Outcome::Deferred && !one.uncertain && !one.at_once)
                still.push_back(open[i]);
            result.result.recipients[open[i]] = std::move(one);
        }
        open = std::move(still);
        result.result.reached = result.result.reached || heard.reached;
    }
};

Task<WorldResult> WorldClient::send(WorldRoute route, Transaction transaction) {
    Try each(transaction);
    const auto hosts = co_await find_hosts(loop_, resolver_, route.destination, rules_);
    if (hosts.addresses.empty()) {
        each.fail(hosts.failure);
        co_return std::move(each.result);
    }
    for (const MxAddress& host : hopeful_first(hosts.addresses)) {
        if (each.open.empty() || each.sessions == limits_.sessions) break;
        if (net::Clock::now() >= transaction.until) break;
        co_await try_host(each, route, hosts, host);
    }
    for (RecipientResult& one : each.result.result.recipients) {
        if (one.code == 0) one = own_result(Outcome::Deferred, 451, {4, 4, 7}, "no time is left");
    }
    co_return std::move(each.result);
}

// The callers hold what these refer to, and await at once.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)
Task<void> WorldClient::try_host(Try& each, const WorldRoute& route, const MxHosts& hosts,
                                 const MxAddress& host) {
    RecipientResult failure;
    const auto target = co_await target_of(route, hosts, host, &failure);
    if (!target) co_return each.fail(failure);
    std::vector<Recipient> recipients;
    for (const std::size_t which : each.open) {
        recipients.push_back(each.transaction.recipients[which]);
    }
    Transaction part = each.transaction;
    part.recipients = recipients;
    auto heard = co_await client_.send(target, part);
    each.result.server = target->name;
    if (heard.reached) {
        ++each.sessions;
        unreachable_.erase(host.endpoint);
    } else {
        if (unreachable_.size() >= kMostUnreachable) unreachable_.clear();
        unreachable_[host.endpoint] = net::Clock::now() + limits_.unreachable;
    }
    each.take(std::move(heard));
}

/// Null: the host must not be used now, and `failure` says why.
Task<std::shared_ptr<const MailTarget>> WorldClient::target_of(const WorldRoute& route,
                                                               const MxHosts& hosts,
                                                               const MxAddress& host,
                                                               RecipientResult* failure) {
    DaneFacts dane;
    auto verdict = StsVerdict::None;
    if (route.tls == TlsSetting::Automatic) {
        dane = co_await find_dane(loop_, resolver_, host);
        const bool by_mx = route.destination.kind == Destination::Kind::Domain;
        if (sts_ != nullptr && by_mx) {
            verdict = judge(co_await sts_->find(loop_, route.destination.name), host.host);
        }
    }
    const auto policy = tls_policy(route.tls, dane, verdict);
    if (!policy.usable) {
        *failure = own_result(Outcome::Deferred, 451, {4, 7, 5}, host.host + ": " + policy.reason);
        co_return nullptr;
    }
    auto target = make_target(route, hosts, host, policy, dane);
    if (target) co_return std::move(*target);
    *failure = own_result(Outcome::Deferred, 451, {4, 3, 5}, target.error().detail);
    co_return nullptr;
}

// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)
Result<std::shared_ptr<const MailTarget>> WorldClient::make_target(const WorldRoute& route,
                                                                   const MxHosts& hosts,
                                                                   const MxAddress& host,
                                                                   const TlsPolicy& policy,
                                                                   const DaneFacts& dane) {
    MailTarget target;
    target.name = name_of(host);
    target.source = next_source(route, host.endpoint.address);
    target.key = key_of(target.name, route, policy, dane, hosts.mx_secure, target.source);
    if (const auto known = targets_.find(target.key); known != targets_.end()) {
        return known->second;
    }
    target.endpoint = host.endpoint;
    target.tls = policy.mode;
    target.helo = route.helo;
    target.login = route.login;
    const bool by_dane = policy.verify == TlsPolicy::Verify::Dane;
    target.tls_name = by_dane ? dane.base : host.host;
    if (policy.mode != MailTls::None) {
        std::vector<std::string> also;
        if (allows_domain(policy, hosts.mx_secure)) also.push_back(route.destination.name);
        auto trust = tls_client(policy, dane, std::move(also));
        if (!trust) return std::unexpected(trust.error());
        target.trust = std::move(*trust);
    }
    if (targets_.size() >= kMostTargets) targets_.clear();
    auto made = std::make_shared<const MailTarget>(std::move(target));
    targets_[made->key] = made;
    return made;
}

std::optional<IpAddress> WorldClient::next_source(const WorldRoute& route, const IpAddress& host) {
    for (std::size_t i = 0; i < route.sources.size(); ++i) {
        const IpAddress& each = route.sources[next_source_++ % route.sources.size()];
        if (each.is_v4() == host.is_v4()) return each;
    }
    return std::nullopt;
}

std::vector<MxAddress> WorldClient::hopeful_first(std::vector<MxAddress> addresses) {
    const auto now = net::Clock::now();
    std::erase_if(unreachable_, [now](const auto& one) { return one.second <= now; });
    std::vector<MxAddress> others;
    std::erase_if(addresses, [this, &others](const MxAddress& one) {
        if (!unreachable_.contains(one.endpoint)) return false;
        others.push_back(one);
        return true;
    });
    std::ranges::move(others, std::back_inserter(addresses));
    return addresses;
}

}  // namespace muster::delivery
