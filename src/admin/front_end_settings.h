#pragma once
// From the node file to what a front end wants to know.

#include "admin/node_file.h"
#include "base/error.h"
#include "frontend/settings.h"
#include "net/tls.h"

namespace muster::admin {

/// Errors name the option and what is wrong with its value.
Result<frontend::Settings> front_end_settings(const NodeConfig& config);
/// Reads the certificate files; null when there are none.
Result<std::shared_ptr<const net::TlsServer>> file_certificates(const NodeConfig& config);

}  // namespace muster::admin
