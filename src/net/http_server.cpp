#include "net/http_server.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>

#include "base/log.h"

namespace muster::net {
namespace {

namespace http = boost::beast::http;
using Parser = http::request_parser<http::buffer_body>;

constexpr std::size_t kPiece = 64 * 1024;
constexpr std::size_t kHeldLimit = 256 * 1024;

std::string lower(std::string_view text) {
    std::string made(text);
    for (char& c : made) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    }
    return made;
}

void take_head(const Parser& parser, HttpRequest& request) {
    const auto& message = parser.get();
    request.method = std::string(message.method_string());
    const std::string_view target(message.target().data(), message.target().size());
    const std::size_t mark = target.find('?');
    request.path = std::string(target.substr(0, mark));
    if (mark != std::string_view::npos) request.query = std::string(target.substr(mark + 1));
    for (const auto& field : message) {
        request.headers.emplace_back(
            lower({field.name_string().data(), field.name_string().size()}),
            std::string(field.value().data(), field.value().size()));
    }
}

bool may_stand_in_header(std::string_view text) {
    return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

std::string head_of(const HttpResponse& response, std::string_view framing, bool keep_alive) {
    std::string head = "HTTP/1.1 " + std::to_string(response.status) + " " +
                       std::string(http_reason(response.status)) + "\r\n" +
                       "Content-Type: " + response.content_type + "\r\n" + std::string(framing) +
                       "\r\n" + (keep_alive ? "" : "Connection: close\r\n") +
                       "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n";
    for (const auto& [name, value] : response.headers) {
        if (may_stand_in_header(value)) head += name + ": " + value + "\r\n";
    }
    return head + "\r\n";
}

std::string chunk_head(std::size_t size) {
    std::array<char, 20> text{};
    const int length = std::snprintf(text.data(), text.size(), "%zx\r\n", size);
    return {text.data(), static_cast<std::size_t>(length)};
}

std::optional<std::uint32_t> user_of(int fd) {
    ucred credentials{};
    socklen_t size = sizeof credentials;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return std::nullopt;
    return credentials.uid;
}

}  // namespace

struct HttpServer::Port {
    std::shared_ptr<const TlsServer> tls;
    bool local = false;
    Admission admission;
    std::unique_ptr<Listener> listener;
    std::size_t open = 0;
    std::map<IpAddress, std::size_t> open_by_address;

    [[nodiscard]] bool has_room(const HttpLimits& limits, const IpAddress& peer) const {
        if (open >= limits.connections) return false;
        if (local) return true;
        const auto known = open_by_address.find(peer);
        return known == open_by_address.end() || known->second < limits.connections_per_address;
    }
    void count(const IpAddress& peer) {
        ++open;
        ++open_by_address[peer];
    }
    void count_out(const IpAddress& peer) {
        --open;
        const auto known = open_by_address.find(peer);
        if (--known->second == 0) open_by_address.erase(known);
    }
};

/// One connection, and the exchange that is going on on it.
class HttpServer::Connection final : public HttpExchange {
public:
    Connection(SocketStream& stream, Loop& loop, const HttpLimits& limits, HttpRequest peer)
        : HttpExchange(std::move(peer)), stream_(stream), loop_(loop), limits_(limits) {}

    /// Reads the head of the next request; false when the client has none, or broke the grammar
    /// (and was told so).
    Task<bool> next_request();
    /// Makes ready for the next request; false when the connection has to end.
    Task<bool> ended();
    void stop() {
        stopping_ = true;
        wake();
    }

    Task<Result<std::string>> body(std::size_t limit) override;
    Task<Result<std::string>> next_piece() override;
    Task<void> respond(HttpResponse response) override;
    Task<void> begin(HttpResponse head) override;
    Task<void> send(std::string_view piece) override;
    Task<void> finish() override;
    [[nodiscard]] bool answered() const override { return answered_; }
    Task<void> pause(Duration duration) override;
    void wake() override;
    void doubt(Duration limit) override { stream_.give_up_unacknowledged(limit); }

private:
    /// Reads more; false at the end of the stream. The deadline is the caller's.
    Task<bool> fill();
    Task<bool> fill_within(Duration limit);
    Task<void> write(std::string_view data);
    /// Feeds held bytes to the parser.
    boost::system::error_code feed();
    Task<void> invite_body();
    [[nodiscard]] bool keeps_alive() const { return keep_alive_ && !stopping_; }

    SocketStream& stream_;
    Loop& loop_;
    const HttpLimits& limits_;
    std::string held_;
    std::optional<Parser> parser_;
    Sleep* sleep_ = nullptr;
    bool woken_ = false;
    bool answered_ = false;
    bool chunked_ = false;
    bool unfinished_ = false;  // begin() without finish()
    bool keep_alive_ = true;
    bool invited_ = false;
    bool stopping_ = false;
};

Task<bool> HttpServer::Connection::fill() {
    if (held_.size() >= kHeldLimit) co_return false;
    std::array<char, 16 * 1024> bytes;
    const std::size_t count = co_await stream_.read_some(bytes);
    held_.append(bytes.data(), count);
    co_return count > 0;
}

Task<bool> HttpServer::Connection::fill_within(Duration limit) {
    stream_.expire_after(limit);
    const bool more = co_await fill();
    stream_.expire_never();
    co_return more;
}

boost::system::error_code HttpServer::Connection::feed() {
    boost::system::error_code error;
    const std::size_t used = parser_->put(boost::asio::buffer(held_), error);
    held_.erase(0, used);
    return error;
}

Task<bool> HttpServer::Connection::next_request() {
    parser_.emplace();
    parser_->header_limit(limits_.header_bytes);
    parser_->body_limit(boost::none);
    request_.headers.clear();
    request_.query.clear();
    answered_ = chunked_ = unfinished_ = invited_ = woken_ = false;
    if (held_.empty() && !co_await fill_within(limits_.idle_time)) co_return false;
    stream_.expire_after(limits_.header_time);  // for all of the head, however many pieces it has
    boost::system::error_code error = feed();
    while (!parser_->is_header_done() && (!error || error == http::error::need_more)) {
        if (!co_await fill()) co_return false;
        error = feed();
    }
    stream_.expire_never();
    if (error && error != http::error::need_more && error != http::error::need_buffer) {
        keep_alive_ = false;
        const bool large = error == http::error::header_limit;
        co_await respond({large ? 431 : 400, "{\"error\":\"" + error.message() + "\"}"});
        co_return false;
    }
    keep_alive_ = parser_->keep_alive();
    take_head(*parser_, request_);
    co_return true;
}

Task<void> HttpServer::Connection::invite_body() {
    if (invited_) co_return;
    invited_ = true;
    if (lower(request_.header("expect")) == "100-continue") {
        co_await write("HTTP/1.1 100 Continue\r\n\r\n");
    }
}

Task<Result<std::string>> HttpServer::Connection::next_piece() {
    co_await invite_body();
    std::string piece(kPiece, '\0');
    auto& into = parser_->get().body();
    into.data = piece.data();
    into.size = piece.size();
    into.more = true;
    while (!parser_->is_done()) {
        boost::system::error_code error = http::error::need_more;
        if (!held_.empty()) error = feed();
        if (into.size < piece.size()) break;
        if (!error) continue;
        if (error != http::error::need_more) {
            keep_alive_ = false;
            co_return fail(ErrorKind::Syntax,
                           "the body of the request is broken: " + error.message());
        }
        if (!co_await fill_within(limits_.piece_time)) {
            keep_alive_ = false;
            co_return fail(ErrorKind::Syntax, "the body of the request is cut off");
        }
    }
    piece.resize(piece.size() - into.size);
    co_return piece;
}

Task<Result<std::string>> HttpServer::Connection::body(std::size_t limit) {
    std::string whole;
    for (;;) {
        auto piece = co_await next_piece();
        if (!piece) co_return std::unexpected(piece.error());
        if (piece->empty()) co_return whole;
        whole += *piece;
        if (whole.size() > limit) {
            keep_alive_ = false;
            co_return fail(ErrorKind::Limit, "the body of the request is too large");
        }
    }
}

Task<void> HttpServer::Connection::write(std::string_view data) {
    while (!data.empty()) {
        const std::string_view part = data.substr(0, kPiece);
        stream_.expire_after(limits_.piece_time);
        co_await stream_.write(part);
        data.remove_prefix(part.size());
    }
    stream_.expire_never();
}

Task<void> HttpServer::Connection::respond(HttpResponse response) {
    answered_ = true;
    // A body that nobody read may be endless: the connection ends instead.
    if (parser_ && !parser_->is_done()) keep_alive_ = false;
    std::string framing = "Content-Length: " + std::to_string(response.body.size());
    std::string text = head_of(response, framing, keeps_alive());
    if (request_.method != "HEAD") text += response.body;
    co_await write(text);
}

Task<void> HttpServer::Connection::begin(HttpResponse head) {
    answered_ = true;
    if (!parser_->is_done()) keep_alive_ = false;
    chunked_ = parser_->get().version() >= 11;
    if (!chunked_) keep_alive_ = false;
    unfinished_ = true;
    const std::string text =
        head_of(head, chunked_ ? "Transfer-Encoding: chunked" : "Connection: close", true);
    co_await write(text);
}

Task<void> HttpServer::Connection::send(std::string_view piece) {
    if (piece.empty() || request_.method == "HEAD") co_return;
    if (!chunked_) co_return co_await write(piece);
    std::string chunk = chunk_head(piece.size());
    chunk += piece;
    chunk += "\r\n";
    co_await write(chunk);
}

Task<void> HttpServer::Connection::finish() {
    unfinished_ = false;
    if (chunked_ && request_.method != "HEAD") co_await write("0\r\n\r\n");
}

Task<void> HttpServer::Connection::pause(Duration duration) {
    if (!std::exchange(woken_, false) && !stopping_) {
        Sleep sleep(loop_, duration);
        sleep_ = &sleep;
        co_await sleep;
        sleep_ = nullptr;
        woken_ = false;
    }
}

void HttpServer::Connection::wake() {
    woken_ = true;
    if (sleep_ != nullptr) std::exchange(sleep_, nullptr)->cut_short();
}

Task<bool> HttpServer::Connection::ended() {
    if (!answered_) co_await respond({500, R"({"error":"no answer"})"});
    if (!keeps_alive() || unfinished_) co_return false;
    while (!parser_->is_done()) {
        const auto piece = co_await next_piece();
        if (!piece) co_return false;
        if (piece->empty()) break;
    }
    co_return true;
}

HttpServer::HttpServer(Loop& loop, HttpLimits limits, Handler handler)
    : loop_(loop), limits_(limits), handler_(std::move(handler)) {}

HttpServer::~HttpServer() = default;

Endpoint HttpServer::listen(int fd, std::shared_ptr<const TlsServer> tls, Admission admission) {
    ports_.push_back(std::make_unique<Port>(std::move(tls), false, std::move(admission), nullptr));
    Port& port = *ports_.back();
    port.listener = std::make_unique<Listener>(
        loop_, fd, [this, &port](Accepted accepted) { accept(port, accepted); });
    return port.listener->local();
}

Result<Endpoint> HttpServer::listen(const Endpoint& endpoint, std::shared_ptr<const TlsServer> tls,
                                    Admission admission) {
    const auto fd = listen_tcp(endpoint);
    if (!fd) return std::unexpected(fd.error());
    return listen(*fd, std::move(tls), std::move(admission));
}

Result<> HttpServer::listen_local(const std::filesystem::path& path) {
    ports_.push_back(std::make_unique<Port>(nullptr, true, Admission{}, nullptr));
    Port& port = *ports_.back();
    auto listener = Listener::local_socket(
        loop_, path, 0600, [this, &port](Accepted accepted) { accept(port, accepted); });
    if (!listener) {
        ports_.pop_back();
        return std::unexpected(listener.error());
    }
    port.listener = std::move(*listener);
    return {};
}

void HttpServer::replace_tls(const std::shared_ptr<const TlsServer>& tls) {
    for (const auto& port : ports_) {
        if (port->tls) port->tls = tls;
    }
}

void HttpServer::accept(Port& port, Accepted accepted) {
    const bool admitted = !port.admission || port.admission(accepted.peer.address);
    if (closing_ || !admitted || !port.has_room(limits_, accepted.peer.address)) {
        if (!admitted) log::debug("http_refused", {{"peer", accepted.peer.text()}});
        ::close(accepted.fd);
        return;
    }
    // What was sent and is not acknowledged for so long was sent to a machine that is gone.
    const auto patience = static_cast<unsigned>(limits_.piece_time.count());
    ::setsockopt(accepted.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof patience);
    tasks_.spawn(serve(port, accepted));
}

// Ports live as long as the server, which waits for its tasks; the stream is serve()'s own.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)
Task<void> HttpServer::converse(SocketStream& stream, const Port& port, Accepted accepted) {
    HttpRequest peer;
    peer.peer = accepted.peer;
    if (port.local) peer.local_user = user_of(accepted.fd);
    if (const auto tls = port.tls) {
        stream.expire_after(limits_.header_time);
        if (const auto done = co_await stream.accept_tls(*tls); !done) {
            log::debug("http_tls_failed",
                       {{"peer", accepted.peer.text()}, {"reason", done.error().detail}});
            co_return;
        }
        peer.peer_pin = stream.peer_pin();
        peer.encrypted = true;
    }
    Connection connection(stream, loop_, limits_, std::move(peer));
    connections_.insert(&connection);
    const auto leave = [this](Connection* gone) { connections_.erase(gone); };
    const std::unique_ptr<Connection, decltype(leave)> registered(&connection, leave);
    while (co_await connection.next_request()) {
        co_await handler_(connection);
        if (!co_await connection.ended()) break;
    }
}

Task<void> HttpServer::serve(Port& port, Accepted accepted) {
    SocketStream stream(loop_, accepted.fd);
    open_.insert(&stream);
    port.count(accepted.peer.address);
    try {
        co_await converse(stream, port, accepted);
    } catch (const ConversationOver& over) {
        log::debug("http_over", {{"peer", accepted.peer.text()}, {"reason", name(over.reason())}});
    } catch (const std::exception& exception) {
        log::error("http_failed", {{"reason", exception.what()}});
    }
    port.count_out(accepted.peer.address);
    open_.erase(&stream);
}

// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)
Task<void> HttpServer::close() {
    closing_ = true;
    for (const auto& port : ports_) port->listener->close();
    // Stopping one may run it to its end, which takes it out of the set.
    const auto connections = connections_;
    for (Connection* connection : connections) connection->stop();
    for (SocketStream* stream : open_) stream->abort(EndReason::Draining);
    co_await tasks_.drained();
}

}  // namespace muster::net
