#pragma once
// What a front end does with the secrets that it has in common with the others: TLS tickets,
// rewritten senders, keys that sign mail.

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "admin/alarms.h"
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

    /// Takes up what is new, and tries anew what did not work. Before the state has a secret that
    /// this node can open, its own random keys stand, and no sender is rewritten; of a later one
    /// that it cannot open, the one before.
    void follow(const cluster::Topology& topology);
    /// Whether there is something to write and nobody writes: write_dkim_keys() is to be called.
    [[nodiscard]] bool begin_dkim_keys(const cluster::Topology& topology);
    /// Writes the keys as they are in the current snapshot; blocks.
    void write_dkim_keys();
    /// What does not work now.
    [[nodiscard]] std::vector<Alarm> alarms() const;

    [[nodiscard]] std::shared_ptr<const net::TicketKeys> tickets() const { return tickets_; }
    [[nodiscard]] std::shared_ptr<const delivery::SenderRewriting> rewriting() const {
        return rewriting_;
    }

private:
    void follow_tickets(const cluster::Topology& topology);
    void follow_rewriting(const cluster::Topology& topology);
    /// An empty text: it works.
    void note(const std::string& about, const std::string& trouble);

    const NodeContext& node_;
    std::shared_ptr<net::TicketKeys> tickets_ = std::make_shared<net::TicketKeys>();
    std::shared_ptr<delivery::SenderRewriting> rewriting_ =
        std::make_shared<delivery::SenderRewriting>();
    std::optional<cluster::SharedSecret> ticket_secret_;
    std::optional<cluster::SharedSecret> srs_secret_;
    std::string srs_setting_;
    DkimFolder dkim_folder_;
    mutable std::mutex mutex_;  ///< never held while something is written
    std::map<std::string, std::string> troubles_;
    bool is_writing_ = false;
    std::optional<std::vector<cluster::DkimKey>> written_;
};

std::span<const ApiRoute> secret_routes();

}  // namespace muster::admin
