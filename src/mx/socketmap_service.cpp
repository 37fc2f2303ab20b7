#include "mx/socketmap_service.h"

#include "base/log.h"

namespace muster::mx {
namespace {

constexpr std::size_t kChunk = 16'384;
constexpr std::size_t kMostSessions =
    4096;  // of a worker; Postfix has one for each of its processes

}  // namespace

SocketmapService::SocketmapService(frontend::Worker& worker, MapSettings settings)
    : worker_(worker),
      settings_(std::move(settings)),
      maps_(worker.directory(), settings_.host_name, settings_.patience, settings_.rewriting),
      scratch_(kChunk) {}

std::string_view SocketmapService::obstacle(const Endpoint& peer) const {
    if (!peer.address.is_loopback() && !any_contains(settings_.from, peer.address)) {
        return "not in mail.socketmap_from";
    }
    if (sessions_.size() >= kMostSessions) return "too many connections";
    return {};
}

// The settings outlive the workers.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)
Task<void> SocketmapService::serve(net::Accepted accepted, Endpoint,
                                   const frontend::ListenerSettings&) {
    // NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)
    try {
        co_await converse(accepted);
    } catch (const net::ConversationOver& over) {
        log::debug("connection-ended",
                   {{"client", accepted.peer.text()}, {"reason", net::name(over.reason())}});
    } catch (const std::exception& error) {
        log::error("session-failed", {{"service", "socketmap"}, {"reason", error.what()}});
    }
}

Task<void> SocketmapService::converse(net::Accepted accepted) {
    net::SocketStream stream(worker_.loop(), accepted.fd);
    if (const std::string_view why = obstacle(accepted.peer); !why.empty()) {
        log::info("connection-refused", {{"client", accepted.peer.text()}, {"reason", why}});
        co_return;
    }
    SocketmapSession session(stream, maps_, scratch_, settings_.idle);
    struct Listed {
        std::set<SocketmapSession*>& all;
        SocketmapSession* one;
        Listed(std::set<SocketmapSession*>& in, SocketmapSession* which) : all(in), one(which) {
            all.insert(one);
        }
        Listed(const Listed&) = delete;
        Listed& operator=(const Listed&) = delete;
        ~Listed() { all.erase(one); }
    };
    const Listed listed(sessions_, &session);
    co_await session.run();
}

void SocketmapService::drain() {
    // Who is ended may leave the set only when the loop turns again.
    for (SocketmapSession* session : sessions_) session->finish(net::EndReason::Draining);
}

void SocketmapService::end(net::EndReason reason) {
    for (SocketmapSession* session : sessions_) session->end(reason);
}

std::function<std::unique_ptr<frontend::RequestService>(frontend::Worker&)> map_service_of(
    MapSettings settings) {
    return [settings = std::move(settings)](frontend::Worker& worker) {
        return std::make_unique<SocketmapService>(worker, settings);
    };
}

}  // namespace muster::mx
