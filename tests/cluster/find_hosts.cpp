// Prints where mail for a destination goes, as the program finds it: for tests with a real DNS
// server. Arguments: server (ADDRESS@PORT), trust anchor's file, destination.

#include <nlohmann/json.hpp>

#include <iostream>

#include "delivery/tls_policy.h"

namespace {

using namespace muster;
using namespace muster::delivery;
using nlohmann::json;

Task<void> find(net::Loop* loop, net::Resolver* resolver, Destination destination, json* found) {
    const auto hosts = co_await find_hosts(*loop, *resolver, destination, {});
    (*found)["mx_secure"] = hosts.mx_secure;
    (*found)["failure"] = hosts.failure.enhanced.text();
    (*found)["hosts"] = json::array();
    for (const MxAddress& host : hosts.addresses) {
        const auto dane = co_await find_dane(*loop, *resolver, host);
        const auto policy = tls_policy(TlsSetting::Automatic, dane, StsVerdict::None);
        (*found)["hosts"].push_back({{"host", host.host},
                                     {"endpoint", host.endpoint.text()},
                                     {"preference", host.preference},
                                     {"secure", host.secure},
                                     {"dane", policy.verify == TlsPolicy::Verify::Dane},
                                     {"usable", policy.usable},
                                     {"base", dane.base}});
    }
}

}  // namespace

int main(int argc, char** argv) {
    constexpr int kArguments = 4;
    if (argc != kArguments) return 2;
    net::ResolverSettings settings;
    settings.servers = {argv[1]};
    settings.trust_anchor = argv[2];
    const auto resolver = net::Resolver::create(settings);
    const auto destination = Destination::parse(argv[3]);
    if (!resolver || !destination) {
        std::cerr << (resolver ? destination.error() : resolver.error()).detail << '\n';
        return 1;
    }
    net::Loop loop;
    json found;
    loop.tasks().spawn(find(&loop, resolver->get(), *destination, &found));
    loop.stop_when_idle();
    loop.run();
    std::cout << found.dump() << '\n';
}
