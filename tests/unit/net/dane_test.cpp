#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>

#include "base/base64.h"
#include "net/loop.h"
#include "net/pki.h"
#include "net/socket_stream.h"

namespace muster::net {
namespace {

struct Issued {
    std::string authority;
    TlsCertificate server;
};

/// A server's certificate for `mx.example`, and the authority that signed it.
Issued issued() {
    const std::string authority_key = make_key();
    CertificateWish wish{.common_name = "authority", .names = {}};
    wish.use = CertificateUse::Authority;
    Issued result;
    result.authority = *self_signed(authority_key, wish);
    result.server.key = make_key();
    result.server.chain = *issue(result.authority, authority_key, result.server.key,
                                 {.common_name = "mx.example", .names = {"mx.example"}}) +
                          result.authority;
    return result;
}

/// The SHA-256 of the key of a certificate, as `3 1 1` and `2 1 1` have it.
std::string digest_of(const std::string& pem) {
    const std::string pin = *pin_of(pem);
    return *base64_decode(std::string_view(pin).substr(std::string_view("sha256//").size()), 64);
}

Task<void> serve(SocketStream* stream, const TlsServer* server) {
    try {
        [[maybe_unused]] const auto done = co_await stream->accept_tls(*server);
    } catch (const ConversationOver&) {
        stream->abort(EndReason::TlsFailed);
    }
}

Task<void> ask(SocketStream* stream, const TlsClient* client, std::string name, bool* trusted) {
    try {
        const auto done = co_await stream->connect_tls(*client, std::move(name));
        *trusted = done.has_value();
    } catch (const ConversationOver&) {
        *trusted = false;
    }
    stream->shutdown_write();
}

/// Whether a client with these records takes the server for `name`.
bool trusts(const Issued& issued, std::vector<TlsaRecord> records, const std::string& name,
            std::vector<std::string> also = {}) {
    const auto server = TlsServer::create({issued.server});
    TlsTrust trust;
    trust.kind = TlsTrust::Kind::Dane;
    trust.tlsa = std::move(records);
    trust.also_names = std::move(also);
    const auto client = TlsClient::create(std::move(trust));
    std::array<int, 2> pair{};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair.data()), 0);
    Loop loop;
    SocketStream ours(loop, pair[0]);
    SocketStream theirs(loop, pair[1]);
    bool trusted = false;
    loop.tasks().spawn(serve(&theirs, server->get()));
    loop.tasks().spawn(ask(&ours, client->get(), name, &trusted));
    loop.stop_when_idle();
    loop.run();
    return trusted;
}

TEST(Dane, EndEntityCountsWhateverTheNames) {
    const Issued one = issued();
    const std::string digest = digest_of(one.server.chain);
    EXPECT_TRUE(trusts(one, {{3, 1, 1, digest}}, "other.example"));
    EXPECT_TRUE(trusts(one, {{3, 1, 1, std::string(32, 'x')}, {3, 1, 1, digest}}, "mx.example"));
    EXPECT_FALSE(trusts(one, {{3, 1, 1, std::string(32, 'x')}}, "mx.example"));
}

TEST(Dane, TrustAnchorNeedsAName) {
    const Issued one = issued();
    const TlsaRecord anchor{2, 1, 1, digest_of(one.authority)};
    EXPECT_TRUE(trusts(one, {anchor}, "mx.example"));
    EXPECT_FALSE(trusts(one, {anchor}, "other.example"));
    EXPECT_TRUE(trusts(one, {anchor}, "other.example", {"mx.example"}));
}

TEST(Dane, WithoutAUsableRecordNobodyIsTrusted) {
    const Issued one = issued();
    EXPECT_FALSE(trusts(one, {}, "mx.example"));
    EXPECT_FALSE(trusts(one, {{3, 1, 1, "short"}}, "mx.example"));
}

}  // namespace
}  // namespace muster::net
