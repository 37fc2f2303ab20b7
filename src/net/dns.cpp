#include "net/dns.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unbound.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <utility>

namespace muster::net {
namespace {

constexpr std::size_t kMaxName = 253;
constexpr int kClassIn = 1;
// libunbound goes on with a question whose asker has gone, and ub_cancel() does not change that.
// Of such there may be so many before those who wait less than others are not asked for, or nobody
// is.
constexpr std::size_t kMostLeftByHasty = 512;
constexpr std::size_t kMostLeft = 8192;

using Rdata = std::span<const unsigned char>;

/// An uncompressed name as it stands in rdata (RFC 1035, 3.1), lower case; nothing when malformed
/// or when a label has other than letters, digits, hyphens and underscores.
std::optional<std::string> read_name(Rdata data) {
    std::string name;
    while (!data.empty()) {
        const std::size_t length = data[0];
        if (length == 0) return data.size() == 1 ? std::optional(name) : std::nullopt;
        constexpr std::size_t kMaxLabel = 63;
        if (length > kMaxLabel || length >= data.size()) return std::nullopt;
        if (!name.empty()) name += '.';
        for (const unsigned char c : data.subspan(1, length)) {
            if (std::isalnum(c) == 0 && c != '-' && c != '_') return std::nullopt;
            name += static_cast<char>(std::tolower(c));
        }
        data = data.subspan(length + 1);
        if (name.size() > kMaxName) return std::nullopt;
    }
    return std::nullopt;
}

void add_mx(DnsAnswer& answer, Rdata data) {
    constexpr std::size_t kPreference = 2;
    if (data.size() <= kPreference) return;
    auto host = read_name(data.subspan(kPreference));
    if (!host) return;
    answer.mx.push_back({static_cast<std::uint16_t>(data[0] << 8 | data[1]), std::move(*host)});
}

void add_address(DnsAnswer& answer, Rdata data) {
    IpAddress::V4 v4{};
    IpAddress::V6 v6{};
    if (data.size() == v4.size()) {
        std::ranges::copy(data, v4.begin());
        answer.addresses.push_back(IpAddress::from_v4(v4));
    } else if (data.size() == v6.size()) {
        std::ranges::copy(data, v6.begin());
        answer.addresses.push_back(IpAddress::from_v6(v6));
    }
}

std::string octets(Rdata data) { return {reinterpret_cast<const char*>(data.data()), data.size()}; }

void add_tlsa(DnsAnswer& answer, Rdata data) {
    constexpr std::size_t kFields = 3;
    if (data.size() <= kFields) return;
    answer.tlsa.push_back({data[0], data[1], data[2], octets(data.subspan(kFields))});
}

/// The strings of one TXT record put together.
void add_text(DnsAnswer& answer, Rdata data) {
    std::string text;
    while (!data.empty()) {
        const std::size_t length = data[0];
        if (length >= data.size()) return;
        text += octets(data.subspan(1, length));
        data = data.subspan(length + 1);
    }
    answer.texts.push_back(std::move(text));
}

void add_pointer(DnsAnswer& answer, Rdata data) {
    if (auto name = read_name(data); name && !name->empty()) {
        answer.names.push_back(std::move(*name));
    }
}

void add(DnsAnswer& answer, DnsType type, Rdata data) {
    switch (type) {
        case DnsType::Mx: return add_mx(answer, data);
        case DnsType::Tlsa: return add_tlsa(answer, data);
        case DnsType::Txt: return add_text(answer, data);
        case DnsType::Ptr: return add_pointer(answer, data);
        case DnsType::A:
        case DnsType::Aaaa: return add_address(answer, data);
    }
}

std::string without_dot(std::string_view name) {
    if (name.ends_with('.')) name.remove_suffix(1);
    std::string text(name);
    std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
    return text;
}

DnsAnswer failed(std::string reason) {
    DnsAnswer answer;
    answer.reason = std::move(reason);
    return answer;
}

/// More do not fit into 64 KiB, the largest answer: 2 octets of preference, 1 of a name, 12 around.
constexpr std::size_t kMaxMxRead = 5000;

DnsAnswer read_result(const ub_result& result, DnsType type) {
    constexpr int kServFail = 2;
    constexpr int kNxDomain = 3;
    DnsAnswer answer;
    answer.secure = result.secure != 0;
    answer.ttl = static_cast<unsigned>(std::max(result.ttl, 0));
    if (result.canonname != nullptr) answer.canonical_name = without_dot(result.canonname);
    if (result.bogus != 0) {
        answer.state = DnsAnswer::State::Bogus;
        answer.reason = result.why_bogus == nullptr ? "DNSSEC validation failed" : result.why_bogus;
    } else if (result.nxdomain != 0 || result.rcode == kNxDomain) {
        answer.state = DnsAnswer::State::NoName;
    } else if (result.rcode != 0) {
        answer.reason = result.rcode == kServFail ? "no server gave an answer (SERVFAIL)"
                                                  : "rcode " + std::to_string(result.rcode);
    } else {
        answer.state = result.havedata != 0 ? DnsAnswer::State::Found : DnsAnswer::State::NoData;
        // Of MX records, whose order says nothing, the preferred ones are kept.
        const std::size_t most = type == DnsType::Mx ? kMaxMxRead : DnsAnswer::kMaxRecords;
        for (std::size_t i = 0; i < most && result.data[i] != nullptr; ++i) {
            add(answer, type,
                {reinterpret_cast<const unsigned char*>(result.data[i]),
                 static_cast<std::size_t>(result.len[i])});
        }
        if (answer.mx.size() > DnsAnswer::kMaxRecords) {
            std::ranges::sort(answer.mx, {}, &MxRecord::preference);
            answer.mx.resize(DnsAnswer::kMaxRecords);
        }
    }
    return answer;
}

bool is_askable(std::string_view name) {
    if (name.empty() || name.size() > kMaxName || name.front() == '.') return false;
    std::size_t label = 0;
    for (const char c : name) {
        constexpr std::size_t kMaxLabel = 63;
        const bool usual = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
        if (c == '.') {
            if (label == 0) return false;
            label = 0;
        } else if (!usual || ++label > kMaxLabel) {
            return false;
        }
    }
    return true;
}

struct ContextDeleter {
    void operator()(ub_ctx* context) const { ub_ctx_delete(context); }
};

std::unexpected<Error> unusable(const std::string& what, int error) {
    return fail(ErrorKind::Refused, "DNS: cannot use " + what + ": " + ub_strerror(error));
}

}  // namespace

/// libunbound's answers come through a pipe, which one thread of ours reads and passes on.
struct Resolver::Impl {
    class Question;
    /// What libunbound gives back with an answer. It stays until then, or until the end: a question
    /// that ran out of time leaves it behind without itself.
    struct Ticket {
        Impl* impl;
        std::shared_ptr<Question> question;
    };

    std::unique_ptr<ub_ctx, ContextDeleter> context{ub_ctx_create()};
    Duration time_out{};
    int stop_event = -1;
    std::mutex mutex;
    std::map<Ticket*, std::unique_ptr<Ticket>> tickets;
    std::size_t left_behind = 0;  ///< tickets without a question
    std::thread reader;

    Impl() = default;
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
    ~Impl();

    Result<> configure(const ResolverSettings& settings);
    Result<> configure_servers(const ResolverSettings& settings);
    Result<> start();
    void read_answers();
    Ticket* ask(const std::shared_ptr<Question>& question);
    void abandon(Ticket* ticket, const Question* question);
    bool may_ask(Duration patience);
    void give_up(Loop& loop);
    static void answered(void* ticket, int error, ub_result* result);
};

/// Waits on its loop's thread; the answer is posted there.
class Resolver::Impl::Question final : public Timer, public std::enable_shared_from_this<Question> {
public:
    Question(Impl& impl, Loop& loop, std::string name, DnsType type, Duration patience)
        : name(std::move(name)), type(type), loop(loop), impl_(impl), patience_(patience) {}
    virtual ~Question() = default;

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) {
        waiter_ = waiter;
        loop.arm(*this, patience_);
        ticket_ = impl_.ask(shared_from_this());
    }
    DnsAnswer await_resume() { return std::move(answer_); }

    void finish(DnsAnswer answer) {
        if (!waiter_) return;  // it was too late
        disarm();
        answer_ = std::move(answer);
        std::exchange(waiter_, nullptr).resume();
    }
    void expired() override {
        impl_.abandon(ticket_, this);
        finish(failed("no answer in time"));
    }

    const std::string name;
    const DnsType type;
    Loop& loop;

private:
    Impl& impl_;
    const Duration patience_;
    Ticket* ticket_ = nullptr;
    std::coroutine_handle<> waiter_;
    DnsAnswer answer_;
};

Result<> Resolver::Impl::configure_servers(const ResolverSettings& settings) {
    for (const std::string& server : settings.servers) {
        if (const int error = ub_ctx_set_fwd(context.get(), server.c_str()); error != 0) {
            return unusable("server " + server, error);
        }
    }
    if (!settings.servers.empty() || settings.resolv_conf.empty()) return {};
    const int error = ub_ctx_resolvconf(context.get(), settings.resolv_conf.c_str());
    if (error != 0) return unusable(settings.resolv_conf, error);
    return {};
}

Result<> Resolver::Impl::configure(const ResolverSettings& settings) {
    if (!context) return fail(ErrorKind::Io, "DNS: no resolver can be made");
    ub_ctx_debugout(context.get(), nullptr);  // its errors are ours to tell
    time_out = settings.time_out;
    // Answers for private addresses are the site's servers' to give; some listen on loopback.
    for (const auto& [option, value] : {std::pair{"do-not-query-localhost:", "no"},
                                        {"unblock-lan-zones:", "yes"},
                                        {"insecure-lan-zones:", "yes"}}) {
        if (const int error = ub_ctx_set_option(context.get(), option, value); error != 0) {
            return unusable(option, error);
        }
    }
    if (auto set = configure_servers(settings); !set) return set;
    if (!settings.hosts_file.empty()) {
        const int error = ub_ctx_hosts(context.get(), settings.hosts_file.c_str());
        if (error != 0) return unusable(settings.hosts_file, error);
    }
    if (!settings.trust_anchor.empty()) {
        const int error = ub_ctx_add_ta_file(context.get(), settings.trust_anchor.c_str());
        if (error != 0) return unusable(settings.trust_anchor, error);
    }
    if (const int error = ub_ctx_async(context.get(), 1); error != 0) {
        return unusable("threads", error);
    }
    return {};
}

Result<> Resolver::Impl::start() {
    stop_event = eventfd(0, EFD_CLOEXEC);
    if (stop_event < 0) return fail(ErrorKind::Io, "DNS: no event descriptor");
    // Reads the trust anchor and whatever else is only found wrong with the first question.
    const int error = ub_ctx_zone_remove(context.get(), "test.");
    if (error != 0) return unusable("the settings", error);
    reader = std::thread([this] { read_answers(); });
    return {};
}

Resolver::Impl::~Impl() {
    if (reader.joinable()) {
        eventfd_write(stop_event, 1);
        reader.join();
    }
    if (stop_event >= 0) ::close(stop_event);
    context.reset();  // no answer comes any more
}

void Resolver::Impl::read_answers() {
    for (;;) {
        std::array<pollfd, 2> wanted{
            pollfd{.fd = ub_fd(context.get()), .events = POLLIN, .revents = 0},
            pollfd{.fd = stop_event, .events = POLLIN, .revents = 0}};
        if (poll(wanted.data(), wanted.size(), -1) < 0 && errno != EINTR) return;
        if (wanted[1].revents != 0) return;
        if (wanted[0].revents != 0) ub_process(context.get());
    }
}

Resolver::Impl::Ticket* Resolver::Impl::ask(const std::shared_ptr<Question>& question) {
    auto owned = std::make_unique<Ticket>(this, question);
    Ticket* const ticket = owned.get();
    {
        const std::scoped_lock lock(mutex);
        tickets.emplace(ticket, std::move(owned));
    }
    const int error =
        ub_resolve_async(context.get(), question->name.c_str(), static_cast<int>(question->type),
                         kClassIn, ticket, &Impl::answered, nullptr);
    if (error != 0) answered(ticket, error, nullptr);
    return ticket;
}

/// An answer may be on its way already, and the ticket's place another question's.
void Resolver::Impl::abandon(Ticket* ticket, const Question* question) {
    const std::scoped_lock lock(mutex);
    const auto found = tickets.find(ticket);
    if (found == tickets.end() || found->second->question.get() != question) return;
    found->second->question.reset();
    ++left_behind;
}

bool Resolver::Impl::may_ask(Duration patience) {
    const std::scoped_lock lock(mutex);
    return left_behind < (patience < time_out ? kMostLeftByHasty : kMostLeft);
}

void Resolver::Impl::give_up(Loop& loop) {
    std::vector<std::shared_ptr<Question>> left;
    {
        const std::scoped_lock lock(mutex);
        for (const auto& [ticket, owned] : tickets) {
            const bool waits = owned->question && &owned->question->loop == &loop;
            if (!waits) continue;
            left.push_back(std::exchange(owned->question, nullptr));
            ++left_behind;
        }
    }
    for (const auto& question : left) question->finish(failed("given up"));
}

/// On the reader's thread.
void Resolver::Impl::answered(void* argument, int error, ub_result* result) {
    auto* const ticket = static_cast<Ticket*>(argument);
    const std::unique_ptr<ub_result, decltype(&ub_resolve_free)> owned(result, &ub_resolve_free);
    Impl& impl = *ticket->impl;
    // A loop lives as long as a question waits on it, so it is asked under the lock.
    const std::scoped_lock lock(impl.mutex);
    const auto question = ticket->question;
    impl.tickets.erase(ticket);
    if (!question) {
        --impl.left_behind;
        return;
    }
    auto answer = error == 0 && result != nullptr ? read_result(*result, question->type)
                                                  : failed(ub_strerror(error));
    question->loop.post(
        [question, answer = std::move(answer)]() mutable { question->finish(std::move(answer)); });
}

Result<std::unique_ptr<Resolver>> Resolver::create(const ResolverSettings& settings) {
    auto impl = std::make_unique<Impl>();
    if (auto set = impl->configure(settings); !set) return std::unexpected(set.error());
    if (auto started = impl->start(); !started) return std::unexpected(started.error());
    return std::unique_ptr<Resolver>(new Resolver(std::move(impl)));
}

Resolver::Resolver(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Resolver::~Resolver() = default;

void Resolver::give_up(Loop& loop) { impl_->give_up(loop); }

// The caller's loop outlives its task.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)
Task<DnsAnswer> Resolver::ask(Loop& loop, std::string name, DnsType type, Duration patience) {
    name = without_dot(name);
    if (!is_askable(name)) {
        DnsAnswer answer;
        answer.state = DnsAnswer::State::NoName;
        co_return answer;
    }
    if (!impl_->may_ask(patience)) co_return failed("too many questions have no answer");
    const auto question = std::make_shared<Impl::Question>(*impl_, loop, std::move(name), type,
                                                           std::min(patience, impl_->time_out));
    co_return co_await *question;
}

Task<DnsAnswer> Resolver::names_of(Loop& loop, IpAddress address) {
    co_return co_await ask(loop, reverse_name(address), DnsType::Ptr);
}

// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)
std::string reverse_name(const IpAddress& address) {
    std::string name;
    if (address.is_v4()) {
        const auto bytes = address.v4();
        for (auto each = bytes.rbegin(); each != bytes.rend(); ++each) {
            name += std::to_string(*each) + '.';
        }
        return name + "in-addr.arpa";
    }
    constexpr std::string_view kDigits = "0123456789abcdef";
    const auto& bytes = address.v6();
    for (auto each = bytes.rbegin(); each != bytes.rend(); ++each) {
        name += {kDigits[*each & 0xf], '.', kDigits[*each >> 4], '.'};
    }
    return name + "ip6.arpa";
}

}  // namespace muster::net
