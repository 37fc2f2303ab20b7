#pragma once
// The 2.4 half of dovecot_config.h.

#include "backend/dovecot_config.h"

namespace muster::backend {

std::vector<DovecotFile> dovecot_files_24(const DovecotConfigInput& input);

}  // namespace muster::backend
