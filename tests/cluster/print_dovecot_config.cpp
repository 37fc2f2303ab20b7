// Prints the configuration for the laboratory: input as JSON on standard input, files as JSON on
// standard output. Lets tests run Dovecot with exactly what the program prints.

#include <nlohmann/json.hpp>

#include <iostream>

#include "backend/dovecot_config.h"

namespace {

using nlohmann::json;
using namespace muster::backend;

DovecotService service_from(const json& value) {
    DovecotService service;
    service.certificate = value.value("certificate", "");
    service.key = value.value("key", "");
    for (const auto& one : value.value("listeners", json::array()))
        service.listeners.push_back({one.value("address", "127.0.0.1"),
                                     one.value("port", std::uint16_t{0}), one.value("tls", false)});
    return service;
}

void read_users(const json& value, DovecotUsers& users) {
    users.self = value.value("self", false);
    users.mail = value.value("mail", users.mail);
    users.mail_group = value.value("mail_group", users.mail_group);
}

DovecotConfigInput input_from(const json& value) {
    DovecotConfigInput input;
    if (value.value("version", "2.3") == "2.4") input.version = DovecotVersion::V24;
    input.config_dir = value.value("config_dir", "");
    input.base_dir = value.value("base_dir", "");
    input.state_dir = value.value("state_dir", "");
    input.log_path = value.value("log_path", "");
    input.auth_socket = value.value("auth_socket", "");
    input.mail_socket = value.value("mail_socket", "");
    input.relay_socket = value.value("relay_socket", "");
    input.authority_url = value.value("authority_url", "");
    input.hostname = value.value("hostname", "");
    input.imap = service_from(value.value("imap", json::object()));
    input.pop3 = service_from(value.value("pop3", json::object()));
    input.sieve = service_from(value.value("sieve", json::object()));
    input.lmtp = service_from(value.value("lmtp", json::object()));
    input.submission = service_from(value.value("submission", json::object()));
    input.trusted_networks = value.value("trusted_networks", std::vector<std::string>());
    read_users(value.value("users", json::object()), input.users);
    input.mail_location = value.value("mail_location", input.mail_location);
    input.oauth2.introspection_url = value.value("introspection_url", "");
    input.max_sessions = value.value("max_sessions", 100U);
    input.last_login = value.value("last_login", false);
    input.extra = value.value("extra", "");
    return input;
}

}  // namespace

int main() {
    json files = json::array();
    for (const auto& file : dovecot_files(input_from(json::parse(std::cin))))
        files.push_back({{"name", file.name}, {"text", file.text}, {"secret", file.secret}});
    std::cout << files.dump() << '\n';
}
