#include "frontend/smtp_greeting.h"

#include "base/log.h"
#include "net/line_reader.h"
#include "wire/ascii.h"

namespace muster::frontend {

// The callers hold what they pass and await at once.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)
namespace {

constexpr std::size_t kLongestReply = 1024;

/// Whether it lists STARTTLS in its answer to the salutation.
Task<bool> offers_tls(net::LineReader& reader) {
    constexpr int kMostLines = 100;
    bool offered = false;
    for (int lines = 0; lines < kMostLines; ++lines) {
        const auto line = co_await reader.line(kLongestReply);
        if (!line || line->fault != net::LineFault::None) co_return false;
        if (line->text.starts_with("220")) continue;  // a greeting of several lines
        if (!line->text.starts_with("250") || line->text.size() < 4) co_return false;
        if (wire::equal_folded(line->text.substr(4), "STARTTLS")) offered = true;
        if (line->text[3] == ' ') co_return offered;
    }
    co_return false;
}

}  // namespace

bool is_smtp(cluster::Service service) {
    return service == cluster::Service::Lmtp || service == cluster::Service::Submission ||
           service == cluster::Service::Smtp;
}

Task<Result<>> read_smtp_greeting(net::SocketStream& stream, const UpstreamTarget& target) {
    if (target.tls == cluster::TlsMode::Implicit) {
        auto secured = co_await stream.connect_tls(*target.trust, target.tls_name);
        if (!secured) {
            co_return fail(ErrorKind::Unavailable, "unavailable", secured.error().detail);
        }
    }
    net::LineReader reader(stream);
    const auto line = co_await reader.line(kLongestReply);
    if (line && line->text.starts_with("220")) co_return Result<>{};
    co_return fail(ErrorKind::Unavailable, "unavailable", "no 220 greeting");
}

Task<void> start_smtp_tls(net::SocketStream& stream, const UpstreamTarget& target) {
    net::LineReader reader(stream);
    const bool lmtp = target.service == cluster::Service::Lmtp;
    co_await stream.write(lmtp ? "LHLO muster.invalid\r\n" : "EHLO muster.invalid\r\n");
    if (!co_await offers_tls(reader)) co_return;
    co_await stream.write("STARTTLS\r\n");
    const auto ready = co_await reader.line(kLongestReply);
    if (!ready || !ready->text.starts_with("220")) co_return;
    const auto secured = co_await stream.connect_tls(*target.trust, target.tls_name);
    if (!secured) {
        log::debug("smtp-tls-failed",
                   {{"server", target.server}, {"reason", secured.error().detail}});
    }
}

// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)
}  // namespace muster::frontend
