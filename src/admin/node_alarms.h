#pragma once
// The alarms of one node: certificates that end, a replica that is behind, servers that are down,
// a queue in need.

#include <set>
#include <string>
#include <vector>

#include "admin/alarms.h"
#include "admin/node_context.h"
#include "net/timer.h"

namespace muster::admin {

std::vector<Alarm> node_alarms(const NodeContext& node);
/// The nodes that belong to the cluster, without this one and those that are revoked.
std::vector<NodeName> other_members(const NodeContext& node);

/// Sets the metrics `muster_alarms` and `muster_certificate_ends_timestamp_seconds`, and logs each
/// alarm when it is new and again every six hours. Owned by Administration; one caller at a time.
class AlarmReporter {
public:
    void look(const NodeContext& node);

private:
    /// Of what is there; what is gone is shown no more.
    void show_ends(const NodeContext& node);

    std::set<std::string> shown_;
    std::vector<Alarm> told_;
    net::Clock::time_point tell_again_{};
};

}  // namespace muster::admin
