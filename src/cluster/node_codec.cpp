#include <algorithm>

#include "cluster/entry_codec.h"
#include "cluster/json_fields.h"

namespace muster::cluster {
namespace {

bool is_host_and_port(std::string_view text) {
    if (Endpoint::parse(text)) return true;
    const std::size_t colon = text.rfind(':');
    if (colon == text.npos) return false;
    const auto port = Endpoint::parse("0.0.0.0:" + std::string(text.substr(colon + 1)));
    return port && port->port != 0 && parse_domain(text.substr(0, colon));
}

template <typename Login>
Result<Login> decode_login(std::string_view json) {
    auto object = parse_object(json);
    if (!object) return std::unexpected(object.error());
    FieldReader fields(std::move(*object));
    Login login;
    login.user = fields.text("user", kMaxAddress);
    fields.require("user", !login.user.empty());
    login.password = fields.text("password", 8192);
    login.unknown = fields.unknown();
    if (auto ok = fields.result(); !ok) return std::unexpected(ok.error());
    return login;
}

template <typename Login>
std::string encode_login(const Login& login) {
    nlohmann::json object = start_object(login.unknown);
    object["user"] = login.user;
    object["password"] = login.password;
    return to_text(object);
}

}  // namespace

Result<Node> decode_node(std::string_view name, std::string_view json) {
    auto object = parse_object(json);
    if (!object) return std::unexpected(object.error());
    FieldReader fields(std::move(*object));
    Node node;
    node.name = NodeName(name);
    node.scope = fields.choice(
        "scope", NodeScope::Frontend,
        {NodeScope::Mirror, NodeScope::Relay, NodeScope::Frontend, NodeScope::Backend});
    node.master = fields.flag("master", false);
    node.eligible = fields.flag("eligible", false);
    node.cluster = fields.text("cluster", kMaxDomain + 8);
    if (!node.cluster.empty() && !is_host_and_port(node.cluster)) {
        fields.reject("cluster", "must be HOST:PORT");
    }
    node.pin = fields.text("pin", 256);
    node.smtp = fields.list("smtp", kMaxDomain + 8);
    if (!std::ranges::all_of(node.smtp, is_host_and_port)) {
        fields.reject("smtp", "must be HOST:PORT");
    }
    node.admin = fields.choice("admin", AdminState::Up,
                               {AdminState::Up, AdminState::Drain, AdminState::Down});
    node.revoked = fields.flag("revoked", false);
    node.credentials = fields.flag("credentials", false);
    if (node.credentials && node.scope != NodeScope::Mirror) {
        fields.reject("credentials", "is for followers of scope mirror");
    }
    node.unknown = fields.unknown();
    if (auto ok = fields.result(); !ok) return std::unexpected(ok.error());
    return node;
}

std::string encode(const Node& node) {
    nlohmann::json object = start_object(node.unknown);
    object["scope"] = name(node.scope);
    if (node.master) object["master"] = true;
    if (node.eligible) object["eligible"] = true;
    put_text(object, "cluster", node.cluster);
    put_text(object, "pin", node.pin);
    put_list(object, "smtp", node.smtp);
    if (node.admin != AdminState::Up) object["admin"] = name(node.admin);
    if (node.revoked) object["revoked"] = true;
    if (node.credentials) object["credentials"] = true;
    return to_text(object);
}

Result<Certificate> decode_certificate(std::string_view name, std::string_view json) {
    auto object = parse_object(json);
    if (!object) return std::unexpected(object.error());
    FieldReader fields(std::move(*object));
    Certificate certificate;
    certificate.name = name;
    for (const std::string& text : fields.list("names", kMaxDomain)) {
        const bool wildcard = text.starts_with("*.");
        auto host = parse_domain(wildcard ? text.substr(2) : text);
        if (!host) {
            fields.reject("names", "holds \"" + text + "\": " + host.error().detail);
            break;
        }
        certificate.names.push_back(wildcard ? "*." + host->text : host->text);
    }
    certificate.chain = fields.text("chain", kMaxEntry);
    fields.require("chain", !certificate.chain.empty());
    certificate.key = fields.text("key", kMaxEntry);
    fields.require("key", !certificate.key.empty());
    certificate.unknown = fields.unknown();
    if (auto ok = fields.result(); !ok) return std::unexpected(ok.error());
    return certificate;
}

std::string encode(const Certificate& certificate) {
    nlohmann::json object = start_object(certificate.unknown);
    put_list(object, "names", certificate.names);
    object["chain"] = certificate.chain;
    object["key"] = certificate.key;
    return to_text(object);
}

Result<Credential> decode_credential(std::string_view server, std::string_view json) {
    auto credential = decode_login<Credential>(json);
    if (credential) credential->server = ServerName(server);
    return credential;
}

std::string encode(const Credential& credential) { return encode_login(credential); }

Result<DeliveryCredential> decode_delivery_credential(std::string_view domain,
                                                      std::string_view json) {
    auto credential = decode_login<DeliveryCredential>(json);
    if (credential) credential->domain = DomainName(domain);
    return credential;
}

std::string encode(const DeliveryCredential& credential) { return encode_login(credential); }

Result<Setting> decode_setting(std::string_view name, std::string_view json) {
    auto object = parse_object(json);
    if (!object) return std::unexpected(object.error());
    FieldReader fields(std::move(*object));
    Setting setting;
    setting.name = name;
    fields.require("value", fields.rest().contains("value"));
    setting.value = to_text(fields.take("value"));
    setting.unknown = fields.unknown();
    if (auto ok = fields.result(); !ok) return std::unexpected(ok.error());
    return setting;
}

std::string encode(const Setting& setting) {
    nlohmann::json object = start_object(setting.unknown);
    auto value = parse_value(setting.value);
    object["value"] = value ? std::move(*value) : nlohmann::json(nullptr);
    return to_text(object);
}

}  // namespace muster::cluster
