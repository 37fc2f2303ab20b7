#include "mx/client_names.h"

#include <algorithm>

#include "wire/ascii.h"

namespace muster::mx {
namespace {

using State = ClientName::State;

constexpr std::size_t kMostNames = 3;  // RFC 8601, 2.7.3 asks for a limit
constexpr std::size_t kMostKnown = 4096;
constexpr std::size_t kMostUnderWay = 256;
constexpr std::size_t kLongestName = 253;
constexpr net::Duration kKept{600'000};
constexpr net::Duration kFailureKept{30'000};

bool failed(const net::DnsAnswer& answer) {
    return answer.state == net::DnsAnswer::State::Failed ||
           answer.state == net::DnsAnswer::State::Bogus;
}

net::Duration left(net::Clock::time_point until) {
    const auto rest = std::chrono::ceil<net::Duration>(until - net::Clock::now());
    return std::max(rest, net::Duration{1});
}

}  // namespace

std::string_view iprev(State state) {
    switch (state) {
        case State::Unasked: break;
        case State::Pass: return "pass";
        case State::Fail: return "fail";
        case State::PermError: return "permerror";
        case State::TempError: return "temperror";
    }
    return {};
}

bool is_host_name(std::string_view name) {
    const auto is_usual = [](char c) {
        return wire::is_letter(c) || wire::is_digit(c) || c == '.' || c == '-';
    };
    return name.contains('.') && name.size() <= kLongestName && std::ranges::all_of(name, is_usual);
}

std::vector<std::string> names_to_confirm(const net::DnsAnswer& pointers) {
    std::vector<std::string> names;
    for (const std::string& name : pointers.names) {
        if (names.size() < kMostNames && is_host_name(name)) names.push_back(name);
    }
    return names;
}

void ClientNames::LookUp::finish(ClientName found) {
    done_ = true;
    found_ = std::move(found);
    until_ = net::Clock::now() + (found_.state == State::TempError ? kFailureKept : kKept);
    for (net::Sleep* const waiter : std::exchange(waiting_, {})) waiter->cut_short();
}

ClientNames::Handle ClientNames::find(const IpAddress& client) {
    const auto known = known_.find(client);
    if (known != known_.end() && known->second->until_ > net::Clock::now()) return known->second;
    if (known_.size() >= kMostKnown) make_room();
    const auto look_up = std::make_shared<LookUp>(client);
    if (resolver_ == nullptr || under_way_ >= kMostUnderWay) {
        look_up->finish({.state = resolver_ ? State::TempError : State::Unasked});
        return look_up;
    }
    known_[client] = look_up;
    loop_.tasks().spawn(run(look_up));
    return look_up;
}

/// Those that are over, and when that does not help all: who is asked for again is looked up again.
void ClientNames::make_room() {
    const auto now = net::Clock::now();
    std::erase_if(known_, [&](const auto& item) { return item.second->until_ <= now; });
    if (known_.size() >= kMostKnown) known_.clear();
}

Task<void> ClientNames::run(Handle look_up) {
    ++under_way_;
    auto found = co_await resolve(look_up->client_);
    --under_way_;
    look_up->finish(std::move(found));
}

Task<ClientName> ClientNames::resolve(IpAddress client) {
    const auto until = net::Clock::now() + kPatience;
    const auto pointers =
        co_await resolver_->ask(loop_, net::reverse_name(client), net::DnsType::Ptr, kPatience);
    if (failed(pointers)) co_return ClientName{.state = State::TempError};
    const auto names = names_to_confirm(pointers);
    if (names.empty()) co_return ClientName{.state = State::PermError};
    const auto type = client.is_v4() ? net::DnsType::A : net::DnsType::Aaaa;
    bool some_failed = false;
    for (const std::string& name : names) {
        const auto forward = co_await resolver_->ask(loop_, name, type, left(until));
        some_failed = some_failed || failed(forward);
        if (std::ranges::find(forward.addresses, client) == forward.addresses.end()) continue;
        co_return ClientName{.state = State::Pass, .name = name};
    }
    co_return ClientName{.state = some_failed ? State::TempError : State::Fail};
}

Task<ClientName> ClientNames::result(Handle look_up) {
    const auto until = look_up->since_ + kPatience;
    if (!look_up->done_ && net::Clock::now() < until) {
        net::Sleep wait(loop_, left(until));
        look_up->waiting_.push_back(&wait);
        co_await wait;
        std::erase(look_up->waiting_, &wait);
    }
    if (!look_up->done_) co_return ClientName{.state = State::TempError};
    co_return look_up->found_;
}

}  // namespace muster::mx
