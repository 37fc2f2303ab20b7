#include "admin/front_end_settings.h"

#include "admin/files.h"
#include "base/base64.h"
#include "base/log.h"
#include "cluster/address.h"
#include "net/pki.h"

namespace muster::admin {
namespace {

constexpr std::size_t kLargestSealedKey = 64 * 1024;

net::Duration milliseconds(std::chrono::seconds seconds) { return seconds; }

std::unexpected<Error> wrong(std::string_view option, const Error& error) {
    return fail(ErrorKind::Syntax, std::string(option) + ": " + error.detail);
}

Result<frontend::ListenerSettings> listener_settings(const ListenerSettings& from) {
    frontend::ListenerSettings listener;
    const auto service = cluster::service_from(from.protocol);
    if (!service) return fail(ErrorKind::Syntax, "listener.protocol: " + from.protocol);
    listener.service = *service;
    const auto address = Endpoint::parse(from.address);
    if (!address) return wrong("listener.address", address.error());
    listener.address = *address;
    if (from.tls == "none") listener.tls = cluster::TlsMode::None;
    if (from.tls == "implicit") listener.tls = cluster::TlsMode::Implicit;
    if (!from.default_domain.empty()) {
        auto domain = cluster::parse_domain(from.default_domain);
        if (!domain) return wrong("listener.default_domain", domain.error());
        listener.default_domain = std::move(*domain);
    }
    for (const std::string& text : from.proxy_from) {
        const auto network = Network::parse(text);
        if (!network) return wrong("listener.proxy_from", network.error());
        listener.proxy_from.push_back(*network);
    }
    return listener;
}

frontend::Limits limits(const LimitSettings& from) {
    return {.connections = from.connections,
            .connections_per_address = from.connections_per_address,
            .login_time = milliseconds(from.login_time),
            .failures = from.failures,
            .failure_window = milliseconds(from.failure_window),
            .commands_before_login = from.commands_before_login,
            .line = from.line_bytes,
            .literal = from.literal_bytes,
            .idle_imap = milliseconds(from.idle_imap),
            .idle_pop3 = milliseconds(from.idle_pop3),
            .idle_sieve = milliseconds(from.idle_sieve)};
}

Result<std::vector<net::TlsCertificate>> read_certificates(const NodeConfig& config) {
    std::vector<net::TlsCertificate> certificates;
    for (const CertificateFiles& files : config.certificates) {
        auto chain = read_file(files.chain);
        if (!chain) return wrong("certificate.chain", chain.error());
        auto key = read_file(files.key);
        if (!key) return wrong("certificate.key", key.error());
        certificates.push_back({std::move(*chain), std::move(*key), files.names});
    }
    return certificates;
}

Result<net::TlsCertificate> opened_certificate(const cluster::Certificate& sealed,
                                               const SealSecret& secret) {
    if (secret.bytes.size() != kSealKeyBytes) {
        return fail(ErrorKind::Refused, "this node has not got the cluster's secret");
    }
    const auto bytes = base64_decode(sealed.key, kLargestSealedKey);
    if (!bytes) return std::unexpected(bytes.error());
    auto key = unseal(*bytes, secret);
    if (!key) return std::unexpected(key.error());
    if (auto fine = net::belong_together(sealed.chain, *key); !fine) {
        return std::unexpected(fine.error());
    }
    return net::TlsCertificate{sealed.chain, std::move(*key), sealed.names};
}

}  // namespace

Result<frontend::Settings> front_end_settings(const NodeConfig& config) {
    frontend::Settings settings{.node = config.node.name,
                                .workers = config.node.workers,
                                .listeners = {},
                                .limits = limits(config.limits),
                                .upstream = {},
                                .secret = {}};
    for (const ListenerSettings& each : config.listeners) {
        auto listener = listener_settings(each);
        if (!listener) return std::unexpected(listener.error());
        settings.listeners.push_back(std::move(*listener));
    }
    if (!config.mail.socketmap.empty()) {
        const auto address = Endpoint::parse(config.mail.socketmap);
        if (!address) return wrong("mail.socketmap", address.error());
        settings.maps.emplace().address = *address;
    }
    settings.upstream.warm = config.upstream.warm;
    settings.upstream.connect_time = milliseconds(config.upstream.connect_time);
    settings.upstream.login_time = milliseconds(config.upstream.login_time);
    for (const std::string& text : config.upstream.source_addresses) {
        const auto address = IpAddress::parse(text);
        if (!address) return wrong("upstream.source_addresses", address.error());
        settings.upstream.source_addresses.push_back(*address);
    }
    if (!config.upstream.ca.empty()) {
        auto authorities = read_file(config.upstream.ca);
        if (!authorities) return wrong("upstream.ca", authorities.error());
        settings.upstream.authorities = std::move(*authorities);
    }
    return settings;
}

Result<std::shared_ptr<const net::TlsServer>> file_certificates(const NodeConfig& config) {
    return all_certificates(config, {}, SealSecret::key(std::string(kSealKeyBytes, '\0')));
}

Result<std::shared_ptr<const net::TlsServer>> all_certificates(
    const NodeConfig& config, const std::vector<cluster::Certificate>& in_state,
    const SealSecret& secret, std::shared_ptr<const net::TicketKeys> tickets) {
    auto certificates = read_certificates(config);
    if (!certificates) return std::unexpected(certificates.error());
    for (const cluster::Certificate& one : in_state) {
        auto opened = opened_certificate(one, secret);
        if (opened) {
            certificates->push_back(std::move(*opened));
        } else {
            log::error("certificate-unusable",
                       {{"certificate", one.name}, {"reason", opened.error().detail}});
        }
    }
    if (certificates->empty()) return std::shared_ptr<const net::TlsServer>();
    const auto minimum =
        config.tls_minimum == "1.3" ? net::TlsVersion::Tls13 : net::TlsVersion::Tls12;
    return net::TlsServer::create(*certificates, minimum, false, std::move(tickets));
}

}  // namespace muster::admin
