#include "delivery/mx_hosts.h"

#include <algorithm>
#include <map>
#include <optional>
#include <ranges>
#include <utility>

namespace muster::delivery {

using net::DnsAnswer;

namespace {

RecipientResult failed_look_up(const std::string& name, const DnsAnswer& answer) {
    return own_result(Outcome::Deferred, 451, {4, 4, 3}, "DNS for " + name + ": " + answer.reason);
}

RecipientResult loops_back(const std::string& name) {
    return own_result(Outcome::Refused, 554, {5, 4, 6}, "mail for " + name + " loops back to us");
}

bool is_uncertain(const DnsAnswer& answer) {
    return answer.state == DnsAnswer::State::Failed || answer.state == DnsAnswer::State::Bogus;
}

template <typename Range, typename T>
bool contains(Range&& range, const T& value) {
    return std::ranges::find(range, value) != std::ranges::end(range);
}

/// Hosts that may be asked for, by preference; equal ones in random order.
std::vector<MxPlan::Host> in_order(const DnsAnswer& mx, const MxRules& rules) {
    std::vector<MxPlan::Host> hosts;
    for (const net::MxRecord& record : mx.mx) {
        // The root beside others means nothing (RFC 7505, 3); an address is no host's name.
        if (!record.host.empty() && !IpAddress::parse(record.host)) {
            hosts.push_back({record.host, record.preference});
        }
    }
    if (rules.random) {
        for (std::size_t i = hosts.size(); i > 1; --i) {
            std::swap(hosts[i - 1], hosts[rules.random(i) % i]);
        }
    }
    std::multimap<std::uint16_t, MxPlan::Host> sorted;  // keeps the order of equal ones
    for (MxPlan::Host& host : hosts) {
        const auto preference = host.preference;
        sorted.emplace(preference, std::move(host));
    }
    std::vector<MxPlan::Host> once;
    for (auto& [preference, host] : sorted) {
        if (!contains(once | std::views::transform(&MxPlan::Host::name), host.name)) {
            once.push_back(std::move(host));
        }
    }
    return once;
}

/// Removes hosts that are as far from the destination as we are, or farther (RFC 5321, 5.1).
void cut_off(MxPlan& plan, std::uint16_t preference) {
    plan.loops = true;
    std::erase_if(plan.hosts,
                  [preference](const MxPlan::Host& host) { return host.preference >= preference; });
}

RecipientResult no_mail(const std::string& domain) {
    return own_result(Outcome::Refused, 556, {5, 1, 10}, domain + " takes no mail (null MX)");
}

}  // namespace

MxPlan plan_hosts(const std::string& domain, const DnsAnswer& mx, const MxRules& rules) {
    MxPlan plan;
    plan.secure = mx.secure;
    if (is_uncertain(mx)) {
        plan.failure = failed_look_up(domain, mx);
        return plan;
    }
    if (mx.state == DnsAnswer::State::NoName) {
        plan.failure = own_result(Outcome::Refused, 550, {5, 1, 2},
                                  "the domain " + domain + " does not exist");
        return plan;
    }
    if (mx.mx.size() == 1 && mx.mx.front().host.empty()) {
        plan.failure = no_mail(domain);
        return plan;
    }
    plan.hosts = in_order(mx, rules);
    if (mx.state == DnsAnswer::State::NoData) plan.hosts = {{domain, 0}};
    if (plan.hosts.empty()) {
        plan.failure =
            own_result(Outcome::Refused, 550, {5, 4, 4}, domain + " has no usable MX record");
        return plan;
    }
    for (const MxPlan::Host& host : plan.hosts) {
        if (!contains(rules.own_names, host.name)) continue;
        cut_off(plan, host.preference);
        break;
    }
    if (plan.hosts.empty()) plan.failure = loops_back(domain);
    if (plan.hosts.size() > rules.hosts) plan.hosts.resize(rules.hosts);
    return plan;
}

namespace {

bool is_ours(const HostAnswer& answer, const MxRules& rules) {
    const auto ours = [&rules](const IpAddress& one) { return contains(rules.own_addresses, one); };
    return std::ranges::any_of(answer.v4.addresses, ours) ||
           std::ranges::any_of(answer.v6.addresses, ours);
}

MxAddress one_address(const MxPlan::Host& host, const DnsAnswer& answer, std::size_t which,
                      bool mx_secure, std::uint16_t port) {
    MxAddress one{host.name, {answer.addresses[which], port}, host.preference, false, host.name};
    one.secure = mx_secure && answer.secure;
    if (one.secure && !answer.canonical_name.empty()) one.tlsa_host = answer.canonical_name;
    return one;
}

/// IPv6 and IPv4 in turn.
void add_addresses(MxHosts& hosts, const MxPlan::Host& host, const HostAnswer& answer,
                   std::uint16_t port, std::size_t most) {
    const std::size_t longest = std::max(answer.v4.addresses.size(), answer.v6.addresses.size());
    for (std::size_t i = 0; i < longest; ++i) {
        for (const DnsAnswer* family : {&answer.v6, &answer.v4}) {
            if (i >= family->addresses.size() || hosts.addresses.size() >= most) continue;
            hosts.addresses.push_back(one_address(host, *family, i, hosts.mx_secure, port));
        }
    }
}

RecipientResult no_address(const MxPlan& plan, const std::vector<HostAnswer>& answers) {
    for (std::size_t i = 0; i < answers.size(); ++i) {
        for (const DnsAnswer* family : {&answers[i].v4, &answers[i].v6}) {
            if (is_uncertain(*family)) return failed_look_up(plan.hosts[i].name, *family);
        }
    }
    return own_result(Outcome::Refused, 550, {5, 4, 4},
                      "no host for it has an address: " + plan.hosts.front().name);
}

}  // namespace

MxHosts put_together(const MxPlan& plan, const std::vector<HostAnswer>& answers, std::uint16_t port,
                     const MxRules& rules) {
    MxHosts hosts;
    hosts.mx_secure = plan.secure;
    hosts.failure = plan.failure;
    if (plan.hosts.empty()) return hosts;
    std::optional<std::uint16_t> ours;  // plans are in the order of preference
    for (std::size_t i = 0; i < plan.hosts.size() && !ours; ++i) {
        if (is_ours(answers[i], rules)) ours = plan.hosts[i].preference;
    }
    for (std::size_t i = 0; i < plan.hosts.size(); ++i) {
        if (ours && plan.hosts[i].preference >= *ours) break;
        add_addresses(hosts, plan.hosts[i], answers[i], port, rules.addresses);
    }
    if (!hosts.addresses.empty()) return hosts;
    hosts.failure = no_address(plan, answers);
    const bool certain = hosts.failure.outcome == Outcome::Refused;
    if (ours && certain) hosts.failure = loops_back(plan.hosts.front().name);
    return hosts;
}

namespace {

// Whoever awaits the group holds what these refer to.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)
Task<void> look_up(net::Loop& loop, net::Resolver& resolver, std::string name, net::DnsType type,
                   DnsAnswer* into) {
    *into = co_await resolver.ask(loop, std::move(name), type);
}

/// A and AAAA of all hosts at once.
Task<std::vector<HostAnswer>> addresses_of(net::Loop& loop, net::Resolver& resolver,
                                           const MxPlan& plan, const MxRules& rules) {
    std::vector<HostAnswer> answers(plan.hosts.size());
    TaskGroup group;
    for (std::size_t i = 0; i < answers.size(); ++i) {
        const std::string& name = plan.hosts[i].name;
        answers[i].v4.state = answers[i].v6.state = DnsAnswer::State::NoData;
        if (rules.ipv4) {
            group.spawn(look_up(loop, resolver, name, net::DnsType::A, &answers[i].v4));
        }
        if (rules.ipv6) {
            group.spawn(look_up(loop, resolver, name, net::DnsType::Aaaa, &answers[i].v6));
        }
    }
    co_await group.drained();
    co_return answers;
}

MxHosts literal(const Destination& destination, const IpAddress& address, const MxRules& rules) {
    MxHosts hosts;
    if (contains(rules.own_addresses, address)) {
        hosts.failure = loops_back(destination.text());
        return hosts;
    }
    const std::string text = address.text();
    hosts.addresses.push_back({text, {address, destination.port}, 0, false, text});
    return hosts;
}

unsigned least_ttl(unsigned ttl, const std::vector<HostAnswer>& answers) {
    for (const HostAnswer& answer : answers) {
        for (const DnsAnswer* family : {&answer.v4, &answer.v6}) {
            if (family->state == DnsAnswer::State::Found) ttl = std::min(ttl, family->ttl);
        }
    }
    return ttl;
}

}  // namespace

Task<MxHosts> find_hosts(net::Loop& loop, net::Resolver& resolver, Destination destination,
                         MxRules rules) {
    const bool is_host = destination.kind == Destination::Kind::Host;
    if (const auto address = IpAddress::parse(destination.name); is_host && address) {
        co_return literal(destination, *address, rules);
    }
    MxPlan plan;
    constexpr unsigned kLongest = 3600;
    unsigned ttl = kLongest;
    if (is_host) {
        plan.hosts = {{destination.name, 0}};
        plan.secure = true;  // the name was not looked up, but given (RFC 7672, 2.2.3)
    } else {
        const auto mx = co_await resolver.ask(loop, destination.name, net::DnsType::Mx);
        ttl = std::min(ttl, mx.ttl);
        plan = plan_hosts(destination.name, mx, rules);
    }
    const auto answers = co_await addresses_of(loop, resolver, plan, rules);
    auto hosts = put_together(plan, answers, destination.port, rules);
    hosts.ttl = least_ttl(ttl, answers);
    // A smart host that does not exist is the operator's mistake, not the sender's.
    if (is_host && hosts.failure.outcome == Outcome::Refused && hosts.failure.code != 0) {
        hosts.failure.outcome = Outcome::Deferred;
        hosts.failure.code = 451;
        hosts.failure.enhanced.kind = 4;
    }
    co_return hosts;
}

// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)
}  // namespace muster::delivery
