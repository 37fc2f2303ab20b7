#include "cluster/entry_codec.h"
#include "cluster/json_fields.h"

namespace muster::cluster {
namespace {

void check_name(FieldReader& fields, std::string_view field, const std::string& value) {
    if (value.empty()) return;
    if (auto ok = parse_plain_name(value); !ok) fields.reject(field, ok.error().detail);
}

std::vector<IpAddress> take_addresses(FieldReader& fields, std::string_view field) {
    std::vector<IpAddress> result;
    for (const std::string& text : fields.list(field, 64)) {
        const auto address = IpAddress::parse(text);
        if (!address) {
            fields.reject(field, "holds \"" + text + "\", which is no IP address");
            return {};
        }
        result.push_back(*address);
    }
    return result;
}

std::vector<DomainName> take_host_names(FieldReader& fields, std::string_view field) {
    std::vector<DomainName> result;
    for (const std::string& text : fields.list(field, kMaxDomain)) {
        auto name = parse_domain(text);
        if (!name) {
            fields.reject(field, "holds \"" + text + "\": " + name.error().detail);
            return {};
        }
        result.push_back(std::move(*name));
    }
    return result;
}

void read_default_for(FieldReader& fields, Domain& domain) {
    auto inner = fields.object("default_for");
    if (!inner) return;
    domain.addresses = take_addresses(*inner, "addresses");
    domain.tls_names = take_host_names(*inner, "tls_names");
    domain.unknown_default_for = inner->unknown();
    fields.adopt(*inner);
}

void read_case(FieldReader& fields, Domain& domain) {
    const std::string policy = fields.text("case", 8);
    if (!policy.empty() && policy != "fold" && policy != "keep") {
        fields.reject("case", "can be fold or keep");
    }
    domain.case_policy = policy == "keep" ? CasePolicy::Keep : CasePolicy::Fold;
}

std::vector<MailHost> take_mail_hosts(FieldReader& fields, std::string_view field) {
    std::vector<MailHost> result;
    for (const std::string& text : fields.list(field, kMaxDomain + 8)) {
        auto host = MailHost::parse(text);
        if (!host) {
            fields.reject(field, "holds " + host.error().detail);
            return {};
        }
        result.push_back(std::move(*host));
    }
    return result;
}

void read_mail(FieldReader& fields, Domain& domain) {
    domain.mail = fields.choice("mail", MailMode::InLine,
                                {MailMode::InLine, MailMode::Queue, MailMode::InLineOnly});
    domain.catch_all = fields.text("catch_all", kMaxAddress);
    if (!domain.catch_all.empty() && !parse_address(domain.catch_all, CasePolicy::Keep)) {
        fields.reject("catch_all", "must be an address");
    }
    if (const auto detail = fields.take("detail"); detail.is_string()) {
        domain.detail = detail.get<std::string>();
        if (domain.detail == "none") domain.detail.clear();
    } else if (!detail.is_null()) {
        fields.reject("detail", "must be text");
    }
    constexpr std::string_view kSeparators = "+-_=#";
    if (domain.detail.size() > 1 || kSeparators.find(domain.detail) == kSeparators.npos) {
        fields.reject("detail", "can be one of + - _ = #, or none");
    }
    domain.route = take_mail_hosts(fields, "route");
    if (!domain.route.empty() && domain.kind != DomainKind::Remote) {
        fields.reject("route", "is for domains of kind remote");
    }
}

constexpr std::uint32_t kWeek = 7 * 86'400;
constexpr std::uint32_t kYear = 365 * 86'400;
constexpr std::uint32_t kMostConnections = 1'000;
constexpr std::uint32_t kMostMessages = 1'000'000;
constexpr std::size_t kMostFilters = 64;

std::optional<std::uint32_t> take_seconds(FieldReader& fields, std::string_view field,
                                          std::uint32_t least, std::uint32_t most) {
    constexpr std::uint64_t kAbsent = ~std::uint64_t{0};
    const std::uint64_t given = fields.number(field, kAbsent, most);
    if (given == kAbsent) return std::nullopt;
    if (given < least) fields.reject(field, "must be seconds, at least " + std::to_string(least));
    return static_cast<std::uint32_t>(given);
}

void read_retry(FieldReader& fields, RetryOptions& retry) {
    auto inner = fields.object("retry");
    if (!inner) return;
    retry.first = take_seconds(*inner, "first", 1, kWeek);
    retry.longest = take_seconds(*inner, "longest", 1, kWeek);
    retry.expire_after = take_seconds(*inner, "expire_after", 1, kYear);
    retry.delay_report_after = take_seconds(*inner, "delay_report_after", 0, kYear);
    if (retry.first && retry.longest && *retry.first > *retry.longest) {
        inner->reject("first", "must not be more than longest");
    }
    retry.unknown = inner->unknown();
    fields.adopt(*inner);
}

void read_limits(FieldReader& fields, DeliveryLimits& limits) {
    auto inner = fields.object("limits");
    if (!inner) return;
    limits.connections =
        static_cast<std::uint32_t>(inner->number("connections", 0, kMostConnections));
    limits.messages = static_cast<std::uint32_t>(inner->number("messages", 0, kMostMessages));
    limits.unknown = inner->unknown();
    fields.adopt(*inner);
}

/// What holds for the mail that goes to a remote domain.
void read_delivery(FieldReader& fields, Domain& domain) {
    read_retry(fields, domain.retry);
    read_limits(fields, domain.limits);
    constexpr std::uint64_t kLargest = std::uint64_t{1} << 40;
    domain.message_bytes = fields.number("message_bytes", 0, kLargest);
    domain.filters = fields.list("filters", 63);
    if (domain.filters.size() > kMostFilters) fields.reject("filters", "holds too many");
    for (const std::string& filter : domain.filters) check_name(fields, "filters", filter);
    const bool has_some = domain.retry != RetryOptions{} || domain.limits != DeliveryLimits{} ||
                          domain.message_bytes != 0 || !domain.filters.empty();
    if (has_some && domain.kind != DomainKind::Remote) {
        fields.reject("retry", "and limits, message_bytes, filters are for domains of kind remote");
    }
}

void write_delivery(nlohmann::json& object, const Domain& domain) {
    nlohmann::json retry = start_object(domain.retry.unknown);
    const auto put_seconds = [&retry](const char* field, std::optional<std::uint32_t> seconds) {
        if (seconds) retry[field] = *seconds;
    };
    put_seconds("first", domain.retry.first);
    put_seconds("longest", domain.retry.longest);
    put_seconds("expire_after", domain.retry.expire_after);
    put_seconds("delay_report_after", domain.retry.delay_report_after);
    if (!retry.empty()) object["retry"] = std::move(retry);
    nlohmann::json limits = start_object(domain.limits.unknown);
    put_number(limits, "connections", domain.limits.connections, 0);
    put_number(limits, "messages", domain.limits.messages, 0);
    if (!limits.empty()) object["limits"] = std::move(limits);
    put_number(object, "message_bytes", domain.message_bytes, 0);
    put_list(object, "filters", domain.filters);
}

/// How mail to a remote domain, or of one of ours, goes out.
void read_outgoing(FieldReader& fields, Domain& domain) {
    using enum OutgoingTls;
    domain.tls =
        fields.choice("tls", Automatic, {Automatic, None, Opportunistic, Encrypted, Verified});
    domain.source = take_addresses(fields, "source");
    if (const std::string helo = fields.text("helo", kMaxDomain); !helo.empty()) {
        auto name = parse_domain(helo);
        if (!name) fields.reject("helo", "must be a host name");
        if (name) domain.helo = std::move(name->text);
    }
    const bool remote = domain.kind == DomainKind::Remote;
    if (!remote && domain.tls != Automatic) {
        fields.reject("tls", "is for domains of kind remote");
    }
    if (remote && !(domain.source.empty() && domain.helo.empty())) {
        fields.reject("source", "and helo are for the domains whose mail is sent, not for remote");
    }
}

template <typename T, typename Text>
std::vector<std::string> texts(const std::vector<T>& values, Text text) {
    std::vector<std::string> result;
    result.reserve(values.size());
    for (const T& value : values) result.push_back(text(value));
    return result;
}

void write_default_for(nlohmann::json& object, const Domain& domain) {
    nlohmann::json inner = start_object(domain.unknown_default_for);
    put_list(inner, "addresses", texts(domain.addresses, [](auto& a) { return a.text(); }));
    put_list(inner, "tls_names", texts(domain.tls_names, [](auto& n) { return n.text; }));
    if (!inner.empty()) object["default_for"] = std::move(inner);
}

ServiceSettings read_service(FieldReader& fields) {
    ServiceSettings service;
    service.port = static_cast<std::uint16_t>(fields.number("port", 0, 65'535));
    if (service.port == 0) fields.reject("port", "must be from 1 to 65535");
    service.tls = fields.choice("tls", TlsMode::StartTls,
                                {TlsMode::None, TlsMode::StartTls, TlsMode::Implicit});
    constexpr std::uint64_t kAbsent = 10'001;
    const std::uint64_t cache = fields.number("cache", kAbsent, kAbsent - 1);
    if (cache != kAbsent) service.cache = static_cast<unsigned>(cache);
    if (const std::string level = fields.text("log", 16); !level.empty()) {
        const auto parsed = log::level_from(level);
        if (!parsed) fields.reject("log", "can be debug, info, warning, error or off");
        service.log = parsed.value_or(log::Level::Info);
    }
    service.capabilities = fields.list("capabilities", 256);
    service.unknown = fields.unknown();
    return service;
}

void read_services(FieldReader& fields, Server& server) {
    auto services = fields.object("services");
    if (!services) return;
    for (const Service which : kServices) {
        auto inner = services->object(name(which));
        if (!inner) continue;
        server.services[static_cast<std::size_t>(which)] = read_service(*inner);
        fields.adopt(*inner);
    }
    server.unknown_services = services->unknown();
    fields.adopt(*services);
}

void read_identity(FieldReader& fields, Server& server) {
    server.kind =
        fields.choice("kind", ServerKind::Dovecot, {ServerKind::Dovecot, ServerKind::Foreign});
    server.node = NodeName(fields.text("node", 63));
    check_name(fields, "node", server.node.text);
    server.host = fields.text("host", kMaxDomain);
    fields.require("host", !server.host.empty());
    if (!IpAddress::parse(server.host) && !parse_domain(server.host)) {
        fields.reject("host", "must be an IP address or a host name");
    }
    server.source = take_addresses(fields, "source");
    if (server.kind == ServerKind::Foreign && !server.node.empty()) {
        fields.reject("node", "is for servers of kind dovecot");
    }
}

void read_introduction(FieldReader& fields, Server& server) {
    const bool foreign = server.kind == ServerKind::Foreign;
    server.introduce = fields.choice("introduce", foreign ? Introduce::None : Introduce::Xclient,
                                     {Introduce::Xclient, Introduce::Proxy, Introduce::None});
    server.login = fields.choice("login", LoginMode::Own,
                                 {LoginMode::Own, LoginMode::Master, LoginMode::Token});
    server.tls_name = fields.text("tls_name", kMaxDomain);
    if (!server.tls_name.empty() && !parse_domain(server.tls_name)) {
        fields.reject("tls_name", "must be a host name");
    }
    server.ca = fields.text("ca", kMaxEntry);
    if (!server.ca.empty() && server.ca.find("-----BEGIN CERTIFICATE-----") == server.ca.npos) {
        fields.reject("ca", "must hold certificates in PEM");
    }
    if (foreign && server.login == LoginMode::Token) {
        fields.reject("login", "token is for servers of kind dovecot");
    }
}

std::string_view level_name(log::Level level) {
    constexpr std::array<std::string_view, 5> kNames{"debug", "info", "warning", "error", "off"};
    return kNames[static_cast<std::size_t>(level)];
}

nlohmann::json write_service(const ServiceSettings& service) {
    nlohmann::json object = start_object(service.unknown);
    object["port"] = service.port;
    object["tls"] = name(service.tls);
    if (service.cache) object["cache"] = *service.cache;
    if (service.log != log::Level::Info) object["log"] = level_name(service.log);
    put_list(object, "capabilities", service.capabilities);
    return object;
}

void write_services(nlohmann::json& object, const Server& server) {
    nlohmann::json services = start_object(server.unknown_services);
    for (const Service which : kServices) {
        if (const ServiceSettings* service = server.service(which)) {
            services[std::string(name(which))] = write_service(*service);
        }
    }
    if (!services.empty()) object["services"] = std::move(services);
}

}  // namespace

Result<Domain> decode_domain(std::string_view name, std::string_view json) {
    auto object = parse_object(json);
    if (!object) return std::unexpected(object.error());
    FieldReader fields(std::move(*object));
    Domain domain;
    domain.name = DomainName(name);
    domain.kind = fields.choice("kind", DomainKind::Shared,
                                {DomainKind::Shared, DomainKind::Local, DomainKind::Remote});
    domain.node = NodeName(fields.text("node", 63));
    check_name(fields, "node", domain.node.text);
    for (std::string& server : fields.list("servers", 63)) {
        check_name(fields, "servers", server);
        domain.servers.emplace_back(std::move(server));
    }
    domain.unknown_server = ServerName(fields.text("unknown_server", 63));
    check_name(fields, "unknown_server", domain.unknown_server.text);
    read_default_for(fields, domain);
    read_case(fields, domain);
    read_mail(fields, domain);
    read_outgoing(fields, domain);
    read_delivery(fields, domain);
    if ((domain.kind == DomainKind::Local) == domain.node.empty()) {
        fields.reject("node", "is required for local domains, and for them only");
    }
    if (domain.kind == DomainKind::Remote && !domain.servers.empty()) {
        fields.reject("servers",
                      "is not for remote domains, whose mail goes to `route` or their MX");
    }
    domain.unknown = fields.unknown();
    if (auto ok = fields.result(); !ok) return std::unexpected(ok.error());
    return domain;
}

std::string encode(const Domain& domain) {
    nlohmann::json object = start_object(domain.unknown);
    object["kind"] = name(domain.kind);
    put_text(object, "node", domain.node.text);
    put_list(object, "servers", texts(domain.servers, [](auto& s) { return s.text; }));
    put_text(object, "unknown_server", domain.unknown_server.text);
    write_default_for(object, domain);
    if (domain.case_policy == CasePolicy::Keep) object["case"] = "keep";
    if (domain.mail != MailMode::InLine) object["mail"] = name(domain.mail);
    put_text(object, "catch_all", domain.catch_all);
    if (domain.detail != Domain{}.detail) {
        object["detail"] = domain.detail.empty() ? std::string("none") : domain.detail;
    }
    put_list(object, "route", texts(domain.route, [](auto& h) { return h.text(); }));
    if (domain.tls != OutgoingTls::Automatic) object["tls"] = name(domain.tls);
    write_delivery(object, domain);
    put_list(object, "source", texts(domain.source, [](auto& a) { return a.text(); }));
    put_text(object, "helo", domain.helo);
    return to_text(object);
}

Result<Server> decode_server(std::string_view name, std::string_view json) {
    auto object = parse_object(json);
    if (!object) return std::unexpected(object.error());
    FieldReader fields(std::move(*object));
    Server server;
    server.name = ServerName(name);
    read_identity(fields, server);
    server.admin = fields.choice("admin", AdminState::Up,
                                 {AdminState::Up, AdminState::Drain, AdminState::Down});
    read_services(fields, server);
    read_introduction(fields, server);
    server.weight = static_cast<unsigned>(fields.number("weight", server.weight, 1'000'000));
    server.unknown = fields.unknown();
    if (auto ok = fields.result(); !ok) return std::unexpected(ok.error());
    return server;
}

std::string encode(const Server& server) {
    nlohmann::json object = start_object(server.unknown);
    object["kind"] = name(server.kind);
    put_text(object, "node", server.node.text);
    object["host"] = server.host;
    put_list(object, "source", texts(server.source, [](auto& a) { return a.text(); }));
    if (server.admin != AdminState::Up) object["admin"] = name(server.admin);
    write_services(object, server);
    object["introduce"] = name(server.introduce);
    object["login"] = name(server.login);
    put_text(object, "tls_name", server.tls_name);
    put_text(object, "ca", server.ca);
    put_number(object, "weight", server.weight, Server{}.weight);
    return to_text(object);
}

}  // namespace muster::cluster
