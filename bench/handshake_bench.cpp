// What a TLS handshake costs a front end: in full, and resumed with a ticket that another front end
// has given out. CPU of the server's side alone, of TlsServer as the program uses it.
//
//     handshake_bench [ROUNDS]
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "net/pki.h"
#include "net/tls.h"
#include "net/tls_tickets.h"

namespace {

using muster::net::TlsCertificate;
using muster::net::TlsServer;

constexpr const char* kName = "mail.example";
constexpr std::size_t kRounds = 7;

struct SessionFree {
    void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};
using Session = std::unique_ptr<SSL_SESSION, SessionFree>;

double thread_seconds() {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

Session newest;  // what the client was given last

int keep(SSL*, SSL_SESSION* session) {
    newest.reset(session);
    return 1;
}

muster::net::TlsContext client_context(int version) {
    muster::net::TlsContext context(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_min_proto_version(context.get(), version);
    SSL_CTX_set_max_proto_version(context.get(), version);
    SSL_CTX_set_session_cache_mode(context.get(),
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context.get(), &keep);
    return context;
}

/// One handshake; the seconds of CPU of the server's side. Ends the program when it was not the
/// kind that it was to be.
double shake_hands(SSL_CTX* context, const TlsServer& server, SSL_SESSION* known) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()) != 0) std::abort();
    muster::net::TlsSession client(SSL_new(context));
    SSL_set_fd(client.get(), ends[0]);
    SSL_set_connect_state(client.get());
    SSL_set_tlsext_host_name(client.get(), kName);
    if (known != nullptr) SSL_set_session(client.get(), known);
    double spent = -thread_seconds();
    muster::net::TlsSession accepted = server.session(ends[1]);
    spent += thread_seconds();
    while (SSL_is_init_finished(client.get()) == 0 || SSL_is_init_finished(accepted.get()) == 0) {
        SSL_do_handshake(client.get());
        spent -= thread_seconds();
        SSL_do_handshake(accepted.get());
        spent += thread_seconds();
    }
    char none = 0;
    SSL_read(client.get(), &none, 1);  // the ticket of TLS 1.3
    const bool is_resumed = SSL_session_reused(client.get()) == 1;
    if (is_resumed != (known != nullptr)) {
        std::fprintf(stderr, "a handshake was not of the kind that was asked for\n");
        std::exit(1);
    }
    SSL_shutdown(client.get());
    for (const int end : ends) ::close(end);
    return spent;
}

struct Cost {
    double full = 0;
    double resumed = 0;
};

/// Means of one round, full and resumed handshakes in turn.
Cost round_of(SSL_CTX* context, const TlsServer& one, const TlsServer& other, std::size_t count) {
    Cost cost;
    for (std::size_t i = 0; i < count; ++i) {
        cost.full += shake_hands(context, one, nullptr);
        const Session ticket = std::move(newest);
        cost.resumed += shake_hands(context, other, ticket.get());
    }
    return cost;
}

TlsCertificate certificate(const std::string& key) {
    return {*muster::net::self_signed(key, {.common_name = kName, .names = {kName}}), key, {}};
}

void measure(const char* what, const std::string& key, int version, std::size_t count) {
    const auto tickets = std::make_shared<muster::net::TicketKeys>();
    const auto server = [&] {
        return *TlsServer::create({certificate(key)}, muster::net::TlsVersion::Tls12, false,
                                  tickets);
    };
    const auto one = server();
    const auto other = server();
    const auto context = client_context(version);
    round_of(context.get(), *one, *other, count / 10 + 1);  // warm
    std::vector<double> ratios;
    double full = 0;
    for (std::size_t round = 0; round < kRounds; ++round) {
        const Cost cost = round_of(context.get(), *one, *other, count);
        ratios.push_back(cost.resumed / cost.full);
        full += cost.full;
    }
    std::ranges::sort(ratios);
    std::printf("%-10s %s  full %6.1f us  resumed elsewhere %.2f of it (%.2f to %.2f)\n", what,
                version == TLS1_3_VERSION ? "TLS 1.3" : "TLS 1.2",
                full * 1e6 / static_cast<double>(kRounds * count), ratios[kRounds / 2],
                ratios.front(), ratios.back());
}

}  // namespace

int main(int argc, char** argv) {
    const std::size_t count = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 1'000;
    const std::string ecdsa = muster::net::make_key();
    const std::string rsa = muster::net::make_rsa_key(2048);
    for (const int version : {TLS1_3_VERSION, TLS1_2_VERSION}) {
        measure("ECDSA", ecdsa, version, count);
        measure("RSA-2048", rsa, version, count);
    }
    return 0;
}
