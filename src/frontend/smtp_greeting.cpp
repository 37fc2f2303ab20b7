#include "frontend/smtp_greeting.h"

#include "net/line_reader.h"

namespace muster::frontend {

bool is_smtp(cluster::Service service) {
    return service == cluster::Service::Lmtp || service == cluster::Service::Submission ||
           service == cluster::Service::Smtp;
}

// The caller holds both and awaits at once.
// NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters)
Task<Result<>> read_smtp_greeting(net::SocketStream& stream, const UpstreamTarget& target) {
    constexpr std::size_t kLongestLine = 1024;
    if (target.tls == cluster::TlsMode::Implicit) {
        auto secured = co_await stream.connect_tls(*target.trust, target.tls_name);
        if (!secured) {
            co_return fail(ErrorKind::Unavailable, "unavailable", secured.error().detail);
        }
    }
    net::LineReader reader(stream);
    const auto line = co_await reader.line(kLongestLine);
    if (line && line->text.starts_with("220")) co_return Result<>{};
    co_return fail(ErrorKind::Unavailable, "unavailable", "no 220 greeting");
}

}  // namespace muster::frontend
