#include "frontend/upstream.h"

#include "frontend/imap_upstream.h"
#include "frontend/pop3_upstream.h"
#include "frontend/sieve_upstream.h"
#include "frontend/smtp_upstream.h"

namespace muster::frontend {

Task<Result<>> Upstream::open() {
    if (target_->tls == cluster::TlsMode::Implicit) {
        if (auto done = co_await start_tls(); !done) co_return done;
    }
    opening_ = OpenStep::Greeting;
    if (auto greeted = co_await read_greeting(); !greeted) co_return greeted;
    if (target_->tls == cluster::TlsMode::StartTls) {
        opening_ = OpenStep::Tls;
        if (auto begun = co_await request_tls(); !begun) co_return begun;
        reader_.take_rest();  // what came behind the answer in clear may be anybody's
        if (auto done = co_await start_tls(); !done) co_return done;
    }
    opening_ = OpenStep::Capabilities;
    co_return co_await learn_capabilities();
}

Task<Result<>> Upstream::start_tls() {
    opening_ = OpenStep::Tls;
    auto done = co_await stream_->connect_tls(*target_->trust, target_->tls_name);
    if (!done) co_return fail(ErrorKind::Unavailable, "unavailable", done.error().detail);
    co_return Result<>{};
}

Task<Result<std::string_view>> Upstream::line() {
    constexpr std::size_t kMaxLine = 16384;
    constexpr unsigned kMaxLines = 1000;
    if (++lines_ > kMaxLines) co_return broken("lines without end");
    const auto read = co_await reader_.line(kMaxLine);
    if (!read) co_return broken("it closed the connection");
    if (then_) stream_->expire_after(*std::exchange(then_, std::nullopt));
    if (read->fault != net::LineFault::None) co_return broken("a line too long, or no text");
    co_return read->text;
}

void Upstream::allow(net::Duration first, net::Duration then) {
    stream_->expire_after(first);
    then_ = then;
}

bool Upstream::was_gone() const {
    return silent() && stream_->descriptor().ended() != net::EndReason::Deadline &&
           !reader_.has_more();
}

void Upstream::say_last(std::string_view text) {
    try {
        stream_->try_write(text);
    } catch (const net::ConversationOver&) {
        return;
    }
}

std::unexpected<Error> Upstream::broken(std::string_view what) {
    return fail(ErrorKind::Unavailable, "unavailable", "unexpected answer: " + std::string(what));
}

std::unique_ptr<Upstream> make_upstream(std::unique_ptr<net::SocketStream> stream,
                                        std::shared_ptr<const UpstreamTarget> target) {
    switch (target->service) {
        case cluster::Service::Pop3:
            return std::make_unique<Pop3Upstream>(std::move(stream), std::move(target));
        case cluster::Service::Sieve:
            return std::make_unique<SieveUpstream>(std::move(stream), std::move(target));
        case cluster::Service::Submission:
            return std::make_unique<SmtpUpstream>(std::move(stream), std::move(target));
        default: return std::make_unique<ImapUpstream>(std::move(stream), std::move(target));
    }
}

}  // namespace muster::frontend
