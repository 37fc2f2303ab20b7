#pragma once
// What a front end does with the secrets that it has in common with the others: TLS tickets,
// rewritten senders, keys that sign mail.

#include <memory>
#include <optional>
#include <span>

#include "admin/api.h"
#include "admin/dkim_folder.h"
#include "admin/node_context.h"
#include "cluster/topology.h"
#include "delivery/sender_rewriting.h"
#include "net/tls_tickets.h"

namespace muster::admin {

/// Owned by the node. follow() on its control loop, the rest on any thread.
class CommonSecrets {
public:
    explicit CommonSecrets(const NodeContext& node);

    /// Takes up what is new. Before the state has a secret that this node can open, its own random
    /// keys stand, and no sender is rewritten.
    void follow(const cluster::Topology& topology);
    /// Writes the keys as they are in the current snapshot; blocks.
    void write_dkim_keys();
    /// Whether there is something to write.
    [[nodiscard]] bool dkim_keys_changed(const cluster::Topology& topology) const;

    [[nodiscard]] std::shared_ptr<const net::TicketKeys> tickets() const { return tickets_; }
    [[nodiscard]] std::shared_ptr<const delivery::SenderRewriting> rewriting() const {
        return rewriting_;
    }

private:
    void follow_tickets(const cluster::Topology& topology);
    void follow_rewriting(const cluster::Topology& topology);

    const NodeContext& node_;
    std::shared_ptr<net::TicketKeys> tickets_ = std::make_shared<net::TicketKeys>();
    std::shared_ptr<delivery::SenderRewriting> rewriting_ =
        std::make_shared<delivery::SenderRewriting>();
    std::optional<cluster::SharedSecret> ticket_secret_;
    std::optional<cluster::SharedSecret> srs_secret_;
    std::string srs_setting_;
    DkimFolder dkim_folder_;
    mutable std::mutex mutex_;
    std::optional<std::vector<cluster::DkimKey>> written_;  ///< under mutex_
};

std::span<const ApiRoute> secret_routes();

}  // namespace muster::admin
