#pragma once
// The addresses of servers that are entered by host name.

#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/endpoint.h"
#include "base/error.h"
#include "cluster/topology.h"

namespace muster::frontend {

/// Asks the system's resolver on a thread of its own: when the topology changes and every minute.
/// A look-up that fails keeps the addresses known before. Thread-safe.
class HostAddresses {
public:
    /// `topology` must outlive it.
    explicit HostAddresses(const cluster::TopologyTable& topology);
    ~HostAddresses();
    HostAddresses(const HostAddresses&) = delete;
    HostAddresses& operator=(const HostAddresses&) = delete;

    /// An address literal is its own answer, without a lock. A host with several addresses gives
    /// them in turn. Unavailable while a name has none.
    Result<IpAddress> find(std::string_view host);
    /// Whether the host is known to have that address.
    [[nodiscard]] bool has(std::string_view host, const IpAddress& address);

private:
    struct Host {
        std::vector<IpAddress> addresses;
        std::size_t next = 0;
    };

    void run(const std::stop_token& stop);
    void resolve_all(const cluster::Topology& topology);

    const cluster::TopologyTable& topology_;
    std::mutex mutex_;
    std::map<std::string, Host, std::less<>> hosts_;
    std::mutex pause_mutex_;
    std::condition_variable_any pause_;
    std::jthread thread_;
};

}  // namespace muster::frontend
