#include "frontend/imap_session.h"

#include "base/base64.h"
#include "session_fixture.h"

namespace muster::frontend {
namespace {

using std::string_literals::operator""s;

class ImapSessionTest : public ::testing::Test {
protected:
    ImapSessionTest() {
        for (const char* name : {"IMAP4rev1", "SASL-IR", "LITERAL+", "ID", "IDLE", "AUTH=PLAIN",
                                 "AUTH=SCRAM-SHA-256"}) {
            host.capabilities_.set(name);
        }
    }
    Outcome say(const std::string& text, cluster::TlsMode tls = cluster::TlsMode::None) {
        SessionRun<ImapSession> run(host, tls);
        return run(text);
    }

    FakeHost host;
};

std::string plain_message(const std::string& user, const std::string& password) {
    return "\0"s + user + "\0"s + password;
}

TEST_F(ImapSessionTest, LoginTakesAtomsQuotedStringsAndBothKindsOfLiterals) {
    const std::string expected = plain_message("kate@domain1.dom", "pass word");
    for (const std::string command : {"a LOGIN kate@domain1.dom \"pass word\"\r\n",
                                      "a login {16}\r\nkate@domain1.dom {9}\r\npass word\r\n",
                                      "a LOGIN {16+}\r\nkate@domain1.dom {9+}\r\npass word\r\n"}) {
        const Outcome outcome = say(command);
        ASSERT_TRUE(outcome.login) << command << outcome.heard;
        EXPECT_EQ(outcome.login->name, "kate@domain1.dom");
        EXPECT_EQ(outcome.login->message, expected);
        EXPECT_EQ(outcome.login->tag, "a");
    }
}

TEST_F(ImapSessionTest, OnlySynchronisingLiteralsAreInvited) {
    EXPECT_NE(say("a LOGIN {1}\r\nx {1}\r\ny\r\n").heard.find("+ OK\r\n"), std::string::npos);
    EXPECT_EQ(say("a LOGIN {1+}\r\nx {1+}\r\ny\r\n").heard.find("+ OK\r\n"), std::string::npos);
}

TEST_F(ImapSessionTest, AuthenticateWithAndWithoutInitialResponse) {
    const std::string initial = base64_encode(plain_message("ada", "secret"));
    for (const std::string& text : {"b AUTHENTICATE PLAIN " + initial + "\r\n",
                                    "b AUTHENTICATE PLAIN\r\n" + initial + "\r\n"}) {
        const Outcome outcome = say(text);
        ASSERT_TRUE(outcome.login) << text << outcome.heard;
        EXPECT_EQ(outcome.login->name, "ada");
        EXPECT_EQ(outcome.login->message, plain_message("ada", "secret"));
    }
}

TEST_F(ImapSessionTest, MechanismLoginBecomesPlain) {
    const Outcome outcome = say("b AUTHENTICATE LOGIN\r\n" + base64_encode("ada") + "\r\n" +
                                base64_encode("secret") + "\r\n");
    ASSERT_TRUE(outcome.login) << outcome.heard;
    EXPECT_EQ(outcome.login->mechanism, wire::sasl::Mechanism::Plain);
    EXPECT_EQ(outcome.login->message, plain_message("ada", "secret"));
}

TEST_F(ImapSessionTest, ACancelledExchangeLeavesTheSessionUsable) {
    const Outcome outcome = say("b AUTHENTICATE PLAIN\r\n*\r\nc LOGIN ada secret\r\n");
    EXPECT_NE(outcome.heard.find("b BAD"), std::string::npos) << outcome.heard;
    ASSERT_TRUE(outcome.login);
    EXPECT_EQ(outcome.login->tag, "c");
}

TEST_F(ImapSessionTest, PasswordsNeedTlsUnlessTheListenerAllowsClearText) {
    const Outcome outcome = say("a LOGIN ada secret\r\n", cluster::TlsMode::StartTls);
    EXPECT_FALSE(outcome.login);
    EXPECT_NE(outcome.heard.find("a NO [PRIVACYREQUIRED]"), std::string::npos) << outcome.heard;
    EXPECT_NE(outcome.heard.find("LOGINDISABLED"), std::string::npos) << outcome.heard;
}

TEST_F(ImapSessionTest, WhatIsNoCommandIsAnsweredAndTheSessionGoesOn) {
    const Outcome outcome = say("\r\nx\r\n( y\r\na SELECT INBOX\r\nb NOOP\r\nc LOGOUT\r\n");
    EXPECT_NE(outcome.heard.find("a BAD"), std::string::npos) << outcome.heard;
    EXPECT_NE(outcome.heard.find("b OK"), std::string::npos);
    EXPECT_NE(outcome.heard.find("* BYE"), std::string::npos);
    EXPECT_FALSE(outcome.login);
}

TEST_F(ImapSessionTest, HugeLiteralsAreRefusedWithoutReadingThem) {
    for (const char* size : {"{4097}", "{4294967296}", "{99999999999999999999}"}) {
        const Outcome outcome = say("a LOGIN "s + size + "\r\nb LOGIN ada secret\r\n");
        EXPECT_NE(outcome.heard.find("a BAD"), std::string::npos) << size << outcome.heard;
        EXPECT_TRUE(outcome.login) << size;  // a refused synchronising literal is never sent
    }
    const Outcome outcome = say("a LOGIN {4294967296+}\r\nb LOGIN ada secret\r\n");
    EXPECT_FALSE(outcome.login);  // its bytes would be read as commands
}

TEST_F(ImapSessionTest, LinesWithNulsOrWithoutEndCloseTheSession) {
    EXPECT_NE(say("a LOGIN \0x y\r\n"s).heard.find("* BYE"), std::string::npos);
    EXPECT_NE(say(std::string(20000, 'x')).heard.find("* BYE"), std::string::npos);
}

TEST_F(ImapSessionTest, ThousandsOfCommandsAreEnough) {
    std::string text;
    for (int i = 0; i < 1000; ++i) text += "a NOOP\r\n";
    const Outcome outcome = say(text + "b LOGIN ada secret\r\n");
    EXPECT_FALSE(outcome.login);
    EXPECT_NE(outcome.heard.find("* BYE Too many"), std::string::npos);
}

TEST_F(ImapSessionTest, PipelinedBytesAreLeftForTheServer) {
    SessionRun<ImapSession> run(host);
    const Outcome outcome = run("a LOGIN ada secret\r\nb SELECT INBOX\r\n");
    ASSERT_TRUE(outcome.login);
    EXPECT_EQ(run.session().take_rest(), "b SELECT INBOX\r\n");
}

TEST_F(ImapSessionTest, ErrorsBecomeTheRepliesThatClientsUnderstand) {
    SessionRun<ImapSession> run(host);
    const Login login{"a", wire::sasl::Mechanism::Plain, "ada", ""};
    const ImapSession& session = run.session();
    EXPECT_EQ(session.refusal(login, {ErrorKind::Refused, "", ""}),
              "a NO [AUTHENTICATIONFAILED] Authentication failed.\r\n");
    EXPECT_EQ(session.refusal(login, {ErrorKind::Unavailable, "unavailable", "sv2 is down"}),
              "a NO [UNAVAILABLE] Temporarily unavailable.\r\n");
}

}  // namespace
}  // namespace muster::frontend
