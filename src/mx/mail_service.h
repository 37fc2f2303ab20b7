#pragma once
// One worker's mail service: its SMTP sessions, and how it hands messages over in line.

#include <functional>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/metrics.h"
#include "delivery/connection_cache.h"
#include "delivery/home_targets.h"
#include "delivery/sender_rewriting.h"
#include "frontend/request_service.h"
#include "frontend/worker.h"
#include "mx/client_names.h"
#include "mx/in_line.h"
#include "mx/rates.h"
#include "mx/refusal_log.h"
#include "mx/result_cache.h"
#include "mx/settings.h"
#include "queue/spool.h"

namespace muster::mx {

class SmtpConnection;

/// What the workers of a front end share of it. Thread-safe; outlives them.
struct SharedMail {
    const Settings& settings;
    queue::Spool* spool;  ///< null: nothing is stored
    Rates& rates;
    ResultCache& results;
    queue::QueueIds& ids;
    net::Resolver* resolver = nullptr;                     ///< null: clients have no names
    const delivery::SenderRewriting* rewriting = nullptr;  ///< null: none
};

/// Counted without a lock; names and help stand in mail_service.cpp.
struct MailCounters {
    MailCounters();
    metrics::Counter& delivered;
    metrics::Counter& queued;
    metrics::Counter& deferred;
    metrics::Counter& refused;
    metrics::Counter& unknown;
    metrics::Counter& uncertain;
};

/// Lives on its worker's thread.
class MailService final : public frontend::RequestService {
public:
    MailService(frontend::Worker& worker, const SharedMail& shared);
    ~MailService() override;

    Task<void> serve(net::Accepted accepted, Endpoint local,
                     const frontend::ListenerSettings& listener) override;
    void drain() override;
    void end(net::EndReason reason) override;

    // For the sessions.
    [[nodiscard]] frontend::Worker& worker() { return worker_; }
    [[nodiscard]] const SharedMail& shared() const { return shared_; }
    [[nodiscard]] const Settings& settings() const { return shared_.settings; }
    [[nodiscard]] MailCounters& counters() { return counters_; }
    [[nodiscard]] InLine& in_line() { return in_line_; }
    [[nodiscard]] RefusalLog& refusal_log() { return refusal_log_; }
    [[nodiscard]] ClientNames& client_names() { return client_names_; }
    /// The cluster's own servers send what is made there: redirects, vacation notices, reports.
    [[nodiscard]] bool is_own_server(const IpAddress& client);
    [[nodiscard]] queue::QueueId new_id();
    [[nodiscard]] queue::Body new_body() const;

private:
    friend class SmtpConnection;
    Task<void> sweep();

    frontend::Worker& worker_;
    SharedMail shared_;
    MailCounters counters_;
    delivery::ConnectionCache cache_;
    delivery::HomeTargets homes_;
    InLine in_line_;
    /// The cluster's own servers, as a snapshot of the topology has them.
    struct OwnServers {
        std::shared_ptr<const cluster::Topology> of;
        std::unordered_set<IpAddress> addresses{};
        std::vector<std::string> names{};  ///< of hosts, whose addresses may change
    };
    OwnServers own_servers_;
    RefusalLog refusal_log_;
    ClientNames client_names_;
    SmtpConnection* connections_ = nullptr;  // intrusive list of all that live
    net::Sleep* sweeping_ = nullptr;
    bool stopping_ = false;
};

/// For Shared::make_mail_service. `shared` is copied; what it refers to outlives the workers.
std::function<std::unique_ptr<frontend::RequestService>(frontend::Worker&)> mail_service_of(
    SharedMail shared);

}  // namespace muster::mx
