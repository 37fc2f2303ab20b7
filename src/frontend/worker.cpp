#include "frontend/worker.h"

#include <sys/random.h>
#include <unistd.h>

#include <future>

#include "base/log.h"
#include "frontend/connection.h"
#include "frontend/health_checks.h"
#include "frontend/smtp_greeting.h"
#include "net/connect.h"
#include "wire/proxy_protocol.h"

namespace muster::frontend {
namespace {

constexpr net::Duration kSweepEvery{30'000};
constexpr double kUnknownPerSecond = 50;
constexpr double kUnknownBurst = 200;

metrics::Counter& counter(cluster::Service service, const char* name, const char* help) {
    return metrics::counter(name, help, {{"service", std::string(cluster::name(service))}});
}

}  // namespace

Counters::Counters(cluster::Service service)
    : accepted(counter(service, "muster_connections_total", "Client connections accepted")),
      refused(counter(service, "muster_connections_refused_total", "Refused by a limit")),
      logins(counter(service, "muster_logins_total", "Sessions handed to their home")),
      denied(counter(service, "muster_logins_denied_total", "Credentials refused by the home")),
      unavailable(counter(service, "muster_logins_unavailable_total", "Home not reachable")),
      failed(counter(service, "muster_sessions_failed_total", "Ended by an error of the program")),
      to_client(counter(service, "muster_bytes_to_clients_total", "Bytes pumped to clients")),
      to_server(counter(service, "muster_bytes_to_servers_total", "Bytes pumped to servers")) {}

Worker::Worker(const Shared& shared, std::size_t number)
    : shared_(shared),
      number_(number),
      directory_(shared.topology),
      targets_(shared.settings.upstream, shared.settings.node),
      unknown_budget_(kUnknownBurst),
      unknown_refilled_(net::Clock::now()) {
    for (const cluster::Service service : cluster::kServices) counters_.emplace_back(service);
    MUSTER_CHECK(getrandom(random_, sizeof random_, 0) == sizeof random_);
    if (shared_.make_mail_service) mail_ = shared_.make_mail_service(*this);
    if (shared_.make_map_service) maps_ = shared_.make_map_service(*this);
}

Worker::~Worker() = default;

Counters& Worker::counters(cluster::Service service) {
    return counters_[static_cast<std::size_t>(service)];
}

Result<> Worker::start() {
    if (auto listening = listen(); !listening) return listening;
    thread_ = std::thread([this] { run(); });
    return {};
}

Result<> Worker::listen() {
    for (const ListenerSettings& listener : shared_.settings.listeners) {
        auto listening = listen_at(listener.address, [this, &listener](net::Accepted accepted) {
            accept(accepted, listener);
        });
        if (!listening) return listening;
    }
    if (!maps_ || !shared_.settings.maps) return {};
    const ListenerSettings& maps = *shared_.settings.maps;
    return listen_at(maps.address, [this, &maps](net::Accepted accepted) {
        loop_.tasks().spawn(maps_->serve(accepted, maps.address, maps));
    });
}

Result<> Worker::listen_at(const Endpoint& endpoint, net::Listener::OnAccepted on_accepted) {
    auto made = net::Listener::tcp(loop_, endpoint, std::move(on_accepted));
    if (!made) return std::unexpected(made.error());
    listeners_.push_back(std::move(*made));
    return {};
}

void Worker::run() {
    loop_.tasks().spawn(sweep_warm_connections());
    loop_.run();
}

std::vector<Endpoint> Worker::local_endpoints() const {
    std::vector<Endpoint> endpoints;
    for (const auto& listener : listeners_) endpoints.push_back(listener->local());
    return endpoints;
}

void Worker::accept(net::Accepted accepted, const ListenerSettings& listener) {
    counters(listener.service).accepted.add();
    if (is_smtp(listener.service)) {
        loop_.tasks().spawn(mail_->serve(accepted, local_end(accepted, listener), listener));
    } else {
        loop_.tasks().spawn(serve(accepted, listener));
    }
}

/// A listener on one address says itself where the client came in.
Endpoint Worker::local_end(const net::Accepted& accepted, const ListenerSettings& listener) {
    const bool is_known = !listener.address.address.is_unspecified() && listener.address.port != 0;
    return is_known ? listener.address : net::local_endpoint(accepted.fd);
}

// The settings outlive the workers.
// NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters)
Task<void> Worker::serve(net::Accepted accepted, const ListenerSettings& listener) {
    Connection connection(*this, listener, accepted.fd);
    try {
        const auto server =
            co_await connection.log_in(accepted.peer, local_end(accepted, listener));
        if (!server) co_return;
        net::Pump between(connection.client(), *server, limits().idle(listener.service));
        connection.pumping(between);
        connection.ended(co_await between);
    } catch (const std::exception& error) {
        connection.failed(error.what());
    }
}

void Worker::drain() {
    loop_.post([this] {
        if (draining_) return;
        draining_ = true;
        for (auto& listener : listeners_) {
            listener->close();
            closed_listeners_.push_back(std::move(listener));
        }
        listeners_.clear();
        for (Connection* each = connections_; each != nullptr; each = each->next()) {
            if (!each->logged_in()) each->dismiss();
        }
        if (mail_) mail_->drain();
        if (maps_) maps_->drain();
    });
}

void Worker::resume() {
    loop_.post([this] {
        if (!std::exchange(draining_, false)) return;
        // What they have put off is done before they go.
        loop_.post([old = std::make_shared<std::vector<std::unique_ptr<net::Listener>>>(
                        std::exchange(closed_listeners_, {}))] {});
        if (auto listening = listen(); !listening) {
            log::error("resume-failed", {{"reason", listening.error().detail}});
        }
    });
}

void Worker::begin_stop(net::EndReason reason) {
    if (!thread_.joinable()) return;
    loop_.post([this, reason] {
        draining_ = true;
        stopping_ = true;
        for (const auto& listener : listeners_) listener->close();
        for (Connection* each = connections_; each != nullptr; each = each->next()) {
            each->end(reason);
        }
        if (mail_) mail_->end(reason);
        if (maps_) maps_->end(reason);
        if (sweeping_ != nullptr) sweeping_->cut_short();
        loop_.stop_when_idle();
    });
}

void Worker::wait() {
    if (thread_.joinable()) thread_.join();
}

void Worker::use_certificates(std::shared_ptr<const net::TlsServer> certificates) {
    loop_.post([this, certificates = std::move(certificates)] { certificates_ = certificates; });
}

void Worker::kick(cluster::SessionHandle handle, std::string reason) {
    loop_.post([this, handle, reason = std::move(reason)] { sessions().kick(handle, reason); });
}

const std::string& Worker::announcement(cluster::Service service, const wire::Offer& offer,
                                        const cluster::LoginContext& context) {
    targets_.follow(directory_.topology());
    return targets_.announcement(service, offer, context);
}

bool Worker::scram_works(cluster::Service service, const cluster::LoginContext& context) {
    targets_.follow(directory_.topology());
    return targets_.scram_works(service, context);
}

SessionId Worker::new_session_id() {
    // xorshift128+ (Vigna 2014), seeded by the kernel: unique, not secret. 15 characters of 5 bits
    // fit a std::string without allocation.
    static constexpr char kDigits[] = "0123456789abcdefghjkmnpqrstvwxyz";
    std::string text(15, '\0');
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (i % 12 == 0) {
            std::uint64_t x = random_[0];
            const std::uint64_t y = random_[1];
            random_[0] = y;
            x ^= x << 23;
            random_[1] = x ^ y ^ (x >> 17) ^ (y >> 26);
            bits = random_[1] + y;
        }
        text[i] = kDigits[bits & 31];
        bits >>= 5;
    }
    return SessionId(std::move(text));
}

bool Worker::may_hand_on_unknown() {
    const auto now = net::Clock::now();
    const std::chrono::duration<double> passed = now - unknown_refilled_;
    unknown_refilled_ = now;
    unknown_budget_ = std::min(kUnknownBurst, unknown_budget_ + passed.count() * kUnknownPerSecond);
    if (unknown_budget_ < 1) return false;
    unknown_budget_ -= 1;
    return true;
}

std::size_t Worker::warm_share(const cluster::ServiceSettings& service) const {
    const Settings& settings = shared_.settings;
    return share_of(service.cache.value_or(settings.upstream.warm), settings.workers, number_);
}

Task<Result<Worker::Reached>> Worker::upstream(cluster::Service service, cluster::Route route,
                                               Peer peer) {
    const auto target = targets_.target(*route.server, service);
    if (!target) co_return std::unexpected(target.error());
    const std::size_t kept = warm_share(*route.service);
    const bool may_be_warm = kept != 0 && (*target)->introduce != cluster::Introduce::Proxy;
    std::unique_ptr<Upstream> ready = may_be_warm ? warm_.take(*target) : nullptr;
    if (may_be_warm && !draining_ && warm_.count(*target) < kept) {
        loop_.tasks().spawn(warm_up(*target, route));
    }
    if (ready) co_return Reached{std::move(ready), true};
    co_return co_await reach(*target, std::move(route), peer);
}

Task<Result<Worker::Reached>> Worker::upstream_anew(cluster::Service service, cluster::Route route,
                                                    Peer peer) {
    const auto target = targets_.target(*route.server, service);
    if (!target) co_return std::unexpected(target.error());
    co_return co_await reach(*target, std::move(route), peer);
}

void Worker::give_up_warm(cluster::Service service, const cluster::Route& route) {
    if (const auto target = targets_.target(*route.server, service)) warm_.forget(*target);
}

Task<Result<Worker::Reached>> Worker::reach(std::shared_ptr<const UpstreamTarget> target,
                                            cluster::Route route, Peer peer) {
    std::string header;
    if (target->introduce == cluster::Introduce::Proxy) {
        header = wire::proxy_protocol::write_v2(peer.client, peer.local);
    }
    auto made = co_await connect(target, route, std::move(header));
    const cluster::CheckTarget which{target->server, target->service};
    if (!made) {
        log_change(shared_.health.traffic_failed(which, peer.client.address, made.error().detail,
                                                 net::Clock::now()));
        co_return std::unexpected(made.error());
    }
    shared_.health.traffic_succeeded(which);
    co_return Reached{std::move(*made), false};
}

// Both callers hold the route until the connection stands.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)
Task<Result<std::unique_ptr<Upstream>>> Worker::connect(
    std::shared_ptr<const UpstreamTarget> target, const cluster::Route& route,
    std::string proxy_header) {
    const net::Duration limit = shared_.settings.upstream.connect_time;
    const auto address = shared_.hosts.find(route.server->server.host);
    if (!address) co_return std::unexpected(address.error());
    auto stream = co_await net::connect(loop_, {*address, route.service->port},
                                        targets_.source(route.server->server, *address), limit);
    if (!stream) co_return std::unexpected(stream.error());
    auto upstream = make_upstream(std::move(*stream), target);
    upstream->stream().expire_after(limit);
    std::string why;
    try {
        if (!proxy_header.empty()) co_await upstream->stream().write(proxy_header);
        auto opened = co_await upstream->open();
        if (opened) {
            upstream->stream().expire_never();
            co_return upstream;
        }
        why = opened.error().detail;
    } catch (const net::ConversationOver& over) {
        why = net::name(over.reason());
    }
    co_return fail(ErrorKind::Unavailable, "unavailable",
                   "server " + target->server.text + ": " + why);
}

// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)
Task<void> Worker::warm_up(std::shared_ptr<const UpstreamTarget> target, cluster::Route route) {
    warm_.expect(target);
    try {
        auto made = co_await connect(target, route, {});
        if (made && !draining_) warm_.put(target, std::move(*made));
    } catch (const std::exception& error) {
        log::error("warm-connection-failed",
                   {{"server", target->server}, {"reason", error.what()}});
    }
    warm_.expect_no_more(target);
}

Task<void> Worker::sweep_warm_connections() {
    while (!stopping_) {
        net::Sleep pause(loop_, kSweepEvery);
        sweeping_ = &pause;
        co_await pause;
        sweeping_ = nullptr;
        warm_.sweep();
    }
    warm_.clear();
}

}  // namespace muster::frontend
