#include "backend/dovecot_config.h"

#include <gtest/gtest.h>

namespace muster::backend {
namespace {

DovecotConfigInput example() {
    DovecotConfigInput input;
    input.config_dir = "/etc/dovecot/muster";
    input.base_dir = "/run/dovecot";
    input.auth_socket = "/run/muster/auth.sock";
    input.mail_socket = "/run/muster/mail.sock";
    input.relay_socket = "/run/dovecot/auth-muster";
    input.imap.listeners = {{"192.0.2.1", 143, false}, {"192.0.2.1", 993, true}};
    input.imap.certificate = "/c.pem";
    input.imap.key = "/k.pem";
    input.lmtp.listeners = {{"192.0.2.1", 24, false}};
    input.trusted_networks = {"198.51.100.1", "198.51.100.2"};
    return input;
}

const std::string& main_file(const std::vector<DovecotFile>& files) { return files.at(0).text; }

bool has(const std::string& text, std::string_view line) {
    return text.find(line) != std::string::npos;
}

TEST(DovecotConfig, ListensOnlyWhereItIsTold) {
    const auto files = dovecot_files(example());
    const std::string& text = main_file(files);
    EXPECT_TRUE(has(text, "protocols = imap lmtp\n"));
    EXPECT_TRUE(has(text, "inet_listener imaps {\n    port = 0\n"));
    EXPECT_TRUE(has(text, "address = 192.0.2.1\n    port = 993\n    ssl = yes\n"));
    EXPECT_FALSE(has(text, "service pop3-login {\n  inet_listener"));
    EXPECT_TRUE(has(text, "login_trusted_networks = 198.51.100.1 198.51.100.2\n"));
    EXPECT_TRUE(has(text, "tcp dport { 143, 993, 24 } ip saddr != { 198.51.100.1, 198.51.100.2 }"));
}

TEST(DovecotConfig, TlsIsEachServicesOwn) {
    const auto files = dovecot_files(example());
    EXPECT_TRUE(has(main_file(files), "protocol imap {\n  ssl_cert = </c.pem\n"));
    EXPECT_TRUE(has(main_file(files), "protocol lmtp {\n  ssl = no\n"));
    auto plain = example();
    plain.imap.certificate.clear();
    EXPECT_TRUE(has(main_file(dovecot_files(plain)), "\nssl = no\n"));
}

TEST(DovecotConfig, MailMadeHereGoesToTheAgent) {
    EXPECT_FALSE(has(main_file(dovecot_files(example())), "submission_host"));
    auto input = example();
    input.mail_out = "127.0.0.1:2525";
    for (const auto version : {DovecotVersion::V23, DovecotVersion::V24}) {
        input.version = version;
        EXPECT_TRUE(has(main_file(dovecot_files(input)), "\nsubmission_host = 127.0.0.1:2525\n"));
    }
}

TEST(DovecotConfig, OauthOnlyWithAProvider) {
    EXPECT_EQ(dovecot_files(example()).size(), 3U);
    EXPECT_FALSE(has(main_file(dovecot_files(example())), "oauthbearer"));
    auto input = example();
    input.oauth2.introspection_url = "https://id.example/introspect";
    const auto files = dovecot_files(input);
    ASSERT_EQ(files.size(), 4U);
    EXPECT_TRUE(
        has(main_file(files), "auth_mechanisms = plain scram-sha-1 scram-sha-256 oauthbear"));
    EXPECT_TRUE(files[3].secret);
}

TEST(DovecotConfig, SocketsInDovecotsOwnFolderAreNamedShort) {
    EXPECT_TRUE(has(main_file(dovecot_files(example())), "unix_listener auth-muster {"));
}

TEST(DovecotConfig, TheNextGenerationIsMarkedUnproven) {
    auto input = example();
    input.version = DovecotVersion::V24;
    input.authority_url = "http://127.0.0.1:7701";
    input.authority_secret = "s3cret";
    const auto files = dovecot_files(input);
    ASSERT_EQ(files.size(), 3U);
    EXPECT_TRUE(has(main_file(files), "# UNPROVEN"));
    EXPECT_TRUE(has(main_file(files), "dovecot_config_version = 2.4.0\n"));
    EXPECT_TRUE(has(files[1].text, "http://127.0.0.1:7701") && files[1].secret);
}

TEST(DovecotConfig, ExtraSettingsComeLast) {
    auto input = example();
    input.extra = "mail_debug = yes\n";
    EXPECT_TRUE(main_file(dovecot_files(input)).ends_with("mail_debug = yes\n"));
}

}  // namespace
}  // namespace muster::backend
