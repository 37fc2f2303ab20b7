#include "wire/smtp.h"

#include <gtest/gtest.h>

#include "wire/utf8.h"

namespace muster::wire::smtp {
namespace {

using namespace std::literals;

std::string of(std::size_t size, char c) { return std::string(size, c); }

TEST(Utf8, characters) {
    for (auto text : {"a"sv, "ä"sv, "€"sv, "😀"sv, "\xf4\x8f\xbf\xbf"sv, "\0"sv})
        EXPECT_EQ(utf8_character(text), text.size()) << text;
    for (auto text : {"\x80"sv, "\xc3"sv, "\xc0\xaf"sv, "\xe0\x80\xaf"sv, "\xed\xa0\x80"sv,
                      "\xf0\x80\x80\xaf"sv, "\xf4\x90\x80\x80"sv, "\xff"sv, "\xc3("sv})
        EXPECT_EQ(utf8_character(text), 0) << text;
    EXPECT_TRUE(is_utf8("") && is_utf8("aä€😀"));
    EXPECT_FALSE(is_utf8("aä\xe2\x82"));
}

TEST(SmtpCommand, parts) {
    struct Row {
        std::string_view line;
        std::string_view verb;
        std::string_view rest;
    };
    for (auto [line, verb, rest] : {
             Row{"QUIT", "QUIT", ""},
             Row{"quit  ", "quit", ""},
             Row{"EHLO  a.example ", "EHLO", "a.example"},
             Row{"MAIL FROM:<\xc3\xa4@b>", "MAIL", "FROM:<\xc3\xa4@b>"},
             Row{"MAIL FROM:<a@b> SIZE=1", "MAIL", "FROM:<a@b> SIZE=1"},
         }) {
        auto command = parse_command(line);
        ASSERT_TRUE(command) << line;
        EXPECT_EQ(command->verb, verb);
        EXPECT_EQ(command->rest, rest);
    }
    for (const auto& line : {""s, " QUIT"s, "QU\tIT"s, "NOOP a\0b"s, "NO\rOP"s, "NOOP a\nb"s,
                             "\xffQUIT"s, of(kMaxVerb + 1, 'A')})
        EXPECT_EQ(parse_command(line).error().code, 500) << line;
    EXPECT_TRUE(parse_command("AUTH " + of(kMaxAuthLine - 5, 'a')));
    EXPECT_FALSE(parse_command("AUTH " + of(kMaxAuthLine - 4, 'a')));
}

TEST(SmtpPath, values) {
    struct Row {
        std::string_view text;
        std::string_view local;
        std::string_view domain;
        std::string_view written;
    };
    for (auto [text, local, domain, written] : {
             Row{"<>", "", "", ""},
             Row{"<kate@domain1.dom>", "kate", "domain1.dom", "kate@domain1.dom"},
             Row{"<Kate.B+x@Domain1.DOM>", "Kate.B+x", "Domain1.DOM", "Kate.B+x@Domain1.DOM"},
             Row{"<@a.example,@b.example:x@y>", "x", "y", "x@y"},
             Row{"<@[192.0.2.1]:x@y>", "x", "y", "x@y"},
             Row{R"(<"kate"@y>)", "kate", "y", "kate@y"},
             Row{R"(<"a b"@y>)", "a b", "y", R"("a b"@y)"},
             Row{R"(<"a\"\\\b"@y>)", R"(a"\b)", "y", R"("a\"\\b"@y)"},
             Row{R"(<"a@b>c"@y>)", "a@b>c", "y", R"("a@b>c"@y)"},
             Row{R"(<""@y>)", "", "y", R"(""@y)"},
             Row{"<a..b@y>", "a..b", "y", R"("a..b"@y)"},
             Row{"<.a.@y>", ".a.", "y", R"(".a."@y)"},
             Row{"<x@[192.0.2.1]>", "x", "[192.0.2.1]", "x@[192.0.2.1]"},
             Row{"<x@[IPv6:2001:db8::1]>", "x", "[IPv6:2001:db8::1]", "x@[IPv6:2001:db8::1]"},
             Row{"<x@my_pc.a-b.c>", "x", "my_pc.a-b.c", "x@my_pc.a-b.c"},
             Row{"<!#$%&'*+-/=?^_`{|}~@y>", "!#$%&'*+-/=?^_`{|}~", "y", "!#$%&'*+-/=?^_`{|}~@y"},
             Row{"<pelé@exämple.com>", "pelé", "exämple.com", "pelé@exämple.com"},
             Row{"<poStMaster>", "poStMaster", "", "poStMaster"},
         }) {
        auto rest = text;
        auto path = take_path(rest);
        ASSERT_TRUE(path) << text;
        EXPECT_TRUE(rest.empty());
        EXPECT_EQ(path->local, local);
        EXPECT_EQ(path->domain, domain);
        EXPECT_EQ(path->text(), written);
        EXPECT_EQ(path->utf8, text.contains("\xc3"));
        auto again = parse_address(written);
        ASSERT_TRUE(again) << written;
        EXPECT_EQ(*again, *path);
    }
}

TEST(SmtpPath, refused) {
    for (auto text : {"a@b"sv,
                      "<a@b"sv,
                      "<a>"sv,
                      "<@b>"sv,
                      "<a@>"sv,
                      "<a@b@c>"sv,
                      "<a b@c>"sv,
                      "< a@b>"sv,
                      "<a@b >"sv,
                      "<a@b c>"sv,
                      "<a@.b>"sv,
                      "<a@b..c>"sv,
                      "<a@b.>"sv,
                      "<a@-b>"sv,
                      "<a@b->"sv,
                      "<\"a@b>"sv,
                      "<\"a\"b@c>"sv,
                      "<\"a\\"sv,
                      "<\"a\x01\"@c>"sv,
                      "<\"\\\x7f\"@c>"sv,
                      "<a\"b@c>"sv,
                      "<a(c)@b>"sv,
                      "<a;b@c>"sv,
                      "<@a:>"sv,
                      "<@a,b:x@y>"sv,
                      "<@a x@y>"sv,
                      "<@a:postmaster>"sv,
                      "<\"postmaster\">"sv,
                      "<a@[1.2.3]>"sv,
                      "<a@[1.2.3.4>"sv,
                      "<a@1.2.3.4]>"sv,
                      "<a@[::1]>"sv,
                      "<a@[IPv6:1.2.3.4]>"sv,
                      "<a@[x-tag:y]>"sv,
                      "<a@[]>"sv,
                      "<a@b\xff>"sv,
                      "<\xc3@b>"sv,
                      "<a\0@b>"sv,
                      "<a@b\r>"sv,
                      "<<a@b>>"sv,
                      ""sv,
                      "<"sv}) {
        auto rest = text;
        EXPECT_FALSE(take_path(rest)) << text;
        EXPECT_EQ(rest, text);
    }
    for (auto text : {"<a@b>"sv, "a@b>"sv, "a@b> "sv, "a"sv, "<>"sv, "a@b\nc"sv, ">"sv})
        EXPECT_EQ(parse_address(text).error().enhanced, "5.1.3") << text;
}

TEST(SmtpPath, bounds) {
    auto path = [](const std::string& local, const std::string& domain) {
        auto text = "<" + local + "@" + domain + ">";
        std::string_view rest = text;
        return take_path(rest).has_value();
    };
    EXPECT_TRUE(path(of(64, 'a'), "b"));
    EXPECT_FALSE(path(of(65, 'a'), "b"));
    EXPECT_TRUE(path('"' + of(62, ' ') + '"', "b"));
    EXPECT_FALSE(path('"' + of(63, ' ') + '"', "b"));
    EXPECT_TRUE(path('"' + of(62, '"').replace(0, 62, R"(\")" + of(60, 'a')) + '"', "b"));
    EXPECT_FALSE(path(of(64, '.'), "b")) << "66 octets when quoted";
    EXPECT_TRUE(path(of(62, '.'), "b"));
    EXPECT_TRUE(path("a", of(63, 'b')));
    EXPECT_FALSE(path("a", of(64, 'b')));
    auto domain = of(63, 'b') + '.' + of(63, 'c') + '.' + of(63, 'd') + '.';
    EXPECT_TRUE(path("a", domain + of(60, 'e')));  // 256 octets with the brackets
    EXPECT_FALSE(path("a", domain + of(61, 'e')));
    EXPECT_FALSE(path("aa", domain + of(60, 'e')));
}

TEST(SmtpMail, parameters) {
    auto mail =
        parse_mail("FROM:<a@b> SIZE=1000  BODY=8bitmime SMTPUTF8 RET=HDRS ENVID=QQ+2B314 AUTH=<>");
    ASSERT_TRUE(mail);
    EXPECT_EQ(*mail, (Mail{.path = {.local = "a", .domain = "b"},
                           .size = 1000,
                           .body = Body::EightBitMime,
                           .smtputf8 = true,
                           .ret = Return::Headers,
                           .envid = "QQ+2B314",
                           .auth = "<>"}));
    EXPECT_EQ(parse_mail("from: <> ret=full body=7BIT"),
              (Mail{.body = Body::SevenBit, .ret = Return::Full}));
    EXPECT_EQ(parse_mail("FROM:<>")->path.is_null(), true);
    EXPECT_EQ(parse_mail("FROM:<> SIZE=99999999999999999999")->size, UINT64_MAX);
    EXPECT_EQ(parse_mail("FROM:<> BODY=BINARYMIME", {.binary = true})->body, Body::BinaryMime);
    EXPECT_TRUE(parse_mail("FROM:<> AUTH=e+3Dmc2@example.com"));
    EXPECT_TRUE(parse_mail("FROM:<ä@b> SMTPUTF8"));
    EXPECT_TRUE(parse_mail("FROM:<> ENVID=" + of(kMaxEnvid, 'a')));
}

TEST(SmtpMail, refused) {
    struct Row {
        std::string text;
        int code;
        std::string_view enhanced;
    };
    for (const auto& [text, code, enhanced] : std::vector<Row>{
             {"", 501, "5.5.4"},
             {"FROM", 501, "5.5.4"},
             {"FROM:", 501, "5.5.4"},
             {"TO:<a@b>", 501, "5.5.4"},
             {"FROM:a@b", 501, "5.5.4"},
             {"FROM :<a@b>", 501, "5.5.4"},
             {"FROM:<a@b>SIZE=1", 501, "5.5.4"},
             {"FROM:<a@b", 501, "5.1.7"},
             {"FROM:<a>", 501, "5.1.7"},
             {"FROM:<postmaster>", 501, "5.1.7"},
             {"FROM:<" + of(65, 'a') + "@b>", 501, "5.1.7"},
             {"FROM:<ä@b>", 553, "5.6.7"},
             {"FROM:<a@b> X", 555, "5.5.4"},
             {"FROM:<a@b> NOTIFY=NEVER", 555, "5.5.4"},
             {"FROM:<a@b> =1", 555, "5.5.4"},
             {"FROM:<a@b> BODY=BINARYMIME", 555, "5.5.4"},
             {"FROM:<a@b> BODY=9BIT", 501, "5.5.4"},
             {"FROM:<a@b> BODY", 501, "5.5.4"},
             {"FROM:<a@b> SIZE", 501, "5.5.4"},
             {"FROM:<a@b> SIZE=", 501, "5.5.4"},
             {"FROM:<a@b> SIZE=-1", 501, "5.5.4"},
             {"FROM:<a@b> SIZE=1 size=1", 501, "5.5.4"},
             {"FROM:<a@b> SIZE=999999999999999999999", 501, "5.5.4"},
             {"FROM:<a@b> SMTPUTF8=1", 501, "5.5.4"},
             {"FROM:<a@b> RET=ALL", 501, "5.5.4"},
             {"FROM:<a@b> ENVID=", 501, "5.5.4"},
             {"FROM:<a@b> ENVID=a+0D+0Ab", 501, "5.5.4"},
             {"FROM:<a@b> ENVID=a=b", 501, "5.5.4"},
             {"FROM:<a@b> ENVID=" + of(kMaxEnvid + 1, 'a'), 501, "5.5.4"},
             {"FROM:<a@b> AUTH=a+0", 501, "5.5.4"},
         }) {
        auto mail = parse_mail(text);
        ASSERT_FALSE(mail) << text;
        EXPECT_EQ(mail.error().code, code) << text;
        EXPECT_EQ(mail.error().enhanced, enhanced) << text;
    }
    Extensions none{
        .size = false, .eight_bit = false, .smtputf8 = false, .dsn = false, .auth = false};
    for (auto word : {"SIZE=1", "BODY=7BIT", "SMTPUTF8", "RET=FULL", "ENVID=a", "AUTH=<>"})
        EXPECT_EQ(parse_mail("FROM:<a@b> "s + word, none).error().code, 555) << word;
}

TEST(SmtpRcpt, parameters) {
    auto rcpt = parse_rcpt("TO:<a@b> NOTIFY=success,DELAY ORCPT=rfc822;kate+40domain1.dom");
    ASSERT_TRUE(rcpt);
    EXPECT_EQ(*rcpt, (Recipient{.path = {.local = "a", .domain = "b"},
                                .notify = Notify{.success = true, .delay = true},
                                .orcpt = "rfc822;kate+40domain1.dom"}));
    EXPECT_EQ(rcpt->notify->text(), "SUCCESS,DELAY");
    EXPECT_TRUE(parse_rcpt("TO:<a@b> NOTIFY=NEVER")->notify->never());
    EXPECT_EQ(parse_rcpt("to: <Postmaster>")->path.local, "Postmaster");
    EXPECT_EQ(parse_rcpt("TO:<a@b> ORCPT=utf-8;pel\\x{E9}@b")->orcpt, "utf-8;pel\\x{E9}@b");
    EXPECT_EQ(parse_rcpt("TO:<ä@b> ORCPT=utf-8;ä@b")->orcpt, "utf-8;ä@b");
    EXPECT_TRUE(parse_rcpt("TO:<a@b> ORCPT=rfc822;" + of(kMaxOrcpt - 7, 'a')));
    struct Row {
        std::string text;
        int code;
        std::string_view enhanced;
    };
    for (const auto& [text, code, enhanced] : std::vector<Row>{
             {"FROM:<a@b>", 501, "5.5.4"},
             {"TO:a@b", 501, "5.5.4"},
             {"TO:<>", 501, "5.1.3"},
             {"TO:<a>", 501, "5.1.3"},
             {"TO:<a@b> SIZE=1", 555, "5.5.4"},
             {"TO:<a@b> NOTIFY", 501, "5.5.4"},
             {"TO:<a@b> NOTIFY=", 501, "5.5.4"},
             {"TO:<a@b> NOTIFY=NEVER,DELAY", 501, "5.5.4"},
             {"TO:<a@b> NOTIFY=DELAY,DELAY", 501, "5.5.4"},
             {"TO:<a@b> NOTIFY=DELAY,", 501, "5.5.4"},
             {"TO:<a@b> NOTIFY=,DELAY", 501, "5.5.4"},
             {"TO:<a@b> ORCPT=a@b", 501, "5.5.4"},
             {"TO:<a@b> ORCPT=;a@b", 501, "5.5.4"},
             {"TO:<a@b> ORCPT=rfc822;", 501, "5.5.4"},
             {"TO:<a@b> ORCPT=rfc822;a+0A", 501, "5.5.4"},
             {"TO:<a@b> ORCPT=rfc822;ä@b", 501, "5.5.4"},
             {"TO:<a@b> ORCPT=utf-8;\xc3@b", 501, "5.5.4"},
             {"TO:<a@b> ORCPT=rfc822;" + of(kMaxOrcpt - 6, 'a'), 501, "5.5.4"},
         }) {
        auto refused = parse_rcpt(text);
        ASSERT_FALSE(refused) << text;
        EXPECT_EQ(refused.error().code, code) << text;
        EXPECT_EQ(refused.error().enhanced, enhanced) << text;
    }
    EXPECT_EQ(parse_rcpt("TO:<ä@b>", {.smtputf8 = false}).error().code, 553);
    EXPECT_EQ(parse_rcpt("TO:<a@b> ORCPT=utf-8;ä@b", {.smtputf8 = false}).error().code, 501);
}

TEST(SmtpBdat, sizes) {
    EXPECT_EQ(parse_bdat("1000"), (Chunk{.size = 1000}));
    EXPECT_EQ(parse_bdat("0 last"), (Chunk{.size = 0, .last = true}));
    EXPECT_EQ(parse_bdat("18446744073709551615")->size, UINT64_MAX);
    for (auto rest : {"", "LAST", "-1", "1 2", "1 LAST x", "0x10", "18446744073709551616", "1LAST"})
        EXPECT_EQ(parse_bdat(rest).error().code, 501) << rest;
}

TEST(SmtpHelo, names) {
    for (auto text : {"a.example", "localhost", "[192.0.2.1]", "[IPv6:::1]", "WIN_PC-1"}) {
        auto name = parse_helo_name(text);
        EXPECT_TRUE(name.valid) << text;
        EXPECT_EQ(name.text, text);
    }
    struct Row {
        std::string_view rest;
        std::string_view text;
    };
    for (auto [rest, text] : {
             Row{"", ""},
             Row{"a b", "a?b"},
             Row{"a) by evil (", "a??by?evil??"},
             Row{"a\r\nX: y", "a??X:?y"},
             Row{"ä", "??"},
             Row{"[1.2.3]", "[1.2.3]"},
             Row{"a.example.", "a.example."},
         }) {
        auto name = parse_helo_name(rest);
        EXPECT_FALSE(name.valid) << rest;
        EXPECT_EQ(name.text, text);
    }
    EXPECT_EQ(parse_helo_name(of(300, 'a')).text.size(), 255);
}

TEST(SmtpXclient, attributes) {
    auto all = parse_xclient(
        "NAME=spike.example.com ADDR=168.100.189.2 PORT=4242 PROTO=ESMTP HELO=[IPv6:::1] "
        "LOGIN=kate+2Bx@domain1.dom DESTADDR=IPV6:2001:db8::25 DESTPORT=25");
    ASSERT_TRUE(all);
    EXPECT_EQ(all->name.value, "spike.example.com");
    EXPECT_EQ(all->address.value, *IpAddress::parse("168.100.189.2"));
    EXPECT_EQ(all->port.value, 4242);
    EXPECT_EQ(all->protocol.value, ClientProtocol::Esmtp);
    EXPECT_EQ(all->helo.value, "[IPv6:::1]");
    EXPECT_EQ(all->login.value, "kate+x@domain1.dom");
    EXPECT_EQ(all->destination_address.value, *IpAddress::parse("2001:db8::25"));
    EXPECT_EQ(all->destination_port.value, 25);
    auto some =
        parse_xclient("name=[UNAVAILABLE] addr=2001:db8::1 HELO=[tempunavail] LOGIN=+C3+A4");
    ASSERT_TRUE(some);
    EXPECT_EQ(some->name.said, Said::Unavailable);
    EXPECT_TRUE(some->address.given());
    EXPECT_EQ(some->helo.said, Said::TemporarilyUnavailable);
    EXPECT_EQ(some->login.value, "ä");
    EXPECT_EQ(some->port.said, Said::Nothing);
    for (const auto& rest :
         {"NAME"s, "NAME="s, "FOO=bar"s, "NAME=a NAME=a"s, "ADDR=IPV6:1.2.3.4"s, "ADDR=x"s,
          "PORT=65536"s, "PROTO=LMTP"s, "NAME=a+0D+0Ab"s, "NAME=a+20b"s, "LOGIN=+C3"s, "HELO=a+"s,
          "LOGIN=a+00b"s, "NAME=" + of(256, 'a'), "LOGIN=" + of(kMaxXclient, 'a')})
        EXPECT_EQ(parse_xclient(rest).error().code, 501) << rest;
}

std::string reply(int code, std::string_view enhanced, std::string_view text) {
    std::string out;
    append_reply(out, code, enhanced, text);
    return out;
}

TEST(SmtpReply, lines) {
    EXPECT_EQ(reply(250, "2.1.0", "Ok"), "250 2.1.0 Ok\r\n");
    EXPECT_EQ(reply(220, "", "a.example ESMTP"), "220 a.example ESMTP\r\n");
    EXPECT_EQ(reply(250, "", "a\nSIZE 1\nSTARTTLS"), "250-a\r\n250-SIZE 1\r\n250 STARTTLS\r\n");
    EXPECT_EQ(reply(550, "5.1.1", "a\nb"), "550-5.1.1 a\r\n550 5.1.1 b\r\n");
    EXPECT_EQ(reply(250, "", ""), "250\r\n");
    EXPECT_EQ(reply(250, "2.0.0", ""), "250 2.0.0\r\n");
    EXPECT_EQ(reply(250, "2.0.0", "a\rb\0c\xff\x7f"sv), "250 2.0.0 a?b?c??\r\n");
    auto longer = reply(250, "2.0.0", of(600, 'x'));
    EXPECT_EQ(longer.find("\r\n"), kMaxReplyLine - 2);
    EXPECT_TRUE(longer.substr(kMaxReplyLine).starts_with("250 2.0.0 xxx"));
    std::string out;
    append_reply(out, Refusal{501, "5.5.4", "no"});
    EXPECT_EQ(out, "501 5.5.4 no\r\n");
}

}  // namespace
}  // namespace muster::wire::smtp
