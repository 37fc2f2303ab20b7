#include "backend/mail_out.h"

#include <array>
#include <random>
#include <utility>

#include "base/log.h"
#include "base/metrics.h"
#include "cluster/mail_host.h"
#include "net/connect.h"
#include "net/resolve.h"

namespace muster::backend {
namespace {

constexpr std::size_t kMostPassages = 100;
constexpr net::Duration kConnectTime{2'000};
constexpr net::Duration kGreetingTime{5'000};
/// Dovecot waits 30 s for a greeting (submission_timeout), and is told before that.
constexpr net::Duration kSearchTime{20'000};
constexpr net::Duration kAnswerTime{5'000};
constexpr net::Duration kIdleTime{600'000};  ///< RFC 5321, 4.5.3.2: 10 minutes for the last answer

constexpr std::string_view kNoExit = "421 4.4.1 No front end takes mail now; try again later\r\n";
constexpr std::string_view kTooMany = "421 4.3.2 Too many connections; try again later\r\n";

metrics::Counter& counter(const char* outcome) {
    return metrics::counter("muster_mail_out_total",
                            "Connections of this back end's Dovecot with mail made here",
                            {{"outcome", outcome}});
}

}  // namespace

void MailOut::Passage::abort() {
    if (pump != nullptr) return pump->abort(net::EndReason::Draining);
    client.abort(net::EndReason::Draining);
    if (server) server->abort(net::EndReason::Draining);
}

MailOut::MailOut(net::Loop& loop, const cluster::TopologyTable& topology, ExitSettings settings)
    : loop_(loop),
      topology_(topology),
      settings_(std::move(settings)),
      turns_(std::random_device()()) {}

MailOut::~MailOut() = default;

Result<> MailOut::start(const Endpoint& listen) {
    if (!listen.address.is_loopback()) {
        return fail(ErrorKind::Refused, "backend.mail_out_listen is for loopback addresses only");
    }
    auto listener = net::Listener::tcp(
        loop_, listen, [this](net::Accepted accepted) { tasks_.spawn(serve(accepted)); });
    if (!listener) {
        const Error& error = listener.error();
        return fail(error.kind, error.public_text, "backend.mail_out_listen: " + error.detail);
    }
    listener_ = std::move(*listener);
    return {};
}

Task<void> MailOut::stop() {
    stopping_ = true;
    if (listener_) listener_->close();
    for (Passage* passage : passages_) passage->abort();
    co_await tasks_.drained();
}

// What they refer to lives in serve(), which awaits them.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)

Task<void> MailOut::serve(net::Accepted accepted) {
    Passage passage{net::SocketStream(loop_, accepted.fd)};
    passages_.insert(&passage);
    try {
        co_await pass(passage);
    } catch (const net::ConversationOver& over) {
        log::debug("mail-out-ended", {{"reason", net::name(over.reason())}});
    } catch (const std::exception& error) {  // this conversation's end; Dovecot tries again
        log::error("mail-out-failed", {{"reason", error.what()}});
    }
    passages_.erase(&passage);
}

Task<void> MailOut::pass(Passage& passage) {
    const bool is_full = passages_.size() > kMostPassages;
    if (is_full || !co_await find_exit(passage)) {
        counter(is_full ? "too-many" : "no-front-end").add();
        const std::string_view answer = is_full ? kTooMany : kNoExit;
        co_await net::within(passage.client, kAnswerTime, passage.client.write(answer));
        co_return;
    }
    counter("passed").add();
    net::Pump pump(passage.client, *passage.server, kIdleTime);
    passage.pump = &pump;
    const net::Moved moved = co_await pump;
    passage.pump = nullptr;
    log::debug("mail-out-ended", {{"to_front_end", moved.to_server},
                                  {"from_front_end", moved.to_client},
                                  {"reason", net::name(moved.reason)}});
}

Task<bool> MailOut::find_exit(Passage& passage) {
    const auto until = net::Clock::now() + kSearchTime;
    const auto exits = mail_exits(*topology_.current(), settings_);
    for (const std::string& exit : turns_.next(exits, net::Clock::now())) {
        if (stopping_ || net::Clock::now() > until) break;
        const auto greeting = co_await greeting_of(passage, exit);
        note(exit, greeting);
        if (!greeting) continue;
        co_await net::within(passage.client, kAnswerTime, passage.client.write(*greeting));
        co_return true;
    }
    note_none(exits.size());
    co_return false;
}

Task<Result<std::string>> MailOut::greeting_of(Passage& passage, std::string exit) {
    passage.server.reset();
    const auto to = co_await endpoint_of(exit);
    if (!to) co_return std::unexpected(to.error());
    auto stream = co_await net::connect(loop_, *to, source_towards(to->address), kConnectTime);
    if (!stream) co_return std::unexpected(stream.error());
    passage.server = std::move(*stream);
    std::array<char, 512> buffer{};
    std::string greeting;
    auto reason = net::EndReason::ServerClosed;
    try {
        passage.server->expire_after(kGreetingTime);
        while (greeting.find('\n') == std::string::npos && greeting.size() < buffer.size()) {
            const std::size_t count = co_await passage.server->read_some(buffer);
            if (count == 0) break;
            greeting.append(buffer.data(), count);
        }
        passage.server->expire_never();
    } catch (const net::ConversationOver& over) {
        reason = over.reason();
    }
    if (is_welcome(greeting)) co_return greeting;
    const std::string why = greeting.empty() ? "no greeting (" + std::string(name(reason)) + ")"
                                             : greeting.substr(0, greeting.find_first_of("\r\n"));
    co_return fail(ErrorKind::Unavailable, "unavailable", why);
}

Task<Result<Endpoint>> MailOut::endpoint_of(std::string exit) {
    const auto host = cluster::MailHost::parse(exit);
    if (!host) co_return std::unexpected(host.error());
    if (const auto address = IpAddress::parse(host->name)) {
        co_return Endpoint{*address, host->port};
    }
    const auto addresses =
        co_await net::Blocking(loop_, resolving_, [&host] { return net::resolve(host->name); });
    if (!addresses) co_return std::unexpected(addresses.error());
    co_return Endpoint{addresses->front(), host->port};
}

// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)

/// Front ends trust the address in the server's entry: where this machine has it, we come from it.
std::optional<IpAddress> MailOut::source_towards(const IpAddress& to) const {
    const auto topology = topology_.current();
    const cluster::ServerView* dovecot = topology->server(settings_.server.view());
    if (dovecot == nullptr) return std::nullopt;
    const auto address = IpAddress::parse(dovecot->server.host);
    if (!address || address->is_v4() != to.is_v4() || !net::has_address(*address)) {
        return std::nullopt;
    }
    return *address;
}

void MailOut::note(const std::string& exit, const Result<std::string>& greeting) {
    if (greeting) {
        if (turns_.worked(exit)) log::info("mail-exit-back", {{"front_end", exit}});
        is_shut_ = false;
    } else if (!stopping_ && turns_.failed(exit, net::Clock::now())) {
        log::warning("mail-exit-skipped",
                     {{"front_end", exit}, {"reason", greeting.error().detail}});
    }
}

void MailOut::note_none(std::size_t tried) {
    if (stopping_ || std::exchange(is_shut_, true)) return;
    log::error("mail-exits-none", {{"known", tried}});
}

}  // namespace muster::backend
