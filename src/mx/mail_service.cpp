#include "mx/mail_service.h"

#include <algorithm>

#include "base/log.h"
#include "mx/smtp_connection.h"

namespace muster::mx {
namespace {

constexpr net::Duration kSweepEvery{1'000};

metrics::Counter& counter(const char* outcome) {
    return metrics::counter("muster_mail_recipients_total",
                            "Recipients of messages, by what became of them",
                            {{"outcome", outcome}});
}

}  // namespace

MailCounters::MailCounters()
    : delivered(counter("delivered")),
      queued(counter("queued")),
      deferred(counter("deferred")),
      refused(counter("refused")),
      unknown(counter("unknown")),
      uncertain(counter("uncertain")) {}

MailService::MailService(frontend::Worker& worker, const SharedMail& shared)
    : worker_(worker),
      shared_(shared),
      homes_(worker.targets(), worker.shared().hosts, shared.settings.host_name),
      in_line_(worker, shared_, cache_, homes_, counters_),
      client_names_(worker.loop(), shared.resolver) {
    worker_.loop().tasks().spawn(sweep());
}

MailService::~MailService() = default;

// The settings outlive the workers.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)
Task<void> MailService::serve(net::Accepted accepted, Endpoint local,
                              const frontend::ListenerSettings& listener) {
    SmtpConnection connection(*this, listener, accepted.fd);
    try {
        co_await connection.run(accepted.peer, local);
    } catch (const std::exception& error) {
        log::error("session-failed",
                   {{"service", cluster::name(listener.service)}, {"reason", error.what()}});
    }
}
// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)

void MailService::drain() {
    for (SmtpConnection* each = connections_; each != nullptr; each = each->next()) {
        each->dismiss();
    }
}

void MailService::end(net::EndReason reason) {
    stopping_ = true;
    for (SmtpConnection* each = connections_; each != nullptr; each = each->next()) {
        each->end(reason);
    }
    if (sweeping_ != nullptr) sweeping_->cut_short();
}

Task<void> MailService::sweep() {
    while (!stopping_) {
        net::Sleep pause(worker_.loop(), kSweepEvery);
        sweeping_ = &pause;
        co_await pause;
        sweeping_ = nullptr;
        cache_.sweep();
        refusal_log_.sum_up();
    }
    cache_.clear();
}

bool MailService::is_own_server(const IpAddress& client) {
    // Asked for each message of a stranger: a cluster has hundreds of servers.
    if (const auto& topology = worker_.directory().topology(); topology != own_servers_.of) {
        own_servers_ = {.of = topology};
        for (const cluster::ServerView& view : topology->servers()) {
            if (view.server.kind != cluster::ServerKind::Dovecot) continue;
            if (!cluster::is_of_own_cluster(view.server.name.view())) continue;
            if (const auto address = IpAddress::parse(view.server.host)) {
                own_servers_.addresses.insert(*address);
            } else {
                own_servers_.names.push_back(view.server.host);
            }
        }
    }
    return own_servers_.addresses.contains(client) ||
           std::ranges::any_of(own_servers_.names, [&](const std::string& host) {
               return worker_.shared().hosts.has(host, client);
           });
}

queue::QueueId MailService::new_id() {
    return shared_.spool != nullptr ? shared_.spool->new_id() : shared_.ids.next();
}

queue::Body MailService::new_body() const {
    if (shared_.spool != nullptr) return shared_.spool->new_body();
    return {shared_.settings.memory_bytes, {}};
}

std::function<std::unique_ptr<frontend::RequestService>(frontend::Worker&)> mail_service_of(
    SharedMail shared) {
    return [shared](frontend::Worker& worker) {
        return std::make_unique<MailService>(worker, shared);
    };
}

}  // namespace muster::mx
