#include "admin/back_end_settings.h"

#include "admin/smtp_listeners.h"
#include "base/base64.h"
#include "base/password.h"

namespace muster::admin {

backend::AgentSettings agent_settings(const NodeConfig& config, std::string_view cluster_secret) {
    const BackendSettings& from = config.backend;
    std::optional<Endpoint> lookups;
    if (auto endpoint = Endpoint::parse(from.lookup_listen)) lookups = *endpoint;
    std::optional<Endpoint> mail_out;
    if (auto endpoint = Endpoint::parse(from.mail_out_listen)) mail_out = *endpoint;
    return {.server = from.server,
            .mail_root = from.mail_root,
            .mail_uid = from.mail_uid,
            .mail_gid = from.mail_gid,
            .auth_socket = from.dict_socket,
            .auth_group = from.dict_socket_group,
            .mail_socket = from.mail_socket,
            .base_dir = from.base_dir,
            .relay_socket = from.auth_socket,
            // The same on every back end: an unknown name may be handed to any of them.
            .decoy_secret = hmac_sha256(cluster_secret, "decoy keys"),
            .lookup_listen = lookups,
            .lookup_secret = hex_encode(hmac_sha256(cluster_secret, "dovecot look-ups")),
            .mail_out_listen = mail_out,
            .exits = {.fixed = from.mail_out_to,
                      .node = config.node.name,
                      .own = smtp_listeners_from(told_smtp_listeners(config), "127.0.0.1"),
                      .server = from.server}};
}

}  // namespace muster::admin
