#pragma once
// A demo's files: keys, certificates, node files, Dovecot's configuration, the first directory.

#include "admin/demo_plan.h"
#include "base/error.h"

namespace muster::admin {

/// Writes everything that the demo's processes start from, as joining and the administrator's
/// commands would have left it.
Result<> lay_out(const DemoPlan& plan);

}  // namespace muster::admin
