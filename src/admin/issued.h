#pragma once
// What the cluster's authority has signed for others, so that its end is seen in time.

#include <string>
#include <vector>

#include "admin/alarms.h"
#include "state/store.h"

namespace muster::admin {

struct IssuedCertificate {
    std::string name;
    std::vector<std::string> names;
    WallTime end;
};

/// Writes `issued/NAME`, in place of what was issued under that name before. Masters only; no
/// other node sees it.
Result<> note_issued(state::Store& directory, const IssuedCertificate& certificate);
/// NotFound without one of that name.
Result<> forget_issued(state::Store& directory, const std::string& name);
std::vector<IssuedCertificate> issued_certificates(state::Store& directory);

}  // namespace muster::admin
