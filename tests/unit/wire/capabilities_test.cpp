#include "wire/capabilities.h"

#include <gtest/gtest.h>

namespace muster::wire {
namespace {

using Lines = std::vector<std::string>;

Capabilities from(const Lines& lines) { return Capabilities::from_lines(lines); }

TEST(Capabilities, are_a_set_in_a_fixed_order) {
    auto all = from({"UIDPLUS", "SASL PLAIN LOGIN", "ENABLE", "uidplus", "sasl PLAIN"});
    EXPECT_EQ(all.lines(), (Lines{"ENABLE", "SASL PLAIN", "UIDPLUS"}));
    EXPECT_TRUE(all.has("enable"));
    EXPECT_FALSE(all.has("ENABL"));
    EXPECT_TRUE(all.has_word("SASL", "plain"));
    EXPECT_FALSE(all.has_word("SASL", "LOGIN"));
    EXPECT_EQ(all.value("UIDPLUS"), "");
    all.remove("Enable");
    EXPECT_EQ(all.entries().size(), 2U);
}

TEST(Capabilities, drop_what_would_break_a_line) {
    EXPECT_TRUE(from({"", " X", "A\r\nB", "A B\r\nC", "\xc3\xa4"}).empty());
}

TEST(Capabilities, intersect_names_and_words) {
    auto common = intersect(from({"TOP", "SASL PLAIN LOGIN SCRAM-SHA-1", "EXPIRE 7", "X", "PIPE"}),
                            from({"sasl scram-sha-1 PLAIN", "EXPIRE 30", "top", "PIPE 3", "Y"}));
    EXPECT_EQ(common.lines(), (Lines{"SASL PLAIN SCRAM-SHA-1", "TOP"}));
    EXPECT_TRUE(intersect(common, {}).empty());
    EXPECT_EQ(intersect(common, common), common);
}

TEST(Capabilities, routable_mechanisms_only) {
    struct Row {
        std::string_view words;
        Offer offer;
        std::string_view shown;
    };
    constexpr auto kAll =
        "scram-sha-1-plus GSSAPI CRAM-MD5 XOAUTH2 OAUTHBEARER PLAIN SCRAM-SHA-256 EXTERNAL "
        "SCRAM-SHA-1 SCRAM-SHA-256-PLUS NTLM ANONYMOUS";
    for (const auto& [words, offer, shown] : {
             Row{kAll, {.tls = true}, "PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-1 OAUTHBEARER XOAUTH2"},
             Row{kAll, {.tls = true, .scram = false}, "PLAIN LOGIN OAUTHBEARER XOAUTH2"},
             Row{kAll, {}, "SCRAM-SHA-256 SCRAM-SHA-1"},
             Row{kAll, {.cleartext = true, .scram = false}, "PLAIN LOGIN OAUTHBEARER XOAUTH2"},
             Row{"LOGIN", {.tls = true}, ""},
             Row{"plain", {.tls = true}, "PLAIN LOGIN"},
             Row{"", {.tls = true}, ""},
         })
        EXPECT_EQ(routable_mechanisms(words, offer), shown) << words;
}

}  // namespace
}  // namespace muster::wire
