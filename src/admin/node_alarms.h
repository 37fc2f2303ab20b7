#pragma once
// The alarms of one node: certificates that end, a replica that is behind, servers that are down.

#include <vector>

#include "admin/alarms.h"
#include "admin/node_context.h"

namespace muster::admin {

std::vector<Alarm> node_alarms(const NodeContext& node);

/// Logs them, and sets the metrics `muster_alarms` and `muster_certificate_ends_timestamp_seconds`.
void report_alarms(const NodeContext& node);

}  // namespace muster::admin
