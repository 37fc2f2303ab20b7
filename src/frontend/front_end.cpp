#include "frontend/front_end.h"

#include "base/log.h"

namespace muster::frontend {

FrontEnd::FrontEnd(Settings settings, const cluster::TopologyTable& topology,
                   cluster::HealthTable& health, Verifier* verifier, net::BlockingPool& pool,
                   std::function<std::unique_ptr<RequestService>(Worker&)> make_mail_service,
                   std::function<std::unique_ptr<RequestService>(Worker&)> make_map_service)
    : settings_(std::move(settings)),
      guard_(settings_.limits, settings_.upstream.connect_time),
      hosts_(topology),
      sessions_(settings_.workers, settings_.limits.connections),
      accounts_(topology, sessions_,
                [this](cluster::SessionHandle handle, const std::string& reason) {
                    workers_[handle.shard]->kick(handle, reason);
                }),
      shared_{settings_,
              topology,
              health,
              sessions_,
              accounts_,
              guard_,
              hosts_,
              introductions_,
              verifier,
              pool,
              std::move(make_mail_service),
              std::move(make_map_service)} {
    for (std::size_t i = 0; i < settings_.workers; ++i) {
        workers_.push_back(std::make_unique<Worker>(shared_, i));
    }
}

FrontEnd::~FrontEnd() { stop(); }

Result<> FrontEnd::start() {
    for (const auto& worker : workers_) {
        if (auto started = worker->start(); !started) {
            stop();
            return started;
        }
    }
    accounts_.start();
    endpoints_ = workers_.front()->local_endpoints();
    for (const Endpoint& endpoint : endpoints_) {
        log::info("listening", {{"address", endpoint.text()}});
    }
    return {};
}

void FrontEnd::use_certificates(const std::shared_ptr<const net::TlsServer>& certificates) {
    for (const auto& worker : workers_) worker->use_certificates(certificates);
}

void FrontEnd::drain() {
    for (const auto& worker : workers_) worker->drain();
}

void FrontEnd::resume() {
    for (const auto& worker : workers_) worker->resume();
}

void FrontEnd::stop() {
    accounts_.stop();
    // All at once: a message that is on its way to its servers may take its time.
    for (const auto& worker : workers_) worker->begin_stop(net::EndReason::Draining);
    for (const auto& worker : workers_) worker->wait();
}

std::size_t FrontEnd::kick(const cluster::SessionFilter& filter, const std::string& reason) {
    const auto matching = sessions_.list(filter, settings_.limits.connections);
    for (const cluster::ListedSession& session : matching) {
        workers_[session.handle.shard]->kick(session.handle, reason);
    }
    return matching.size();
}

}  // namespace muster::frontend
