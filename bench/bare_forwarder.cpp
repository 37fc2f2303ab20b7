// The limit that any proxy is measured against: it accepts, connects to the one server, and moves
// bytes. It knows no protocol and no account.
//
//   bare_forwarder --server ADDRESS:PORT --certificate FILE --key FILE
//
// prints "plain N" and "tls N", then forwards connections of both ports: plain ones with splice(),
// TLS ones through OpenSSL.

#include <sys/epoll.h>

#include <cstdio>

#include "event_loop.h"
#include "options.h"
#include "plain_pair.h"
#include "tls_pair.h"

int main(int argc, char** argv) {
    using namespace muster::bench;
    const Options options(argc, argv, 1);
    const sockaddr_in server = parse_endpoint(options.text("server"));
    const TlsContext context = server_context(options.text("certificate"), options.text("key"));
    EventLoop loop;
    Fd plain = listen_loopback();
    Fd tls = listen_loopback();
    std::printf("plain %u\ntls %u\n", local_port(plain), local_port(tls));
    std::fflush(stdout);
    loop.listen(std::move(plain), [&](Fd client) {
        PlainPair::start(loop, std::move(client), connect_later(server));
    });
    loop.listen(std::move(tls), [&](Fd client) {
        TlsPair::start(loop, std::move(client), connect_later(server), context.get());
    });
    loop.run();
}
