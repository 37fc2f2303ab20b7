#pragma once
// One worker's answers to other mail servers: Postfix, or whoever speaks its socketmap protocol.

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "frontend/request_service.h"
#include "frontend/worker.h"
#include "mx/socketmap_session.h"

namespace muster::mx {

struct MapSettings {
    std::string host_name;
    std::vector<Network> from;        ///< who may ask, besides this machine itself
    net::Duration idle{300'000};      ///< silence after which a connection is closed
    net::Duration patience{900'000};  ///< of MailMaps
    std::shared_ptr<const delivery::SenderRewriting> rewriting{};
};

/// Lives on its worker's thread.
class SocketmapService final : public frontend::RequestService {
public:
    SocketmapService(frontend::Worker& worker, MapSettings settings);

    Task<void> serve(net::Accepted accepted, Endpoint local,
                     const frontend::ListenerSettings& listener) override;
    void drain() override;
    void end(net::EndReason reason) override;

private:
    /// Empty when the peer may ask, else why not.
    [[nodiscard]] std::string_view obstacle(const Endpoint& peer) const;
    Task<void> converse(net::Accepted accepted);

    frontend::Worker& worker_;
    const MapSettings settings_;
    MailMaps maps_;
    std::vector<char> scratch_;
    std::set<SocketmapSession*> sessions_;
};

/// For Shared::make_map_service.
std::function<std::unique_ptr<frontend::RequestService>(frontend::Worker&)> map_service_of(
    MapSettings settings);

}  // namespace muster::mx
