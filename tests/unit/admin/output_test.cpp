#include <gtest/gtest.h>

#include "admin/alarms.h"
#include "admin/audit_log.h"
#include "admin/field_values.h"
#include "admin/progress.h"
#include "admin/session_report.h"
#include "admin/table_output.h"
#include "net/pki.h"

namespace muster::admin {
namespace {

using nlohmann::json;

TEST(TableOutput, AlignsColumnsAndNumbers) {
    const json rows = json::parse(R"([{"name":"sv1","n":5,"s":{"imap":"up"}},
                                      {"name":"längere","n":1234,"list":["a","b"]}])");
    EXPECT_EQ(format_table(rows, {{"NAME", "name"}, {"N", "n"}, {"IMAP", "s.imap"}, {"L", "list"}}),
              "NAME     N     IMAP  L\n"
              "sv1         5  up    -\n"
              "längere  1234  -     a, b\n");
}

TEST(TableOutput, KeepsNamesFromPlayingWithTheTerminal) {
    EXPECT_EQ(format_value("a\x1b[2Jb"), "a?[2Jb");
    EXPECT_EQ(format_value("-----BEGIN CERTIFICATE-----\n"), "PEM, 28 bytes");
    EXPECT_EQ(format_value(nullptr), "-");
    EXPECT_EQ(format_value(true), "yes");
    EXPECT_EQ(format_value(json::array()), "-");
}

TEST(TableOutput, IndentsNestedObjects) {
    EXPECT_EQ(format_object(json::parse(R"({"a":1,"b":{"c":"d"}})")), "a: 1\nb:\n  c: d\n");
}

TEST(Progress, WritesNumbersForPeople) {
    EXPECT_EQ(with_commas(0), "0");
    EXPECT_EQ(with_commas(999), "999");
    EXPECT_EQ(with_commas(1234567), "1,234,567");
}

json object(std::span<const Field> fields, const std::vector<std::string>& words) {
    const auto made = object_from(fields, words);
    return made ? *made : json(made.error().detail);
}

TEST(FieldValues, TakesEverySpelling) {
    const json wanted = json::parse(
        R"({"host":"192.0.2.1","services":{"imap":{"port":143,"tls":"none"}},"weight":5})");
    EXPECT_EQ(
        object(server_fields(), {"host=192.0.2.1", "imap.port=143", "imap.tls=none", "weight=5"}),
        wanted);
    EXPECT_EQ(object(server_fields(), {"--host", "192.0.2.1", "--imap-port=143", "--imap.tls",
                                       "none", "--weight=5"}),
              wanted);
    EXPECT_EQ(
        object(domain_fields(), {"--servers", "sv1,sv2", "tls_names=mail.a.dom"}),
        json::parse(R"({"servers":["sv1","sv2"],"default_for":{"tls_names":["mail.a.dom"]}})"));
    EXPECT_EQ(object(node_fields(), {"--revoked"}), json::parse(R"({"revoked":true})"));
    EXPECT_EQ(object(account_fields(), {"quota="}), json::parse(R"({"quota":null})"));
}

TEST(FieldValues, RefusesWhatItDoesNotKnow) {
    EXPECT_TRUE(object(server_fields(), {"hots=x"}).is_string());
    EXPECT_TRUE(object(server_fields(), {"ftp.port=21"}).is_string());
    EXPECT_TRUE(object(server_fields(), {"weight=much"}).is_string());
    EXPECT_TRUE(object(server_fields(), {"lonely"}).is_string());
    EXPECT_TRUE(object(node_fields(), {"revoked=perhaps"}).is_string());
}

TEST(AuditLog, HidesSecretsAtAnyDepth) {
    const json shown = redacted(json::parse(
        R"({"password":"p","list":[{"keys":["k"],"name":"n"}],"key":null,"home":"sv1"})"));
    EXPECT_EQ(shown.dump(),
              R"({"home":"sv1","key":null,"list":[{"keys":"…","name":"n"}],"password":"…"})");
}

TEST(Alarms, TellBeforeACertificateEnds) {
    const std::string key = net::make_key();
    const auto now = std::chrono::system_clock::now();
    net::CertificateWish wish;
    wish.common_name = "a";
    wish.lifetime = std::chrono::days(40);
    const NamedCertificate certificate{"mail", *net::self_signed(key, wish)};
    EXPECT_TRUE(certificate_alarms({certificate}, now).empty());
    const auto soon = certificate_alarms({certificate}, now + std::chrono::days(20));
    ASSERT_EQ(soon.size(), 1U);
    EXPECT_EQ(soon[0].text, "ends in 19 days");
    EXPECT_FALSE(soon[0].severe);
    const auto late = certificate_alarms({certificate}, now + std::chrono::days(42));
    ASSERT_EQ(late.size(), 1U);
    EXPECT_TRUE(late[0].severe);
    EXPECT_TRUE(certificate_alarms({certificate}, now - std::chrono::days(2)).at(0).severe);
    EXPECT_TRUE(certificate_alarms({{"broken", "x"}}, now).at(0).severe);
}

TEST(SessionReport, SaysWhatIsLeftAndWhatToDo) {
    EXPECT_TRUE(all_ended(nullptr));
    EXPECT_TRUE(all_ended({{"kicked", 1}, {"unreachable", nlohmann::json::array()}}));
    const auto one = all_ended({{"unreachable", {"fe2"}}, {"home_error", "no answer"}});
    ASSERT_FALSE(one);
    EXPECT_NE(one.error().detail.find("not reached: fe2"), std::string::npos);
    EXPECT_NE(one.error().detail.find("its home: no answer"), std::string::npos);
    const auto many = all_ended(
        {{"unreachable", nlohmann::json::array()}, {"home_errors", {{"ada@a.dom", "no answer"}}}});
    ASSERT_FALSE(many);
    EXPECT_NE(many.error().detail.find("home of ada@a.dom: no answer"), std::string::npos);
}

}  // namespace
}  // namespace muster::admin
