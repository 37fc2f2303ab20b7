#include "admin/mail_settings.h"

#include <algorithm>

#include "admin/files.h"
#include "cluster/address.h"
#include "net/pki.h"

namespace muster::admin {
namespace {

Result<std::vector<Network>> networks(std::string_view option,
                                      const std::vector<std::string>& texts) {
    std::vector<Network> found;
    for (const std::string& text : texts) {
        const auto network = Network::parse(text);
        if (!network) {
            return fail(ErrorKind::Syntax, std::string(option) + ": " + network.error().detail);
        }
        found.push_back(*network);
    }
    return found;
}

using delivery::Destination;

/// Of `[mail] smart_host`.
Result<std::vector<Destination>> smart_hosts(const NodeConfig& config) {
    std::vector<Destination> hosts;
    for (const std::string& text : config.mail.smart_host) {
        auto host = cluster::MailHost::parse(text);
        if (!host) return fail(ErrorKind::Syntax, "mail.smart_host: " + host.error().detail);
        hosts.push_back({Destination::Kind::Host, std::move(host->name), host->port});
    }
    return hosts;
}

Result<std::optional<delivery::MailLogin>> smart_host_login(const NodeConfig& config) {
    const MailSettings& mail = config.mail;
    if (mail.smart_host_user.empty()) return std::nullopt;
    constexpr std::size_t kLongest = 4096;
    const auto text = read_file(mail.smart_host_password_file, kLongest);
    if (!text) {
        return fail(ErrorKind::Syntax, "mail.smart_host_password_file: " + text.error().detail);
    }
    return delivery::MailLogin{mail.smart_host_user, text->substr(0, text->find_first_of("\r\n"))};
}

}  // namespace

bool takes_mail(const NodeConfig& config) {
    return std::ranges::any_of(config.listeners, [](const ListenerSettings& listener) {
        return listener.protocol == "smtp" || listener.protocol == "submission";
    });
}

Result<mx::Settings> mail_settings(const NodeConfig& config) {
    const MailSettings& from = config.mail;
    const auto host = cluster::parse_domain(from.host_name);
    if (!host) {
        return fail(ErrorKind::Syntax,
                    "mail.host_name: \"" + from.host_name + "\": " + host.error().detail);
    }
    const auto authserv =
        cluster::parse_domain(from.authserv_id.empty() ? from.host_name : from.authserv_id);
    if (!authserv) {
        return fail(ErrorKind::Syntax,
                    "mail.authserv_id: \"" + from.authserv_id + "\": " + authserv.error().detail);
    }
    auto xclient = networks("mail.xclient_from", from.xclient_from);
    if (!xclient) return std::unexpected(xclient.error());
    auto relay = networks("mail.relay_from", from.relay_from);
    if (!relay) return std::unexpected(relay.error());
    return mx::Settings{.host_name = host->text,
                        .authserv_id = authserv->text,
                        .recipients = from.recipients,
                        .message_bytes = from.message_bytes,
                        .memory_bytes = from.memory_bytes,
                        .hops = from.hops,
                        .errors = from.errors,
                        .unknown_recipients = from.unknown_recipients,
                        .account_recipients = from.account_recipients,
                        .client_connections = from.client_connections,
                        .client_messages = from.client_messages,
                        .tarpit = from.tarpit,
                        .idle = from.idle,
                        .message = from.message_time,
                        .in_line = from.in_line_time,
                        .stale_after = from.stale_after,
                        .xclient_from = std::move(*xclient),
                        .relay_from = std::move(*relay),
                        .client_names = from.client_names,
                        .store = from.store};
}

Result<mx::MapSettings> map_settings(const NodeConfig& config) {
    const MailSettings& from = config.mail;
    const auto address = Endpoint::parse(from.socketmap);
    if (!address) return fail(ErrorKind::Syntax, "mail.socketmap: " + address.error().detail);
    if (!address->address.is_loopback() && from.socketmap_from.empty()) {
        return fail(ErrorKind::Syntax, "mail.socketmap: " + from.socketmap +
                                           " can be reached from elsewhere: say in "
                                           "mail.socketmap_from who may ask");
    }
    const auto host = cluster::parse_domain(from.host_name);
    if (!host) {
        return fail(ErrorKind::Syntax,
                    "mail.host_name: \"" + from.host_name + "\": " + host.error().detail);
    }
    auto listed = networks("mail.socketmap_from", from.socketmap_from);
    if (!listed) return std::unexpected(listed.error());
    return mx::MapSettings{.host_name = host->text,
                           .from = std::move(*listed),
                           .idle = from.idle,
                           .patience = from.stale_after + config.cluster.update_interval};
}

/// A node that joined anew is a later one of its name: the time when its key was made tells.
std::uint64_t generation_of(const NodeIdentity& identity) {
    const auto facts = net::read_certificate(identity.certificate);
    if (!facts) return 1;
    const auto made = std::chrono::system_clock::to_time_t(facts->not_before);
    return static_cast<std::uint64_t>(std::max<std::time_t>(made, 1));
}

queue::SpoolSettings spool_settings(const NodeConfig& config, const NodeIdentity& identity) {
    queue::RetrySettings retry;
    retry.delays = queue::retry_delays(config.mail.retry_first, config.mail.retry_longest);
    retry.expire_after = config.mail.expire_after;
    retry.delay_notice_after = config.mail.delay_report_after;
    return {.folder = config.mail.queue_dir,
            .owner = {.node = config.node.name,
                      .generation = generation_of(identity),
                      .instance = identity.pin},
            .retry = std::move(retry),
            .body_memory = config.mail.memory_bytes,
            .reserve = config.mail.reserve};
}

Result<delivery::RunnerSettings> runner_settings(const NodeConfig& config) {
    auto hosts = smart_hosts(config);
    if (!hosts) return std::unexpected(hosts.error());
    auto login = smart_host_login(config);
    if (!login) return std::unexpected(login.error());
    delivery::RunnerSettings settings;
    settings.routes.host_name = config.mail.host_name;
    settings.routes.smart_host = std::move(*hosts);
    settings.routes.stale_after = config.mail.stale_after;
    settings.smart_host_login = std::move(*login);
    settings.sts_file = config.node.state_dir + "/mta-sts";
    for (const ListenerSettings& listener : config.listeners) {
        const auto endpoint = Endpoint::parse(listener.address);
        const bool is_one = endpoint && !endpoint->address.is_unspecified();
        if (is_one && listener.protocol == "smtp" && !endpoint->address.is_loopback()) {
            settings.own_addresses.push_back(endpoint->address);
        }
    }
    settings.routes.port = static_cast<std::uint16_t>(config.mail.out_port);
    for (const std::string& text : config.mail.source_addresses) {
        if (const auto address = IpAddress::parse(text)) {
            settings.routes.source_addresses.push_back(*address);
        }
    }
    return settings;
}

net::ResolverSettings resolver_settings(const NodeConfig& config) {
    net::ResolverSettings settings;
    settings.servers = config.mail.dns_servers;
    settings.trust_anchor = config.mail.trust_anchor;
    return settings;
}

}  // namespace muster::admin
