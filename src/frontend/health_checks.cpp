#include "frontend/health_checks.h"

#include "base/log.h"
#include "frontend/smtp_greeting.h"
#include "net/connect.h"
#include "wire/proxy_protocol.h"

namespace muster::frontend {
namespace {

/// Within it a new server is checked, however far apart its checks are.
constexpr std::chrono::milliseconds kLongestPause{500};

}  // namespace

HealthChecks::HealthChecks(net::Loop& loop, const UpstreamSettings& settings,
                           const cluster::TopologyTable& topology, cluster::HealthTable& health,
                           HostAddresses& hosts)
    : loop_(loop),
      settings_(settings),
      topology_(topology),
      health_(health),
      hosts_(hosts),
      targets_(settings) {}

void HealthChecks::start() { loop_.tasks().spawn(check_loop()); }

void HealthChecks::stop() {
    stopping_ = true;
    if (pausing_ != nullptr) pausing_->cut_short();
    busy_.abort(net::EndReason::Draining);
}

Task<void> HealthChecks::check_loop() {
    while (!stopping_) {
        const auto topology = topology_.current();
        targets_.follow(topology);
        for (auto& which : health_.due(cluster::check_targets(*topology), net::Clock::now())) {
            loop_.tasks().spawn(check(std::move(which), topology));
        }
        net::Sleep pause(loop_, std::min(health_.pause(), kLongestPause));
        pausing_ = &pause;
        co_await pause;
        pausing_ = nullptr;
    }
}

Task<void> HealthChecks::check(cluster::CheckTarget which,
                               std::shared_ptr<const cluster::Topology> topology) {
    const cluster::ServerView* server = topology->server(which.server.view());
    if (server == nullptr) co_return;
    const auto outcome = co_await try_service(*server, which.service);
    if (stopping_) co_return;
    const std::string error = outcome ? "" : outcome.error().detail;
    const bool was_down = !health_.of(which.server)->usable(which.service);
    const auto change = health_.checked(which, outcome.has_value(), error, net::Clock::now());
    log_change(change);
    if (change && was_down && on_up_) on_up_(change->server);
}

void log_change(const std::optional<cluster::HealthChange>& change) {
    if (!change) return;
    log::write(change->now == cluster::Observed::Down ? log::Level::Warning : log::Level::Info,
               "server-health",
               {{"server", change->server},
                {"service", cluster::name(change->service)},
                {"now", cluster::name(change->now)},
                {"reason", change->reason}});
}

// check() holds the topology that the server and the target belong to.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)

// A server that has greeted is up, whatever becomes of this.
Task<void> HealthChecks::look_behind_starttls(net::SocketStream& stream,
                                              const UpstreamTarget& target) {
    if (target.tls != cluster::TlsMode::StartTls) co_return;
    try {
        co_await start_smtp_tls(stream, target);
    } catch (const net::ConversationOver& over) {
        log::debug("smtp-tls-failed",
                   {{"server", target.server}, {"reason", net::name(over.reason())}});
    }
}

Task<Result<>> HealthChecks::try_service(const cluster::ServerView& server,
                                         cluster::Service service) {
    const auto target = targets_.target(server, service);
    if (!target) co_return std::unexpected(target.error());
    const auto address = hosts_.find(server.server.host);
    if (!address) co_return std::unexpected(address.error());
    const std::uint16_t port = server.server.service(service)->port;
    auto stream =
        co_await net::connect(loop_, {*address, port}, targets_.source(server.server, *address),
                              settings_.connect_time, &busy_);
    if (!stream) co_return std::unexpected(stream.error());
    auto upstream = make_upstream(std::move(*stream), *target);
    const net::StreamSet::Member busy(&busy_, upstream->stream());
    upstream->stream().expire_after(settings_.connect_time);
    auto reason = net::EndReason::None;
    try {
        if ((*target)->introduce == cluster::Introduce::Proxy) {
            co_await upstream->stream().write(wire::proxy_protocol::write_v2_local());
        }
        auto opened = is_smtp(service) ? co_await read_smtp_greeting(upstream->stream(), **target)
                                       : co_await upstream->open();
        if (opened && is_smtp(service)) co_await look_behind_starttls(upstream->stream(), **target);
        if (const auto end = upstream->stream().peer_certificate_end()) {
            health_.saw_certificate({server.server.name, service}, *end);
        }
        co_return opened;
    } catch (const net::ConversationOver& over) {
        reason = over.reason();
    }
    co_return fail(ErrorKind::Unavailable, "unavailable",
                   "no greeting: " + std::string(net::name(reason)));
}

// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)
}  // namespace muster::frontend
