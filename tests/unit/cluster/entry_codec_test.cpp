#include "cluster/entry_codec.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "cluster/entry_keys.h"

namespace muster::cluster {
namespace {

using nlohmann::json;

/// Decoding and encoding again says the same as before.
template <auto Decode>
void expect_round_trip(std::string_view name, const std::string& text) {
    const auto object = Decode(name, text);
    ASSERT_TRUE(object) << text << ": " << object.error().detail;
    EXPECT_EQ(json::parse(encode(*object)), json::parse(text));
    const auto again = Decode(name, encode(*object));
    ASSERT_TRUE(again);
    EXPECT_EQ(*again, *object);
}

TEST(EntryCodec, UnknownFieldsSurviveAtEveryLevel) {
    expect_round_trip<decode_domain>(
        "d.org",
        R"({"kind":"shared","servers":["sv1","sv2"],"unknown_server":"sv2","case":"keep",
            "default_for":{"addresses":["192.0.2.1"],"tls_names":["mail.d.org"],"new":1},
            "later":{"a":[1,2]}})");
    expect_round_trip<decode_server>(
        "sv1",
        R"({"kind":"dovecot","node":"be1","host":"192.0.2.7","source":["192.0.2.1","2001:db8::1"],
            "admin":"drain","introduce":"xclient","login":"token","tls_name":"sv1.d.org",
            "ca":"-----BEGIN CERTIFICATE-----\n","weight":7,"later":true,
            "services":{"imap":{"port":143,"tls":"none","cache":9,"log":"debug",
                                "capabilities":["IMAP4rev1","AUTH=PLAIN"],"later":"x"},
                        "http":{"port":80}}})");
    expect_round_trip<decode_account>("kate@d.org",
                                      R"({"id":"abc","home":"sv1","state":"disabled",
                                          "quota":10,"epoch":2,"later":["x"]})");
    expect_round_trip<decode_alias>("k@d.org", R"({"to":["kate@d.org"],"later":1})");
    expect_round_trip<decode_node>("fe1", R"({"scope":"backend","master":true,
        "cluster":"[::1]:7700","pin":"ab","smtp":["192.0.2.1:25","fe1.d.org:25"],"admin":"drain","revoked":true,"later":1})");
    expect_round_trip<decode_certificate>(
        "c", R"({"names":["*.d.org","d.org"],"chain":"x","key":"y","later":1})");
    expect_round_trip<decode_credential>("sv9", R"({"user":"m","password":"p","later":1})");
    expect_round_trip<decode_setting>("grace", R"({"value":{"a":[1,null]},"later":1})");
    expect_round_trip<decode_password_keys>("abc", R"({"keys":["{BLF-CRYPT}$2y$"],"later":1})");
    expect_round_trip<decode_administrator>("root",
                                            R"({"keys":["{X}y"],"rights":"read","later":1})");
}

TEST(EntryCodec, ACacheThatIsNotSetIsLeftToTheFrontEnds) {
    const auto server = [](const char* cache) {
        return *decode_server(
            "sv1", std::string(R"({"host":"h","services":{"imap":{"port":143)") + cache + "}}}");
    };
    const auto cache_of = [&server](const char* cache) {
        return server(cache).services[static_cast<std::size_t>(Service::Imap)]->cache;
    };
    EXPECT_EQ(cache_of(""), std::nullopt);
    EXPECT_EQ(cache_of(R"(,"cache":0)"), 0U);
    EXPECT_EQ(cache_of(R"(,"cache":9)"), 9U);
    EXPECT_FALSE(
        decode_server("sv1", R"({"host":"h","services":{"imap":{"port":1,"cache":10001}}})"));
}

struct BadEntry {
    const char* key;
    const char* json;
    const char* message;  ///< part of what the operator reads
};

TEST(EntryCodec, HowADomainsMailGoesOut) {
    const std::string ours = R"({"helo":"out.d.org","kind":"shared","source":["192.0.2.1"]})";
    const auto domain = decode_domain("d.org", ours);
    ASSERT_TRUE(domain);
    EXPECT_EQ(domain->helo, "out.d.org");
    EXPECT_EQ(encode(*domain), ours);
    const std::string remote = R"({"kind":"remote","route":["a.org","b.org:26"],"tls":"verified"})";
    const auto other = decode_domain("r.org", remote);
    ASSERT_TRUE(other);
    EXPECT_EQ(other->tls, OutgoingTls::Verified);
    EXPECT_EQ(encode(*other), remote);
    for (const char* wrong :
         {R"({"kind":"shared","tls":"verified"})", R"({"kind":"remote","tls":"perhaps"})",
          R"({"kind":"remote","helo":"a.org"})", R"({"kind":"shared","source":["a.org"]})",
          R"({"kind":"remote","source":["192.0.2.1"]})", R"({"kind":"remote","route":["a:0"]})"}) {
        EXPECT_FALSE(decode_domain("d.org", wrong)) << wrong;
    }
}

TEST(EntryCodec, WhatHoldsForMailToARemoteDomain) {
    const std::string remote =
        R"({"filters":["b","a"],"kind":"remote","limits":{"connections":2,"messages":60,"new":1},)"
        R"("message_bytes":5000,"retry":{"delay_report_after":0,"expire_after":600,"first":5,)"
        R"("longest":60,"newer":{"x":[1]}},"unheard_of":true})";
    const auto domain = decode_domain("r.org", remote);
    ASSERT_TRUE(domain) << domain.error().detail;
    EXPECT_EQ(domain->retry.first, 5U);
    EXPECT_EQ(domain->retry.delay_report_after, 0U);
    EXPECT_EQ(domain->limits.connections, 2U);
    EXPECT_EQ(domain->limits.messages, 60U);
    EXPECT_EQ(domain->message_bytes, 5000U);
    EXPECT_EQ(domain->filters, (std::vector<std::string>{"b", "a"}));
    EXPECT_EQ(encode(*domain), remote);
    EXPECT_EQ(decode_domain("r.org", R"({"kind":"remote"})")->retry, RetryOptions{});
    for (const char* wrong :
         {R"({"kind":"shared","retry":{"first":5}})", R"({"kind":"shared","filters":["a"]})",
          R"({"kind":"shared","message_bytes":5})", R"({"kind":"shared","limits":{"messages":5}})",
          R"({"kind":"remote","retry":{"first":0}})", R"({"kind":"remote","retry":[5]})",
          R"({"kind":"remote","retry":{"first":9,"longest":8}})",
          R"({"kind":"remote","retry":{"longest":604801}})",
          R"({"kind":"remote","limits":{"messages":-1}})",
          R"({"kind":"remote","limits":{"connections":1001}})",
          R"({"kind":"remote","filters":["a/b"]})"}) {
        EXPECT_FALSE(decode_domain("d.org", wrong)) << wrong;
    }
}

TEST(EntryCodec, ACredentialForDeliveryAndTheRightToIt) {
    const std::string text = R"({"password":"{SEALED}x","unheard_of":1,"user":"u"})";
    const auto credential = decode_delivery_credential("r.org", text);
    ASSERT_TRUE(credential);
    EXPECT_EQ(encode(*credential), text);
    EXPECT_TRUE(check_entry("delivery/r.org", text));
    EXPECT_FALSE(check_entry("delivery/R.org", text));
    EXPECT_FALSE(check_entry("delivery/r.org", R"({"password":"x"})"));
    const std::string mirror = R"({"credentials":true,"pin":"p","scope":"mirror"})";
    EXPECT_EQ(encode(*decode_node("n", mirror)), mirror);
    EXPECT_FALSE(decode_node("n", R"({"scope":"relay","credentials":true})"));
    EXPECT_TRUE(decode_node("n", R"({"scope":"relay","credentials":false})"));
}

TEST(EntryCodec, SaysWhatIsWrong) {
    const BadEntry rows[] = {
        {"domain/d.org", "[]", "not a JSON object"},
        {"domain/d.org", "{", "not valid JSON"},
        {"domain/D.org", "{}", "spelt d.org"},
        {"domain/d.org", R"({"kind":"both"})", "kind is \"both\"; it can be shared, local"},
        {"domain/d.org", R"({"kind":"local"})", "node is required"},
        {"domain/d.org", R"({"node":"n1"})", "node is required for local domains"},
        {"domain/d.org", R"({"servers":"sv1"})", "servers must be a list"},
        {"domain/d.org", R"({"servers":["SV1"]})", "servers a name holds"},
        {"domain/d.org", R"({"default_for":{"addresses":["x"]}})", "default_for.addresses"},
        {"server/sv1", "{}", "host is missing"},
        {"server/sv1", R"({"host":"a b"})", "host must be"},
        {"server/sv1", R"({"host":"h","services":{"imap":{}}})", "services.imap.port"},
        {"server/sv1", R"({"host":"h","services":{"imap":{"port":70000}}})", "services.imap.port"},
        {"server/sv1", R"({"host":"h","services":{"imap":{"port":1,"tls":"ssl"}}})",
         "none, starttls, implicit"},
        {"server/sv1", R"({"host":"h","kind":"foreign","node":"n"})", "node is for servers"},
        {"server/sv1", R"({"host":"h","kind":"foreign","login":"token"})", "login token"},
        {"server/sv1", R"({"host":"h","weight":-1})", "weight must be a whole number"},
        {"server/sv1", R"({"host":"h","ca":"/etc/ca.pem"})", "ca must hold certificates"},
        {"account/kate", R"({"id":"a"})", "needs an @"},
        {"account/kate@d.org", R"({"home":"sv1"})", "id an account id has"},
        {"account/kate@d.org", R"({"id":"../x"})", "id an account id has"},
        {"account/kate@d.org", R"({"id":"a","state":"off"})", "active or disabled"},
        {"account/kate@d.org", R"({"id":"a","quota":1.5})", "quota must be"},
        {"alias/k@d.org", R"({"to":[]})", "to is missing"},
        {"alias/k@d.org", R"({"to":["kate"]})", "needs an @"},
        {"node/n", R"({"cluster":"host"})", "HOST:PORT"},
        {"node/n", R"({"master":"yes"})", "true or false"},
        {"node/n", R"({"scope":"relay","eligible":true})", "has the scope backend"},
        {"node/n", R"({"scope":"frontend","master":true})", "has the scope backend"},
        {"key/a", R"({"keys":["secret"]})", "{SCHEME}"},
        {"key/a", R"({"keys":["{PLAIN}two words"]})", "{SCHEME}"},
        {"admin/root", R"({"rights":"all"})", "full or read"},
        {"shared-acl/x", R"({"value":"1"})", "TO/FROM"},
        {"slot/1", "{}", "no kind of entry"},
    };
    for (const BadEntry& row : rows) {
        const auto checked = check_entry(row.key, row.json);
        ASSERT_FALSE(checked) << row.key << ' ' << row.json;
        EXPECT_NE(checked.error().detail.find(row.message), std::string::npos)
            << row.json << " gave: " << checked.error().detail;
    }
}

TEST(EntryCodec, BoundsDepthAndSize) {
    const std::string deep = R"({"x":)" + std::string(1'000, '[') + std::string(1'000, ']') + "}";
    EXPECT_FALSE(check_entry("domain/d.org", deep));
    EXPECT_FALSE(check_entry("domain/d.org", R"({"x":")" + std::string(kMaxEntry, 'x') + "\"}"));
    // Brackets inside of a text are no depth.
    EXPECT_TRUE(check_entry("domain/d.org", R"({"x":"[[[[[[[[[[[[[[[[[[[[[\"[[[["})"));
}

TEST(AccountRow, ReadsWhatALookUpNeeds) {
    const auto row = decode_account_row(
        R"({"id":"abc", "later":{"a":"}\"","b":[1,{"c":null}]},"home":"sv1","quota":10,)"
        R"("epoch":3,"state":"disabled","n":-1.5e3,"t":true})");
    ASSERT_TRUE(row);
    EXPECT_EQ(row->id, "abc");
    EXPECT_EQ(row->home, "sv1");
    EXPECT_EQ(row->quota, 10u);
    EXPECT_EQ(row->epoch, 3u);
    EXPECT_TRUE(row->disabled);
    EXPECT_FALSE(decode_account_row(R"({"id":"a","state":"active"})")->disabled);
}

TEST(AccountRow, DamageIsCorrupt) {
    for (const char* text :
         {"", "{", "{}", "[]", R"({"id":"a")", R"({"id":"a"}x)", R"({"id":a})", R"({"id":"a",})",
          R"({"id":"a\u0062"})", R"({"id":"a","quota":"x"})", R"({"id":"a","quota":-1})",
          R"({"id":"a","x":})", R"({"id":"a","x":[})", R"({"home":"sv1"})", R"({"id":"a\)"}) {
        const auto row = decode_account_row(text);
        ASSERT_FALSE(row) << text;
        EXPECT_EQ(row.error().kind, ErrorKind::Corrupt);
    }
}

TEST(AccountRow, AgreesWithTheFullCodec) {
    Account account;
    account.id = AccountId("abcdefghijklmnop");
    account.home = ServerName("sv1");
    account.quota = 1 << 20;
    account.unknown = R"({"later":"x"})";
    const std::string text = encode(account);
    const auto row = decode_account_row(text);
    ASSERT_TRUE(row) << text;
    EXPECT_EQ(row->id, account.id.view());
    EXPECT_EQ(row->home, account.home.view());
    EXPECT_EQ(row->quota, account.quota);
    EXPECT_EQ(*decode_account("", text), account);
}

TEST(EntryKeys, SplitWhatTheyJoin) {
    EXPECT_EQ(account_key(AccountAddress("kate@d.org")), "account/kate@d.org");
    EXPECT_EQ(shared_acl_key("a@d", "b@d"), "shared-acl/a@d/b@d");
    EXPECT_EQ(split_key("key/abc").prefix, kPasswordPrefix);
    EXPECT_EQ(split_key("key/abc").name, "abc");
    EXPECT_TRUE(split_key("slot/1").prefix.empty());
}

}  // namespace
}  // namespace muster::cluster
