// Sessions resumed by tickets, between two servers as between two front ends.
#include "net/tls_tickets.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "net/pki.h"
#include "net/tls.h"

namespace muster::net {
namespace {

struct SessionFree {
    void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};
using Session = std::unique_ptr<SSL_SESSION, SessionFree>;

TlsCertificate certificate_for(const std::vector<std::string>& names) {
    const std::string key = make_key();
    return {*self_signed(key, {.common_name = names.front(), .names = names}), key, {}};
}

TicketKey key(const char* secret) { return TicketKey::from_secret(secret); }

/// A front end: its own certificates, the keys that it has been told of.
struct FrontEnd {
    explicit FrontEnd(std::vector<TicketKey> known) {
        keys->use(std::move(known));
        server = *TlsServer::create({certificate_for({"mail.example", "imap.example"}),
                                     certificate_for({"*.other.example"})},
                                    TlsVersion::Tls12, false, keys);
    }
    std::shared_ptr<TicketKeys> keys = std::make_shared<TicketKeys>();
    std::shared_ptr<const TlsServer> server;
};

/// One connection, both ends on this thread.
class Meeting {
public:
    Meeting(const TlsServer& server, int version, const char* name, SSL_SESSION* known) {
        MUSTER_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends_.data()) == 0);
        SSL_CTX_set_min_proto_version(context_.get(), version);
        SSL_CTX_set_max_proto_version(context_.get(), version);
        SSL_CTX_set_session_cache_mode(context_.get(),
                                       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_set_ex_data(context_.get(), 0, this);
        SSL_CTX_sess_set_new_cb(context_.get(), &Meeting::keep);
        client_.reset(SSL_new(context_.get()));
        SSL_set_fd(client_.get(), ends_[0]);
        SSL_set_connect_state(client_.get());
        if (name != nullptr) SSL_set_tlsext_host_name(client_.get(), name);
        if (known != nullptr) SSL_set_session(client_.get(), known);
        server_ = server.session(ends_[1]);
        speak();
    }
    ~Meeting() {
        SSL_shutdown(client_.get());  // the session of a connection that broke is not resumed
        client_.reset();
        server_.reset();
        for (const int end : ends_) ::close(end);
    }
    Meeting(const Meeting&) = delete;
    Meeting& operator=(const Meeting&) = delete;

    [[nodiscard]] bool agreed() const {
        return SSL_is_init_finished(client_.get()) == 1 && SSL_is_init_finished(server_.get()) == 1;
    }
    [[nodiscard]] bool resumed() const {
        return agreed() && SSL_session_reused(client_.get()) == 1;
    }
    /// What to resume with: the newest ticket that came. Clients use one of TLS 1.3 once.
    [[nodiscard]] Session ticket() const {
        if (SSL_version(client_.get()) == TLS1_2_VERSION) {
            return Session(SSL_get1_session(client_.get()));
        }
        if (tickets_.empty()) return nullptr;
        SSL_SESSION_up_ref(tickets_.back().get());
        return Session(tickets_.back().get());
    }
    [[nodiscard]] std::size_t tickets() const { return tickets_.size(); }
    bool passes_bytes() {
        char text[4] = {};
        return SSL_write(server_.get(), "abc", 3) == 3 && SSL_read(client_.get(), text, 3) == 3;
    }

private:
    static int keep(SSL* session, SSL_SESSION* ticket) {
        void* self = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(session), 0);
        static_cast<Meeting*>(self)->tickets_.emplace_back(ticket);
        return 1;
    }
    void speak() {
        for (int turn = 0; turn < 8; ++turn) {
            SSL_do_handshake(client_.get());
            SSL_do_handshake(server_.get());
        }
        char none[1];
        SSL_read(client_.get(), none, sizeof none);  // the tickets of TLS 1.3
    }

    std::array<int, 2> ends_{-1, -1};
    TlsContext context_{SSL_CTX_new(TLS_client_method())};
    TlsSession client_;
    TlsSession server_;
    std::vector<Session> tickets_;
};

class TlsTickets : public testing::TestWithParam<int> {
protected:
    static Session ticket_of(const FrontEnd& front_end, const char* name = "mail.example") {
        const Meeting meeting(*front_end.server, GetParam(), name, nullptr);
        EXPECT_TRUE(meeting.agreed());
        EXPECT_FALSE(meeting.resumed());
        return meeting.ticket();
    }
    static bool resumes(const FrontEnd& front_end, const Session& ticket,
                        const char* name = "mail.example") {
        const Meeting meeting(*front_end.server, GetParam(), name, ticket.get());
        EXPECT_TRUE(meeting.agreed());
        return meeting.resumed();
    }
};

INSTANTIATE_TEST_SUITE_P(Versions, TlsTickets, testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& each) {
                             return each.param == TLS1_2_VERSION ? "Tls12" : "Tls13";
                         });

TEST_P(TlsTickets, ResumesAtAnotherFrontEndWithTheSameKeys) {
    const FrontEnd one({key("a")});
    const FrontEnd two({key("a")});
    EXPECT_TRUE(resumes(two, ticket_of(one)));
    EXPECT_TRUE(resumes(one, ticket_of(two)));
    EXPECT_TRUE(resumes(one, ticket_of(one)));
}

TEST_P(TlsTickets, ResumesAfterOneRotationAndNotAfterItsKeyWasForgotten) {
    const FrontEnd one({key("b"), key("a"), key("c")});  // current, previous, next
    const FrontEnd two({key("b"), key("a"), key("c")});
    std::array<Session, 3> tickets{ticket_of(one), ticket_of(one), ticket_of(one)};
    two.keys->use({key("c"), key("b"), key("d")});
    EXPECT_TRUE(resumes(two, tickets[0])) << "after a rotation it is sealed with the previous key";
    two.keys->use({key("d"), key("c"), key("e")});
    EXPECT_FALSE(resumes(two, tickets[1])) << "after two its key is gone";
    two.keys->use({key("e"), key("d"), key("f")});
    EXPECT_FALSE(resumes(two, tickets[2]));
}

TEST_P(TlsTickets, AKeyOfTheFutureOpensOnAFrontEndThatHasNotSeenTheRotationYet) {
    const FrontEnd ahead({key("c"), key("b"), key("d")});
    const FrontEnd behind({key("b"), key("a"), key("c")});
    EXPECT_TRUE(resumes(behind, ticket_of(ahead)));
    EXPECT_TRUE(resumes(ahead, ticket_of(behind)));
}

TEST_P(TlsTickets, AResumedSessionGetsATicketUnderTheCurrentKey) {
    const FrontEnd one({key("a")});
    const FrontEnd two({key("b"), key("a")});
    const Session old = ticket_of(one);
    const Meeting meeting(*two.server, GetParam(), "mail.example", old.get());
    ASSERT_TRUE(meeting.resumed());
    const Session renewed = meeting.ticket();
    const FrontEnd new_key_alone({key("b")});
    EXPECT_TRUE(resumes(new_key_alone, renewed));
    EXPECT_FALSE(resumes(new_key_alone, ticket_of(one)));
}

TEST_P(TlsTickets, OnlyForTheChoiceOfCertificateItWasMadeFor) {
    const FrontEnd one({key("a")});
    const FrontEnd two({key("a")});
    const auto from_to = [&](const char* from, const char* to) {
        return resumes(two, ticket_of(one, from), to);
    };
    EXPECT_TRUE(from_to("mail.example", "MAIL.example"));
    EXPECT_FALSE(from_to("mail.example", "imap.example"));
    EXPECT_FALSE(from_to("mail.example", "x.other.example"));
    EXPECT_FALSE(from_to("mail.example", nullptr));
    EXPECT_TRUE(from_to("x.other.example", "y.other.example"));
    EXPECT_FALSE(from_to("x.other.example", "mail.example"));
    EXPECT_TRUE(from_to(nullptr, nullptr));
    EXPECT_TRUE(from_to(nullptr, "unknown.example")) << "the first certificate, too";
    EXPECT_FALSE(from_to(nullptr, "mail.example"));
}

TEST_P(TlsTickets, ANewRandomKeyIsNobodyElses) {
    const FrontEnd one({key("a")});
    const auto own = std::make_shared<TicketKeys>();
    const auto other = std::make_shared<TicketKeys>();
    EXPECT_NE(*own->current(), *other->current());
    FrontEnd alone({key("a")});
    alone.keys->use(*own->current());
    EXPECT_FALSE(resumes(alone, ticket_of(one)));
    EXPECT_TRUE(resumes(alone, ticket_of(alone)));
}

TEST_P(TlsTickets, ADamagedTicketIsAFullHandshake) {
    const FrontEnd one({key("a")});
    for (const std::size_t part : {std::size_t{0}, std::size_t{1}, std::size_t{2}}) {
        const Session ticket = ticket_of(one);
        const unsigned char* bytes = nullptr;
        std::size_t size = 0;
        SSL_SESSION_get0_ticket(ticket.get(), &bytes, &size);
        ASSERT_GT(size, 64u);
        const_cast<unsigned char*>(bytes)[part * (size - 1) / 2] ^= 1U;  // name, inside, MAC
        EXPECT_FALSE(resumes(one, ticket)) << part;
    }
}

TEST_P(TlsTickets, NewKeysTouchNoRunningSession) {
    const FrontEnd one({key("a")});
    Meeting meeting(*one.server, GetParam(), "mail.example", nullptr);
    ASSERT_TRUE(meeting.agreed());
    one.keys->use({key("x"), key("y"), key("z")});
    EXPECT_TRUE(meeting.passes_bytes());
}

TEST_P(TlsTickets, OneTicketAndNoEarlyData) {
    const FrontEnd one({key("a")});
    const Meeting meeting(*one.server, GetParam(), "mail.example", nullptr);
    ASSERT_EQ(meeting.tickets(), 1u);
    EXPECT_EQ(SSL_SESSION_get_max_early_data(meeting.ticket().get()), 0u);
}

TEST(TicketKey, TheNameTellsNothingOfTheSecret) {
    const TicketKey one = key("secret");
    EXPECT_EQ(one.name.size(), 16u);
    EXPECT_EQ(one.cipher.size(), 32u);
    EXPECT_EQ(one.mac.size(), 32u);
    EXPECT_NE(one.cipher, one.mac);
    EXPECT_FALSE(one.cipher.starts_with(one.name));
    EXPECT_EQ(one, key("secret"));
    EXPECT_NE(one, key("other"));
}

}  // namespace
}  // namespace muster::net
