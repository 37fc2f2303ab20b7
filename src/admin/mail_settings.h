#pragma once
// From the node file to what the mail service is told.

#include "admin/node_file.h"
#include "admin/node_identity.h"
#include "delivery/queue_runner.h"
#include "mx/settings.h"
#include "mx/socketmap_service.h"
#include "net/dns.h"
#include "queue/spool.h"

namespace muster::admin {

/// Whether a listener of the file is for mail.
bool takes_mail(const NodeConfig& config);
/// Errors name the option.
Result<mx::Settings> mail_settings(const NodeConfig& config);
/// Of `[mail] socketmap`. Errors name the option; one is an address that strangers could reach
/// when nobody is listed who may ask.
Result<mx::MapSettings> map_settings(const NodeConfig& config);
/// Of a queue's owner, seconds since 1970.
std::uint64_t generation_of(const NodeIdentity& identity);
queue::SpoolSettings spool_settings(const NodeConfig& config, const NodeIdentity& identity);

/// Errors name the option.
Result<delivery::RunnerSettings> runner_settings(const NodeConfig& config);
net::ResolverSettings resolver_settings(const NodeConfig& config);

}  // namespace muster::admin
