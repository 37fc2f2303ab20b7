#include "frontend/host_addresses.h"

#include <algorithm>

#include "base/log.h"
#include "net/resolve.h"

namespace muster::frontend {
namespace {

constexpr std::chrono::seconds kEvery{60};
constexpr std::chrono::seconds kLook{1};  // whether the topology is another one

}  // namespace

HostAddresses::HostAddresses(const cluster::TopologyTable& topology) : topology_(topology) {
    resolve_all(*topology_.current());
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

HostAddresses::~HostAddresses() = default;

Result<IpAddress> HostAddresses::find(std::string_view host) {
    if (auto literal = IpAddress::parse(host)) return literal;
    const std::scoped_lock lock(mutex_);
    const auto found = hosts_.find(host);
    if (found == hosts_.end() || found->second.addresses.empty()) {
        return fail(ErrorKind::Unavailable, "unavailable",
                    "no address is known for host " + std::string(host));
    }
    Host& known = found->second;
    return known.addresses[known.next++ % known.addresses.size()];
}

bool HostAddresses::has(std::string_view host, const IpAddress& address) {
    if (const auto literal = IpAddress::parse(host)) return *literal == address;
    const std::scoped_lock lock(mutex_);
    const auto found = hosts_.find(host);
    return found != hosts_.end() &&
           std::ranges::find(found->second.addresses, address) != found->second.addresses.end();
}

void HostAddresses::run(const std::stop_token& stop) {
    auto resolved_at = std::chrono::steady_clock::now();
    std::uint64_t version = topology_.version();
    std::unique_lock lock(pause_mutex_);
    while (!stop.stop_requested()) {
        pause_.wait_for(lock, stop, kLook, [] { return false; });
        const auto now = std::chrono::steady_clock::now();
        if (topology_.version() == version && now - resolved_at < kEvery) continue;
        version = topology_.version();
        resolved_at = now;
        resolve_all(*topology_.current());
    }
}

void HostAddresses::resolve_all(const cluster::Topology& topology) {
    for (const cluster::ServerView& view : topology.servers()) {
        const std::string& host = view.server.host;
        if (IpAddress::parse(host)) continue;
        auto addresses = net::resolve(host);
        if (!addresses) {
            log::warning("host-unresolved", {{"server", view.server.name},
                                             {"host", host},
                                             {"reason", addresses.error().detail}});
            continue;
        }
        const std::scoped_lock lock(mutex_);
        hosts_[host].addresses = std::move(*addresses);
    }
}

}  // namespace muster::frontend
