#include "backend/authenticate_relay.h"

#include <unistd.h>

#include "backend/local_connect.h"
#include "base/base64.h"
#include "base/client_network.h"
#include "base/log.h"
#include "base/seal.h"
#include "net/line_reader.h"
#include "wire/dovecot_auth.h"

namespace muster::backend {
namespace {

namespace auth = wire::dovecot_auth;

constexpr net::Duration kTimeToJudge{30'000};
constexpr std::chrono::seconds kTimeToAnswer{60};
constexpr std::uint32_t kRequest = 1;  // the only one on its connection
constexpr std::size_t kMaxMessage = 12'000;
constexpr std::size_t kMostOfOneClient = 32;  // exchanges that wait for their client's answer

std::unexpected<Error> no_answer(std::string reason) {
    return fail(ErrorKind::Unavailable, "try again later", "dovecot-auth: " + std::move(reason));
}

}  // namespace

class AuthenticateRelay::Exchange {
public:
    explicit Exchange(std::unique_ptr<net::SocketStream> stream)
        : stream_(std::move(stream)), reader_(*stream_) {}

    net::SocketStream& stream() { return *stream_; }
    net::LineReader& reader() { return reader_; }
    net::Clock::time_point since = net::Clock::now();
    bool greeted = false;
    std::optional<IpAddress> client;  ///< its client_network

private:
    std::unique_ptr<net::SocketStream> stream_;
    net::LineReader reader_;
};

namespace {

// The exchange is go_on()'s own.
template <typename Exchange>
// NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters)
Task<Result<auth::Message>> next_message(Exchange& exchange) {
    auto line = co_await exchange.reader().line(auth::kMaxLine);
    if (!line || line->fault != net::LineFault::None) co_return no_answer("ended the conversation");
    auto message = auth::parse_message(line->text);
    if (!message) co_return no_answer(message.error().detail);
    co_return message;
}

}  // namespace

AuthenticateRelay::AuthenticateRelay(net::Loop& loop, std::filesystem::path socket,
                                     std::function<bool(std::string_view)> refused)
    : loop_(loop), socket_(std::move(socket)), refused_(std::move(refused)) {}

AuthenticateRelay::~AuthenticateRelay() = default;

void AuthenticateRelay::stop() {
    exchanges_.clear();
    for (Exchange* exchange : judged_) exchange->stream().abort(net::EndReason::Draining);
}

void AuthenticateRelay::forget_old() {
    const auto now = net::Clock::now();
    std::erase_if(exchanges_,
                  [now](const auto& item) { return now - item.second->since > kTimeToAnswer; });
}

Task<Result<AuthStep>> AuthenticateRelay::begin(AuthenticateRequest request) {
    forget_old();
    if (exchanges_.size() >= kMostExchanges)
        co_return fail(ErrorKind::Limit, "too many logins at once");
    std::optional<IpAddress> client;
    if (request.client) client = client_network(request.client->address);
    const auto of_this_client = std::ranges::count_if(exchanges_, [&client](const auto& item) {
        return client && item.second->client == client;
    });
    if (static_cast<std::size_t>(of_this_client) >= kMostOfOneClient)
        co_return fail(ErrorKind::Limit, "too many logins of one client at once");
    auto stream = connect_local(loop_, socket_);
    if (!stream) co_return std::unexpected(stream.error());
    std::optional<std::string> initial;
    if (request.initial) initial = base64_encode(*request.initial);
    const auto line = auth::write_request({.id = kRequest,
                                           .mechanism = request.mechanism,
                                           .service = request.service,
                                           .secured = true,
                                           .client = request.client,
                                           .local = {},
                                           .session_id = request.session_id,
                                           .initial = initial});
    auto exchange = std::make_unique<Exchange>(std::move(*stream));
    exchange->client = client;
    auto step = co_await go_on(std::move(exchange), line);
    co_return step;
}

Task<Result<AuthStep>> AuthenticateRelay::answer(std::string exchange, std::string data) {
    forget_old();
    auto node = exchanges_.extract(exchange);
    if (node.empty()) co_return fail(ErrorKind::NotFound, "no such exchange");
    const auto line = auth::write_continue(kRequest, base64_encode(data));
    auto step = co_await go_on(std::move(node.mapped()), line);
    co_return step;
}

Task<Result<AuthStep>> AuthenticateRelay::go_on(std::unique_ptr<Exchange> exchange,
                                                std::string line) {
    Result<AuthStep> step = no_answer("took too long");
    judged_.insert(exchange.get());
    try {
        step = co_await net::within(exchange->stream(), kTimeToJudge, converse(*exchange, line));
    } catch (const net::ConversationOver& over) {
        step = no_answer(std::string(net::name(over.reason())));
    }
    judged_.erase(exchange.get());
    if (!step) co_return step;
    if (auto* challenge = std::get_if<AuthChallenge>(&*step)) {
        challenge->exchange = random_name(24);
        exchange->since = net::Clock::now();
        exchanges_.emplace(challenge->exchange, std::move(exchange));
    }
    co_return step;
}

// The exchange is go_on()'s own.
// NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters)
Task<Result<AuthStep>> AuthenticateRelay::converse(Exchange& exchange, std::string line) {
    if (!exchange.greeted) {
        line = auth::write_handshake(static_cast<std::uint32_t>(::getpid())) + line;
        exchange.greeted = true;
    }
    co_await exchange.stream().write(line);
    while (true) {
        const auto message = co_await next_message(exchange);
        if (!message) co_return std::unexpected(message.error());
        if (const auto* go_on = std::get_if<auth::Continue>(&*message)) {
            auto data = base64_decode(go_on->data, kMaxMessage);
            if (!data) co_return no_answer("broken challenge");
            co_return AuthChallenge{{}, std::move(*data)};
        }
        if (const auto* failed = std::get_if<auth::Fail>(&*message))
            co_return AuthRefused{failed->temporary()};
        if (const auto* ok = std::get_if<auth::Ok>(&*message)) {
            // Dovecot leaves it to its own login processes to heed this.
            const bool fenced = ok->field("nologin").has_value() || refused_(ok->user());
            if (fenced) co_return AuthRefused{false};
            auto data = base64_decode(ok->field("resp").value_or(""), kMaxMessage);
            co_return AuthAccepted{std::string(ok->user()), data.value_or("")};
        }
    }
}

}  // namespace muster::backend
