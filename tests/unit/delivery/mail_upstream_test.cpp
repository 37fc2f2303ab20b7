#include "delivery/mail_upstream.h"

#include <gtest/gtest.h>

#include "net/pki.h"
#include "unit/delivery/scripted_server.h"
#include "wire/proxy_protocol.h"

namespace muster::delivery {
namespace {

const std::string kGreeting = "220 be1 ready\r\n";
const std::string kHello = "250-be1\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 100000\r\n";
const Turn kGreets{"", kGreeting};
const Turn kKnows{"\r\n", kHello};

/// A message for some recipients, with all that it points to.
struct Mail {
    std::vector<Recipient> recipients;
    std::string text = "Subject: x\r\n\r\n.hello\r\n";
    std::array<std::string_view, 1> pieces{};
    std::unique_ptr<PiecesBody> body;
    std::optional<ClientFacts> client;
    bool utf8 = false;
    net::Clock::time_point until = net::Clock::time_point::max();

    explicit Mail(const std::vector<std::string_view>& to) {
        for (const auto address : to) recipients.push_back({.address = address});
    }
    Transaction transaction() {
        pieces[0] = text;
        body = std::make_unique<PiecesBody>(pieces);
        Transaction one{.sender = "s@x.y", .recipients = recipients, .body = body.get()};
        one.client = client ? &*client : nullptr;
        one.smtp_utf8 = utf8;
        one.until = until;
        return one;
    }
};

struct Heard {
    Result<> opened;
    std::vector<TransactionResult> results;
    bool usable = false;
    bool tls_failed = false;
    std::string refusal;
};

MailTarget lmtp() {
    MailTarget target;
    target.name = "be1";
    target.protocol = MailProtocol::Lmtp;
    target.helo = "fe1";
    return target;
}
MailTarget smtp() {
    MailTarget target = lmtp();
    target.protocol = MailProtocol::Smtp;
    return target;
}

Task<void> converse(ScriptedServer* server, MailTarget target, std::vector<Mail>* mails,
                    Heard* heard) {
    PhaseLimits limits;
    limits.command = limits.block = limits.final = limits.open = net::Duration(300);
    MailUpstream upstream(server->stream(), std::make_shared<const MailTarget>(std::move(target)),
                          limits);
    heard->opened = co_await upstream.open();
    heard->tls_failed = upstream.tls_failed();
    if (heard->opened && mails != nullptr) {
        for (Mail& mail : *mails) {
            heard->results.push_back(co_await upstream.send(mail.transaction()));
        }
    }
    heard->usable = upstream.usable();
    heard->refusal = upstream.introduction_refusal();
    upstream.quit();
}

Heard run(ScriptedServer& server, MailTarget target, std::vector<Mail>* mails = nullptr) {
    Heard heard;
    server.run(converse(&server, std::move(target), mails, &heard));
    return heard;
}

const RecipientResult& only(const Heard& heard, std::size_t mail = 0) {
    return heard.results.at(mail).recipients.at(0);
}

TEST(MailUpstream, ASmallMessageTakesTwoWrites) {
    ScriptedServer server({kGreets,
                           kKnows,
                           {"DATA\r\n", "250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go\r\n"},
                           {"\r\n.\r\n", "250 2.0.0 <a@x.y> saved\r\n"}});
    std::vector<Mail> mails;
    mails.emplace_back(std::vector<std::string_view>{"a@x.y"});
    const Heard heard = run(server, lmtp(), &mails);
    ASSERT_TRUE(heard.opened);
    EXPECT_EQ(only(heard).outcome, Outcome::Delivered);
    EXPECT_EQ(only(heard).text, "<a@x.y> saved");
    EXPECT_TRUE(heard.usable);
    ASSERT_EQ(server.heard.size(), 3U);
    EXPECT_EQ(server.heard[0], "LHLO fe1\r\n");
    EXPECT_EQ(server.heard[1], "MAIL FROM:<s@x.y> SIZE=22\r\nRCPT TO:<a@x.y>\r\nDATA\r\n");
    EXPECT_EQ(server.heard[2], "Subject: x\r\n\r\n..hello\r\n.\r\n");
}

TEST(MailUpstream, LmtpHasAResultForEachRecipient) {
    ScriptedServer server(
        {kGreets,
         kKnows,
         {"DATA\r\n",
          "250 ok\r\n550 5.1.1 unknown\r\n250 ok\r\n451 4.2.0 busy\r\n250 ok\r\n354 go\r\n"},
         {"\r\n.\r\n", "250 saved\r\n552 5.2.2 full\r\n"}});
    std::vector<Mail> mails;
    mails.emplace_back(std::vector<std::string_view>{"no@x.y", "a@x.y", "busy@x.y", "full@x.y"});
    const Heard heard = run(server, lmtp(), &mails);
    const auto& results = heard.results.at(0).recipients;
    EXPECT_EQ(results[0].outcome, Outcome::Refused);
    EXPECT_EQ(results[0].enhanced.text(), "5.1.1");
    EXPECT_EQ(results[1].outcome, Outcome::Delivered);
    EXPECT_EQ(results[2].outcome, Outcome::Deferred);
    EXPECT_EQ(results[3].outcome, Outcome::Refused);
    EXPECT_EQ(results[3].text, "full");
    EXPECT_TRUE(heard.usable);
}

TEST(MailUpstream, SmtpHasOneResultForAll) {
    ScriptedServer server({kGreets,
                           kKnows,
                           {"DATA\r\n", "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n"},
                           {"\r\n.\r\n", "451 4.3.0 later\r\n"}});
    std::vector<Mail> mails;
    mails.emplace_back(std::vector<std::string_view>{"a@x.y", "b@x.y"});
    const Heard heard = run(server, smtp(), &mails);
    for (const auto& one : heard.results.at(0).recipients) {
        EXPECT_EQ(one.outcome, Outcome::Deferred);
        EXPECT_FALSE(one.uncertain);
        EXPECT_EQ(one.code, 451);
    }
}

TEST(MailUpstream, WithoutPipeliningEachCommandWaits) {
    ScriptedServer server({kGreets,
                           {"\r\n", "250 old\r\n"},
                           {"MAIL FROM:<s@x.y>\r\n", "250 ok\r\n"},
                           {"RCPT TO:<a@x.y>\r\n", "550 no\r\n"},
                           {"RCPT TO:<b@x.y>\r\n", "250 ok\r\n"},
                           {"DATA\r\n", "354 go\r\n"},
                           {"\r\n.\r\n", "250 ok\r\n"},
                           {"MAIL FROM:<s@x.y>\r\n", "250 ok\r\n"},
                           {"RCPT TO:<c@x.y>\r\n", "550 no\r\n"},
                           {"RSET\r\n", "250 ok\r\n"},
                           {"MAIL FROM:<s@x.y>\r\n", "451 no\r\n"},
                           {"QUIT\r\n", ""}});
    std::vector<Mail> mails;
    mails.emplace_back(std::vector<std::string_view>{"a@x.y", "b@x.y"});
    mails.emplace_back(std::vector<std::string_view>{"c@x.y"});
    mails.emplace_back(std::vector<std::string_view>{"d@x.y"});
    const Heard heard = run(server, smtp(), &mails);
    EXPECT_EQ(heard.results.at(0).recipients[0].outcome, Outcome::Refused);
    EXPECT_EQ(heard.results.at(0).recipients[1].outcome, Outcome::Delivered);
    EXPECT_EQ(only(heard, 1).outcome, Outcome::Refused);
    EXPECT_EQ(only(heard, 2).outcome, Outcome::Deferred);
    EXPECT_TRUE(heard.usable);
    EXPECT_EQ(server.heard.size(), 11U);
}

TEST(MailUpstream, ATransactionThatFailedIsReset) {
    ScriptedServer server({kGreets,
                           kKnows,
                           {"DATA\r\n", "250 ok\r\n550 5.1.1 unknown\r\n503 no recipients\r\n"},
                           {"DATA\r\n", "250 reset\r\n250 ok\r\n250 ok\r\n354 go\r\n"},
                           {"\r\n.\r\n", "250 ok\r\n"}});
    std::vector<Mail> mails;
    mails.emplace_back(std::vector<std::string_view>{"no@x.y"});
    mails.emplace_back(std::vector<std::string_view>{"a@x.y"});
    const Heard heard = run(server, lmtp(), &mails);
    EXPECT_EQ(only(heard).outcome, Outcome::Refused);
    EXPECT_EQ(only(heard, 1).outcome, Outcome::Delivered);
    EXPECT_TRUE(server.heard.at(2).starts_with("RSET\r\nMAIL"));
}

TEST(MailUpstream, AGoAheadForNobodyIsNotFollowed) {
    ScriptedServer server({kGreets, kKnows, {"DATA\r\n", "250 ok\r\n550 no\r\n354 go\r\n"}});
    server.stays = true;
    std::vector<Mail> mails;
    mails.emplace_back(std::vector<std::string_view>{"no@x.y"});
    const Heard heard = run(server, smtp(), &mails);
    EXPECT_EQ(only(heard).outcome, Outcome::Refused);
    EXPECT_FALSE(heard.usable);
    EXPECT_FALSE(server.all().contains(".\r\n"));
}

TEST(MailUpstream, MailRefusedCountsForAll) {
    ScriptedServer server({kGreets,
                           kKnows,
                           {"DATA\r\n", "550 5.7.1 not you\r\n503 no\r\n503 no\r\n503 no\r\n"},
                           {"DATA\r\n", "250 ok\r\n250 ok\r\n354 go\r\n"},
                           {"\r\n.\r\n", "250 ok\r\n"}});
    std::vector<Mail> mails;
    mails.emplace_back(std::vector<std::string_view>{"a@x.y", "b@x.y"});
    mails.emplace_back(std::vector<std::string_view>{"a@x.y"});
    const Heard heard = run(server, smtp(), &mails);
    for (const auto& one : heard.results.at(0).recipients) EXPECT_EQ(one.text, "not you");
    EXPECT_EQ(only(heard, 1).outcome, Outcome::Delivered);
}

TEST(MailUpstream, LostAfterTheDotIsUncertain) {
    ScriptedServer server({kGreets,
                           kKnows,
                           {"DATA\r\n", "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n"},
                           {"\r\n.\r\n", "250 saved\r\n"}});
    std::vector<Mail> mails;
    mails.emplace_back(std::vector<std::string_view>{"a@x.y", "b@x.y"});
    const Heard heard = run(server, lmtp(), &mails);
    const auto& results = heard.results.at(0).recipients;
    EXPECT_EQ(results[0].outcome, Outcome::Delivered);
    EXPECT_EQ(results[1].outcome, Outcome::Deferred);
    EXPECT_TRUE(results[1].uncertain);
    EXPECT_FALSE(heard.results.at(0).stale);
    EXPECT_FALSE(heard.usable);
}

TEST(MailUpstream, LostBeforeAnyAnswerIsStale) {
    for (const std::string last : {"", "421 4.4.2 idle too long\r\n"}) {
        ScriptedServer server({kGreets, kKnows, {"DATA\r\n", last}});
        std::vector<Mail> mails;
        mails.emplace_back(std::vector<std::string_view>{"a@x.y"});
        const Heard heard = run(server, lmtp(), &mails);
        EXPECT_TRUE(heard.results.at(0).stale);
        EXPECT_EQ(only(heard).outcome, Outcome::Deferred);
        EXPECT_EQ(only(heard).from_server, !last.empty());
        EXPECT_FALSE(only(heard).uncertain);
    }
}

TEST(MailUpstream, AServerThatHangsIsNotStale) {
    ScriptedServer server({kGreets, kKnows});
    server.stays = true;
    std::vector<Mail> mails;
    mails.emplace_back(std::vector<std::string_view>{"a@x.y"});
    const Heard heard = run(server, lmtp(), &mails);
    EXPECT_FALSE(heard.results.at(0).stale);
    EXPECT_EQ(only(heard).enhanced.text(), "4.4.1");
    EXPECT_FALSE(only(heard).uncertain);
}

TEST(MailUpstream, AnEarlyRefusalOfALargeMessageIsHeard) {
    ScriptedServer server({kGreets,
                           {"\r\n", "250-x\r\n250 PIPELINING\r\n"},
                           {"DATA\r\n", "250 ok\r\n250 ok\r\n354 go\r\n552 5.3.4 too big\r\n"}});
    std::vector<Mail> mails;
    mails.emplace_back(std::vector<std::string_view>{"a@x.y"});
    mails[0].text = std::string(std::size_t{4} << 20, 'x') + "\r\n";
    const Heard heard = run(server, smtp(), &mails);
    EXPECT_EQ(only(heard).outcome, Outcome::Refused);
    EXPECT_EQ(only(heard).enhanced.text(), "5.3.4");
    EXPECT_FALSE(heard.usable);
}

TEST(MailUpstream, AnAcceptanceBeforeTheEndIsNotBelieved) {
    ScriptedServer server({kGreets,
                           {"\r\n", "250-x\r\n250 PIPELINING\r\n"},
                           {"DATA\r\n", "250 ok\r\n250 ok\r\n354 go\r\n250 got it\r\n"}});
    std::vector<Mail> mails;
    mails.emplace_back(std::vector<std::string_view>{"a@x.y"});
    mails[0].text = std::string(std::size_t{4} << 20, 'x') + "\r\n";
    const Heard heard = run(server, smtp(), &mails);
    EXPECT_EQ(only(heard).outcome, Outcome::Deferred);
    EXPECT_FALSE(only(heard).uncertain);
}

TEST(MailUpstream, GarbageEndsTheConversation) {
    const std::string endless(10000, 'x');
    for (const std::string& garbage :
         {std::string("hello\r\n"), endless, std::string("250-a\r\n550 b\r\n"),
          std::string("25\0 x\r\n", 7)}) {
        ScriptedServer server({kGreets, kKnows, {"DATA\r\n", garbage}});
        std::vector<Mail> mails;
        mails.emplace_back(std::vector<std::string_view>{"a@x.y"});
        const Heard heard = run(server, lmtp(), &mails);
        EXPECT_EQ(only(heard).outcome, Outcome::Deferred);
        EXPECT_FALSE(heard.results.at(0).stale);
        EXPECT_FALSE(heard.usable);
    }
}

TEST(MailUpstream, WhatTheServerCannotTakeIsNotSent) {
    ScriptedServer server({kGreets, kKnows, {"QUIT\r\n", ""}});
    std::vector<Mail> mails;
    for (int i = 0; i < 4; ++i) mails.emplace_back(std::vector<std::string_view>{"a@x.y"});
    mails[0].utf8 = true;
    mails[1].text = std::string(200000, 'x');
    mails[2].recipients[0].address = "a@x.y>\r\nDATA";
    mails[3].until = net::Clock::now();
    const Heard heard = run(server, lmtp(), &mails);
    EXPECT_EQ(only(heard, 0).enhanced.text(), "5.6.7");
    EXPECT_EQ(only(heard, 1).enhanced.text(), "5.3.4");
    EXPECT_EQ(only(heard, 2).enhanced.text(), "5.1.3");
    EXPECT_EQ(only(heard, 3).enhanced.text(), "4.4.7");
    EXPECT_TRUE(heard.usable);
    EXPECT_EQ(server.all(), "LHLO fe1\r\nQUIT\r\n");
}

TEST(MailUpstream, ManyRecipientsGoInGroups) {
    std::string first = "250 ok\r\n";
    std::string second;
    std::vector<std::string> addresses;
    for (int i = 0; i < 150; ++i) {
        addresses.push_back("user" + std::to_string(i) + "@x.y");
        (i < 100 ? first : second) += "250 ok\r\n";
    }
    ScriptedServer server({kGreets,
                           kKnows,
                           {"RCPT TO:<user99@x.y>\r\n", first},
                           {"DATA\r\n", second + "354 go\r\n"},
                           {"\r\n.\r\n", "250 ok\r\n"}});
    std::vector<Mail> mails;
    mails.emplace_back(std::vector<std::string_view>(addresses.begin(), addresses.end()));
    const Heard heard = run(server, smtp(), &mails);
    for (const auto& one : heard.results.at(0).recipients) {
        EXPECT_EQ(one.outcome, Outcome::Delivered);
    }
}

TEST(MailUpstream, RecipientsPastTheServersLimitFollowAtOnce) {
    ScriptedServer server({kGreets,
                           {"\r\n", "250-x\r\n250-PIPELINING\r\n250 LIMITS RCPTMAX=2\r\n"},
                           {"DATA\r\n", "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n"},
                           {"\r\n.\r\n", "250 ok\r\n"},
                           {"DATA\r\n", "250 ok\r\n250 ok\r\n354 go\r\n"},
                           {"\r\n.\r\n", "250 ok\r\n"}});
    std::vector<Mail> mails;
    mails.emplace_back(std::vector<std::string_view>{"a@x.y", "b@x.y", "c@x.y"});
    const Heard heard = run(server, smtp(), &mails);
    for (const RecipientResult& one : heard.results.at(0).recipients) {
        EXPECT_EQ(one.outcome, Outcome::Delivered) << one.text;
    }
    EXPECT_TRUE(server.all().contains("RCPT TO:<c@x.y>\r\nDATA\r\n"));
}

TEST(MailUpstream, OfVeryManyTransactionsSomeAreLeftForTheNextCall) {
    std::vector<Turn> exchanges{kGreets,
                                {"\r\n", "250-x\r\n250-PIPELINING\r\n250 LIMITS RCPTMAX=1\r\n"}};
    for (int i = 0; i < 20; ++i) {
        exchanges.push_back({"DATA\r\n", "250 ok\r\n250 ok\r\n354 go\r\n"});
        exchanges.push_back({"\r\n.\r\n", "250 ok\r\n"});
    }
    ScriptedServer server(std::move(exchanges));
    std::vector<Mail> mails;
    mails.emplace_back(std::vector<std::string_view>(25, "a@x.y"));
    const Heard heard = run(server, smtp(), &mails);
    const auto& results = heard.results.at(0).recipients;
    for (std::size_t i = 0; i < results.size(); ++i) {
        EXPECT_EQ(results[i].outcome, i < 20 ? Outcome::Delivered : Outcome::Deferred) << i;
        EXPECT_EQ(results[i].at_once, i >= 20) << i;
    }
}

TEST(MailUpstream, WhomTheServerFindsTooManyFollowAtOnce) {
    for (const std::string too_many : {"452 4.5.3 too many\r\n", "452 too many\r\n"}) {
        ScriptedServer server({kGreets,
                               kKnows,
                               {"DATA\r\n", "250 ok\r\n250 ok\r\n" + too_many + "354 go\r\n"},
                               {"\r\n.\r\n", "250 ok\r\n"},
                               {"DATA\r\n", "250 ok\r\n250 ok\r\n354 go\r\n"},
                               {"\r\n.\r\n", "250 ok\r\n"}});
        std::vector<Mail> mails;
        mails.emplace_back(std::vector<std::string_view>{"a@x.y", "b@x.y"});
        const Heard heard = run(server, smtp(), &mails);
        EXPECT_EQ(heard.results.at(0).recipients[1].outcome, Outcome::Delivered) << too_many;
    }
}

TEST(MailUpstream, AServerThatTakesNobodyIsNotAskedAgain) {
    for (const std::string first :
         {"452 4.5.3 too many\r\n503 no\r\n", "452 4.2.2 mailbox full\r\n503 no\r\n"}) {
        ScriptedServer server({kGreets, kKnows, {"DATA\r\n", "250 ok\r\n" + first}});
        std::vector<Mail> mails;
        mails.emplace_back(std::vector<std::string_view>{"a@x.y"});
        const Heard heard = run(server, smtp(), &mails);
        EXPECT_EQ(only(heard).code, 452);
    }
}

const std::string kTrusted =
    "250-be1\r\n250-PIPELINING\r\n250 XCLIENT ADDR PORT NAME HELO SESSION TTL\r\n";

Task<void> open_for(MailUpstream& upstream, const ClientFacts* client, bool* opened) {
    *opened = (co_await upstream.open(net::Clock::time_point::max(), client)).has_value();
}

Mail from_client(std::string_view session, std::string_view address = "192.0.2.7") {
    Mail mail({"a@x.y"});
    mail.client.emplace();
    mail.client->client = {*IpAddress::parse(address), 4711};
    mail.client->helo = "evil\r\nRSET";
    mail.client->session = session;
    return mail;
}

TEST(MailUpstream, AProxyHeaderComesFirst) {
    const Mail mail = from_client("s1");
    for (const ClientFacts* client : {static_cast<const ClientFacts*>(nullptr), &*mail.client}) {
        const std::string header =
            client == nullptr
                ? wire::proxy_protocol::write_v2_local()
                : wire::proxy_protocol::write_v2(client->client, {client->client.address, 26});
        ScriptedServer server({{header, "220 x\r\n"}, kKnows});
        auto target = std::make_shared<MailTarget>(smtp());
        target->proxy = true;
        target->endpoint.port = 26;
        MailUpstream upstream(server.stream(), target);
        bool opened = false;
        server.run(open_for(upstream, client, &opened));
        EXPECT_TRUE(opened);
        EXPECT_TRUE(upstream.fits(client));
        const Mail other = from_client("s2", "192.0.2.8");
        EXPECT_FALSE(upstream.fits(&*other.client));
    }
}

TEST(MailUpstream, ClientsAreIntroducedInTheSamePacketWhenItIsBorne) {
    const std::string answers = "250 ok\r\n250 ok\r\n354 go\r\n";
    ScriptedServer server({kGreets,
                           {"\r\n", kTrusted},
                           {"DATA\r\n", kGreeting + kTrusted + answers},
                           {"\r\n.\r\n", "250 ok\r\n"},
                           {"DATA\r\n", answers},
                           {"\r\n.\r\n", "250 ok\r\n"},
                           {"DATA\r\n", kGreeting + kTrusted + answers},
                           {"\r\n.\r\n", "250 ok\r\n"}});
    std::vector<Mail> mails;
    mails.push_back(from_client("s1"));
    mails.push_back(from_client("s1"));
    mails.push_back(from_client("s2", "2001:db8::1"));
    MailTarget target = lmtp();
    target.introduce = target.introduce_ahead = true;
    const Heard heard = run(server, target, &mails);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(only(heard, i).outcome, Outcome::Delivered);
    ASSERT_EQ(server.heard.size(), 7U);
    EXPECT_TRUE(server.heard[1].starts_with(
        "XCLIENT ADDR=192.0.2.7 PORT=4711 NAME=[UNAVAILABLE] HELO=evil??RSET SESSION=s1 TTL=5\r\n"
        "LHLO fe1\r\nMAIL FROM"))
        << server.heard[1];
    EXPECT_TRUE(server.heard[3].starts_with("MAIL FROM"));
    EXPECT_TRUE(server.heard[5].starts_with("XCLIENT ADDR=IPV6:2001:db8::1 "));
}

TEST(MailUpstream, ClientsAreIntroducedStepByStep) {
    ScriptedServer server({kGreets,
                           {"\r\n", kTrusted},
                           {"TTL=5\r\n", kGreeting},
                           {"EHLO fe1\r\n", kTrusted},
                           {"DATA\r\n", "250 ok\r\n250 ok\r\n354 go\r\n"},
                           {"\r\n.\r\n", "250 ok\r\n"}});
    std::vector<Mail> mails;
    mails.push_back(from_client("s1"));
    MailTarget target = smtp();
    target.introduce = true;
    EXPECT_EQ(only(run(server, target, &mails)).outcome, Outcome::Delivered);
}

TEST(MailUpstream, AServerThatRefusesTheIntroductionGetsMailWithout) {
    ScriptedServer server(
        {kGreets,
         {"\r\n", kTrusted},
         {"DATA\r\n", "550 5.7.1 who are you\r\n" + kTrusted + "250 ok\r\n250 ok\r\n354 go\r\n"},
         {"\r\n.\r\n", "250 ok\r\n"},
         {"DATA\r\n", "250 ok\r\n250 ok\r\n354 go\r\n"},
         {"\r\n.\r\n", "250 ok\r\n"}});
    std::vector<Mail> mails;
    mails.push_back(from_client("s1"));
    mails.push_back(from_client("s2"));
    MailTarget target = lmtp();
    target.introduce = target.introduce_ahead = true;
    const Heard heard = run(server, target, &mails);
    EXPECT_EQ(only(heard, 0).outcome, Outcome::Delivered);
    EXPECT_EQ(only(heard, 1).outcome, Outcome::Delivered);
    EXPECT_EQ(heard.refusal, "who are you");
}

TEST(MailUpstream, NobodysMailGoesUnderAnothersName) {
    const std::string answers = "250 ok\r\n250 ok\r\n354 go\r\n";
    for (const bool anonymous : {true, false}) {
        ScriptedServer server({kGreets,
                               {"\r\n", kTrusted},
                               {"DATA\r\n", kGreeting + kTrusted + answers},
                               {"\r\n.\r\n", "250 ok\r\n"},
                               {anonymous ? "" : "DATA\r\n",
                                anonymous ? "" : "501 5.5.4 bad\r\n" + kTrusted + answers}});
        server.stays = true;
        std::vector<Mail> mails;
        mails.push_back(from_client("s1"));
        mails.push_back(anonymous ? Mail({"a@x.y"}) : from_client("s2"));
        MailTarget target = lmtp();
        target.introduce = target.introduce_ahead = true;
        const Heard heard = run(server, target, &mails);
        EXPECT_EQ(only(heard, 1).outcome, Outcome::Deferred);
        EXPECT_TRUE(heard.results.at(1).stale);
        EXPECT_FALSE(heard.usable);
    }
}

TEST(MailUpstream, AServerThatHearsOfOneClientOnly) {
    // Postfix 3.7: who was introduced is a stranger, and offered no XCLIENT.
    const std::string answers = "250 ok\r\n250 ok\r\n354 go\r\n";
    ScriptedServer server({kGreets,
                           {"\r\n", kTrusted},
                           {"DATA\r\n", kGreeting + kHello + answers},
                           {"\r\n.\r\n", "250 ok\r\n"},
                           {"DATA\r\n", answers},
                           {"\r\n.\r\n", "250 ok\r\n"}});
    std::vector<Mail> mails;
    mails.push_back(from_client("s1"));
    mails.push_back(from_client("s1"));
    mails.push_back(from_client("s2"));
    MailTarget target = smtp();
    target.introduce = target.introduce_ahead = true;
    const Heard heard = run(server, target, &mails);
    EXPECT_EQ(only(heard, 0).outcome, Outcome::Delivered);
    EXPECT_EQ(only(heard, 1).outcome, Outcome::Delivered);
    EXPECT_TRUE(heard.results.at(2).stale);
    EXPECT_EQ(only(heard, 2).outcome, Outcome::Deferred);
}

TEST(MailUpstream, GreetingsThatDoNotWelcome) {
    for (const std::string greeting : {"554 5.3.2 no service\r\n", "421 busy\r\n", "* OK\r\n"}) {
        ScriptedServer server({{"", greeting}});
        const Heard heard = run(server, smtp());
        ASSERT_FALSE(heard.opened);
        EXPECT_EQ(heard.opened.error().kind,
                  greeting.starts_with("5") ? ErrorKind::Refused : ErrorKind::Unavailable);
    }
}

TEST(MailUpstream, ServersThatKnowOnlyHelo) {
    ScriptedServer server(
        {kGreets, {"EHLO fe1\r\n", "502 what\r\n"}, {"HELO fe1\r\n", "250 x\r\n"}});
    EXPECT_TRUE(run(server, smtp()).opened);
}

TEST(MailUpstream, RequiredTlsThatIsNotOffered) {
    ScriptedServer server({kGreets, kKnows});
    MailTarget target = smtp();
    target.tls = MailTls::Required;
    EXPECT_EQ(run(server, target).opened.error().kind, ErrorKind::Refused);
    ScriptedServer plain({kGreets, kKnows});
    target.tls = MailTls::Opportunistic;
    EXPECT_TRUE(run(plain, target).opened);
}

TEST(MailUpstream, AStartTlsThatIsRefused) {
    const Turn offers{"\r\n", "250-x\r\n250 STARTTLS\r\n"};
    for (const bool required : {true, false}) {
        ScriptedServer server({kGreets, offers, {"STARTTLS\r\n", "454 4.7.0 not now\r\n"}});
        MailTarget target = smtp();
        target.tls = required ? MailTls::Required : MailTls::Opportunistic;
        EXPECT_EQ(run(server, target).opened.has_value(), !required);
    }
}

TEST(MailUpstream, AHandshakeThatFailsIsTold) {
    ScriptedServer server({kGreets,
                           {"\r\n", "250-x\r\n250 STARTTLS\r\n"},
                           {"STARTTLS\r\n", "220 go\r\n250 injected\r\n"},
                           {"", "no TLS at all, sorry\r\n"}});
    MailTarget target = smtp();
    target.tls = MailTls::Opportunistic;
    net::TlsTrust trust;
    trust.kind = net::TlsTrust::Kind::Nothing;
    target.trust = *net::TlsClient::create(trust);
    const Heard heard = run(server, target);
    EXPECT_FALSE(heard.opened);
    EXPECT_TRUE(heard.tls_failed);
}

std::shared_ptr<const net::TlsServer> certificate() {
    const std::string key = net::make_key();
    const auto chain = net::self_signed(key, {.common_name = "x", .names = {"x"}});
    return *net::TlsServer::create({{*chain, key, {}}});
}

MailTarget encrypted(MailTls mode) {
    MailTarget target = smtp();
    target.tls = mode;
    net::TlsTrust trust;
    trust.kind = net::TlsTrust::Kind::Nothing;
    target.trust = *net::TlsClient::create(trust);
    target.login = MailLogin{"user", "secret"};
    return target;
}

TEST(MailUpstream, WhatCameInClearIsForgotten) {
    // The clear EHLO offers a login that the encrypted one does not.
    ScriptedServer server({kGreets,
                           {"\r\n", "250-x\r\n250-SIZE 10\r\n250 STARTTLS\r\n"},
                           {"STARTTLS\r\n", "220 go\r\n250 injected\r\n", certificate()},
                           {"\r\n", kHello},
                           {"AUTH PLAIN AHVzZXIAc2VjcmV0\r\n", "235 welcome\r\n"},
                           {"DATA\r\n", "250 ok\r\n250 ok\r\n354 go\r\n"},
                           {"\r\n.\r\n", "250 ok\r\n"}});
    std::vector<Mail> mails;
    mails.emplace_back(std::vector<std::string_view>{"a@x.y"});
    const Heard heard = run(server, encrypted(MailTls::Required), &mails);
    ASSERT_TRUE(heard.opened) << heard.opened.error().detail;
    EXPECT_EQ(only(heard).outcome, Outcome::Delivered);
}

TEST(MailUpstream, TlsFromTheFirstByte) {
    ScriptedServer server({{"", "", certificate()},
                           kGreets,
                           {"\r\n", kHello},
                           {"\r\n", "535 5.7.8 wrong password\r\n"}});
    const Heard heard = run(server, encrypted(MailTls::Implicit));
    ASSERT_FALSE(heard.opened);
    EXPECT_EQ(heard.opened.error().kind, ErrorKind::Refused);
    EXPECT_FALSE(heard.tls_failed);
}

TEST(MailUpstream, AServerThatKnowsOnlyLogin) {
    ScriptedServer server({{"", "", certificate()},
                           kGreets,
                           {"\r\n", "250-x\r\n250 AUTH LOGIN CRAM-MD5\r\n"},
                           {"AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\r\n"},
                           {"dXNlcg==\r\n", "334 UGFzc3dvcmQ6\r\n"},
                           {"c2VjcmV0\r\n", "235 welcome\r\n"}});
    EXPECT_TRUE(run(server, encrypted(MailTls::Implicit)).opened);
}

TEST(MailUpstream, ALoginNeedsTls) {
    ScriptedServer server({kGreets, {"\r\n", "250-x\r\n250 AUTH PLAIN\r\n"}});
    MailTarget target = smtp();
    target.login = MailLogin{"user", "secret"};
    EXPECT_EQ(run(server, target).opened.error().kind, ErrorKind::Refused);
    EXPECT_FALSE(server.all().contains("AUTH"));
}

}  // namespace
}  // namespace muster::delivery
