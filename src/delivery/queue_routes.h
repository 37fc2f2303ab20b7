#pragma once
// Where the recipients of a queued message go, by what the directory says now.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cluster/directory.h"
#include "cluster/recipients.h"
#include "delivery/mail_target.h"
#include "delivery/mx_hosts.h"
#include "delivery/sender_rewriting.h"
#include "delivery/tls_policy.h"
#include "queue/spool.h"

namespace muster::delivery {

/// What a remote domain's own options say of mail for it.
struct DomainTerms {
    std::shared_ptr<const queue::RetrySettings> retry{};  ///< null: as the schedule's
    bool own_expiry = false;                              ///< of `retry`; else as the envelope says
    std::uint32_t connections = 0;                        ///< at a time; 0: the node's limit
    std::uint32_t messages = 0;                           ///< a minute; 0: no limit
    std::optional<MailLogin> login{};                     ///< at the hosts of the route
};

/// Recipients of a message that go the same way.
struct RecipientGroup {
    /// What limits and back-off count by: "server:NAME" for a home; "host:HOST[:PORT],…" where the
    /// domain's route or a smart host takes the mail, whatever the domain, and with "/NAME" behind
    /// it where the domain has terms of its own; "domain:NAME" by MX.
    std::string destination;
    ServerName home;                  ///< of the cluster; empty: the world
    std::vector<Destination> remote;  ///< to be tried in this order
    TlsSetting tls = TlsSetting::Automatic;
    bool by_smart_host = false;  ///< `remote` are the node's own
    DomainTerms terms{};
    bool forwarded = false;  ///< to addresses that the sender did not name
    std::vector<std::uint32_t> recipients;
    std::vector<std::string> addresses;  ///< of the recipients, as they are sent
};

struct QueuePlan {
    std::vector<RecipientGroup> groups{};
    /// Those that go nowhere, now or for good.
    std::vector<std::pair<std::uint32_t, RecipientResult>> findings{};
    std::vector<queue::GroupResult> left{};  ///< what the deferred ones of these wait for
    std::uint64_t message_bytes = 0;
    std::map<std::string, DomainTerms> terms{};  ///< of its remote domains, by name

    /// Takes the recipient out.
    void forget(std::uint32_t recipient);
};

/// As whom a message goes to the world.
struct OutgoingIdentity {
    std::string helo;
    std::vector<IpAddress> sources;  ///< used in turn; empty: the kernel chooses
};

struct RouteSettings {
    std::string host_name;
    std::vector<Destination> smart_host{};       ///< for all mail to the world; empty: MX
    std::uint16_t port = 25;                     ///< of the world's mail servers
    std::vector<IpAddress> source_addresses{};   ///< towards the world; empty: the kernel chooses
    net::Duration stale_after{900'000};          ///< a replica silent for so long knows of no loss
    const SenderRewriting* rewriting = nullptr;  ///< outlives the routes; null: none
    queue::RetrySettings retry{};                ///< what a domain does not say itself
    /// The password of a remote domain's credential, unsealed. Empty: no node but one that has
    /// none.
    std::function<Result<std::string>(const cluster::DeliveryCredential&)> open_password{};
};

/// One thread's; `directory` outlives it.
class QueueRoutes {
public:
    QueueRoutes(cluster::Directory& directory, RouteSettings settings)
        : directory_(directory), settings_(std::move(settings)) {}

    /// Of the message's open recipients. Those that nobody has (any more) fail at once.
    QueuePlan plan(const queue::QueuedMessage& message);
    /// What the sender's domain says, if it is one of ours, else the node's own.
    [[nodiscard]] OutgoingIdentity identity(std::string_view sender) const;

private:
    void plan_recipient(QueuePlan& plan, std::uint32_t number, const queue::Recipient& recipient);
    void add(QueuePlan& plan, const cluster::MailTarget& target, std::uint32_t recipient,
             bool forwarded);
    [[nodiscard]] RecipientGroup to_world(const cluster::MailTarget& target) const;
    /// What the domain's options say of the group; false: what the recipient gets instead stands in
    /// the plan.
    bool put_on_terms(QueuePlan& plan, RecipientGroup& group, const cluster::Domain& domain,
                      std::uint32_t recipient);
    /// An error: there is a login, and it cannot be used.
    [[nodiscard]] Result<DomainTerms> terms_of(const cluster::Domain& domain) const;
    /// At the hosts of the domain's route.
    [[nodiscard]] Result<std::optional<MailLogin>> login_of(const cluster::Domain& domain) const;

    cluster::Directory& directory_;
    const RouteSettings settings_;
};

}  // namespace muster::delivery
