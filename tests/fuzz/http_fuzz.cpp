// Requests to the HTTP server, through a socket, and the text parts of requests.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <thread>

#include "base/log.h"
#include "fuzz.h"
#include "net/http_server.h"

namespace muster::net {
namespace {

Task<void> echo(HttpExchange& exchange) {
    auto body = co_await exchange.body(4096);
    HttpResponse response;
    response.body = body ? *body : body.error().detail;
    co_await exchange.respond(response);
}

/// Serves on a thread of its own until the process ends.
class Served {
public:
    Served() : server_(loop_, {}, echo) {
        log::configure(log::Level::Error, log::Format::Logfmt, "fuzz");
        address_.sun_family = AF_UNIX;
        const std::string path = "/tmp/muster-http-fuzz-" + std::to_string(::getpid());
        std::memcpy(address_.sun_path, path.c_str(), path.size() + 1);
        MUST(server_.listen_local(path));
        thread_ = std::thread([this] { loop_.run(); });
    }
    ~Served() {
        loop_.post([this] { loop_.tasks().spawn(end()); });
        thread_.join();
    }

    /// Sends the bytes and reads until the server has closed.
    void hear(std::string_view bytes) const {
        const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        MUST(connect(fd, reinterpret_cast<const sockaddr*>(&address_), sizeof address_) == 0);
        (void)!send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        shutdown(fd, SHUT_WR);
        std::array<char, 4096> buffer{};
        while (recv(fd, buffer.data(), buffer.size(), 0) > 0) {
        }
        close(fd);
    }

private:
    Task<void> end() {
        co_await server_.close();
        loop_.stop();
    }
    Loop loop_;
    HttpServer server_;
    sockaddr_un address_{};
    std::thread thread_;
};

}  // namespace
}  // namespace muster::net

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace muster::net;
    static const Served served;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    served.hear(text);
    if (const auto decoded = percent_decoded(text)) {
        MUST(percent_decoded(percent_encoded(*decoded)) == decoded);
    }
    (void)query_value(text, "limit");
    return 0;
}
