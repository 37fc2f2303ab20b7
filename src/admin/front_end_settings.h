#pragma once
// From the node file to what a front end wants to know.

#include "admin/node_file.h"
#include "base/error.h"
#include "base/seal.h"
#include "cluster/entries.h"
#include "frontend/settings.h"
#include "net/tls.h"

namespace muster::admin {

/// Errors name the option and what is wrong with its value.
Result<frontend::Settings> front_end_settings(const NodeConfig& config);
/// Reads the certificate files; null when there are none.
Result<std::shared_ptr<const net::TlsServer>> file_certificates(const NodeConfig& config);
/// Those of the files, then those of the state, unsealed. One in the state that cannot be used is
/// logged and left out: it must not take the others away. `tickets` are those of TlsServer.
Result<std::shared_ptr<const net::TlsServer>> all_certificates(
    const NodeConfig& config, const std::vector<cluster::Certificate>& in_state,
    const SealSecret& secret, std::shared_ptr<const net::TicketKeys> tickets = nullptr);

}  // namespace muster::admin
