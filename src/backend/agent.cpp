#include "backend/agent.h"

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "backend/http_lookups.h"
#include "base/log.h"
#include "base/metrics.h"
#include "cluster/entry_keys.h"

namespace muster::backend {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostDeleted = 1'000'000;

std::unexpected<Error> cannot(std::string_view what, const fs::path& path, int error) {
    return fail(ErrorKind::Io, "cannot start",
                std::string(what) + " " + path.native() + ": " + std::strerror(error));
}

Result<> make_folder(const fs::path& path) {
    std::error_code error;
    fs::create_directories(path, error);
    if (error) return cannot("cannot make", path, error.value());
    return {};
}

}  // namespace

Agent::Agent(net::Loop& loop, std::shared_ptr<state::Replica> replica,
             const cluster::TopologyTable& topology, ShareWriter writer, AgentSettings settings)
    : loop_(loop),
      settings_(std::move(settings)),
      authority_settings_{settings_.server, settings_.mail_root, settings_.decoy_secret},
      topology_(topology),
      replica_(std::move(replica)),
      view_(topology),
      shares_(view_, std::move(writer)),
      authority_{view_, authority_settings_, tokens_, shares_, let_in_, {}, &loop},
      relay_(loop, settings_.relay_socket,
             [this](std::string_view name) { return refused(name) && !lives_behind_master(name); }),
      session_end_(
          loop, pool_, {.base_dir = settings_.base_dir, .mail_root = settings_.mail_root},
          [this](std::string_view name) { return refused(name); },
          [this](std::string_view name) { return homes_of(name); },
          [this](const auto& name, const auto& home) { return found_open(name, home); }),
      mail_out_(loop, topology, settings_.exits),
      self_(std::make_shared<Agent*>(this)) {}

Agent::~Agent() = default;

Result<> Agent::start() {
    if (auto made = make_mail_root(); !made) return made;
    if (auto bound = listen(settings_.auth_socket, DictAccess::Auth); !bound) return bound;
    if (auto bound = listen(settings_.mail_socket, DictAccess::Mail); !bound) return bound;
    if (auto bound = listen_http(); !bound) return bound;
    if (settings_.mail_out_listen) {
        if (auto bound = mail_out_.start(*settings_.mail_out_listen); !bound) return bound;
    }
    watch();
    session_end_.start();
    return {};
}

/// Dovecot makes the homes themselves, as the user who owns mail.
Result<> Agent::make_mail_root() const {
    if (fs::exists(settings_.mail_root)) return {};
    if (auto made = make_folder(settings_.mail_root); !made) return made;
    if (::geteuid() == 0 &&
        ::chown(settings_.mail_root.c_str(), settings_.mail_uid, settings_.mail_gid) != 0)
        return cannot("cannot give away", settings_.mail_root, errno);
    return {};
}

Result<> Agent::listen(const fs::path& path, DictAccess access) {
    if (auto made = make_folder(path.parent_path()); !made) return made;
    auto listener = net::Listener::local_socket(
        loop_, path, 0660, [this, access](net::Accepted accepted) { accept(accepted, access); });
    if (!listener) return std::unexpected(listener.error());
    listeners_.push_back(std::move(*listener));
    return own_socket(path, access);
}

Result<> Agent::own_socket(const fs::path& path, DictAccess access) const {
    constexpr auto kSame = static_cast<uid_t>(-1);
    if (access == DictAccess::Mail) {
        if (::geteuid() == 0 && ::chown(path.c_str(), settings_.mail_uid, settings_.mail_gid) != 0)
            return cannot("cannot give away", path, errno);
        return {};
    }
    if (settings_.auth_group.empty()) {
        if (::chmod(path.c_str(), 0600) != 0) return cannot("cannot protect", path, errno);
        return {};
    }
    const group* found = ::getgrnam(settings_.auth_group.c_str());
    if (found == nullptr)
        return fail(ErrorKind::NotFound, "cannot start", "no group " + settings_.auth_group);
    if (::chown(path.c_str(), kSame, found->gr_gid) != 0)
        return cannot("cannot give to group " + settings_.auth_group, path, errno);
    return {};
}

Result<> Agent::listen_http() {
    if (!settings_.lookup_listen) return {};
    if (!settings_.lookup_listen->address.is_loopback())
        return fail(ErrorKind::Refused, "look-ups over HTTP are for loopback addresses only");
    http_ = std::make_unique<net::HttpServer>(
        loop_, net::HttpLimits(),
        [this](net::HttpExchange& exchange) { return answer_http(exchange); });
    auto bound = http_->listen(*settings_.lookup_listen, nullptr);
    if (!bound) return std::unexpected(bound.error());
    return {};
}

// An exchange outlives its handler.
// NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters)
Task<void> Agent::answer_http(net::HttpExchange& exchange) {
    co_await exchange.respond(http_lookup(exchange.request(), authority_, settings_.lookup_secret));
}

Task<void> Agent::stop() {
    watch_ = {};
    self_.reset();
    for (auto& listener : listeners_) listener->close();
    for (net::SocketStream* stream : open_) stream->abort(net::EndReason::Draining);
    if (http_) co_await http_->close();
    co_await mail_out_.stop();
    co_await session_end_.stop();
    relay_.stop();
    co_await tasks_.drained();
}

void Agent::accept(net::Accepted accepted, DictAccess access) {
    tasks_.spawn(serve(accepted, access));
}

Task<void> Agent::serve(net::Accepted accepted, DictAccess access) {
    net::SocketStream stream(loop_, accepted.fd);
    open_.insert(&stream);
    DictSession session(stream, authority_, access);
    try {
        co_await session.run();
    } catch (const net::ConversationOver& over) {
        log::debug("dict-ended", {{"reason", net::name(over.reason())}});
    } catch (const std::exception& error) {  // this conversation's end; Dovecot opens another
        log::error("dict-failed", {{"reason", error.what()}});
        metrics::counter("muster_dict_failed_total",
                         "Dovecot's conversations ended by an error of the program")
            .add();
    }
    open_.erase(&stream);
}

void Agent::watch() {
    watch_ = replica_->watch(
        [&loop = loop_, weak = std::weak_ptr(self_)](const state::Changed& changed) {
            std::vector<std::string> addresses;
            for (std::string_view key : changed.keys)
                if (key.starts_with(cluster::kAccountPrefix))
                    addresses.emplace_back(key.substr(cluster::kAccountPrefix.size()));
            if (addresses.empty() && !changed.everything) return;
            loop.post([weak, addresses = std::move(addresses), all = changed.everything] {
                const auto self = weak.lock();
                if (!self) return;
                (*self)->changed(addresses);
                if (all) (*self)->session_end_.look_at_homes();
            });
        });
}

void Agent::changed(const std::vector<std::string>& addresses) {
    for (const auto& address : addresses) changed(address);
}

void Agent::changed(const std::string& address) {
    const auto standing = standing_of(address, view_, authority_settings_);
    if (!standing) return;
    const auto known = let_in_.find(address);
    if (standing->kind == Standing::Kind::Served) {
        const auto home = home_path(settings_.mail_root, standing->facts.id, standing->facts.epoch);
        // Another account by the same name, or its mailbox begun anew.
        if (known != let_in_.end() && known->second != home) {
            tasks_.spawn(end_former(address, {.former = known->second, .present = home}));
        }
        return;
    }
    if (standing->kind == Standing::Kind::Unknown) remember_deleted(address);
    if (known != let_in_.end())
        session_end_.changed(address);
    else
        session_end_.look_at_all();
}

void Agent::remember_deleted(const std::string& address) {
    if (deleted_.size() >= kMostDeleted) deleted_.clear();
    deleted_.insert(address);
}

/// What stands in a home of ours was let in by us, be it before this process began: a name that is
/// no account any more was one.
bool Agent::found_open(const std::string& address, const std::string& home) {
    const auto standing = standing_of(address, view_, authority_settings_);
    if (!standing) return false;
    if (standing->kind == Standing::Kind::Unknown) remember_deleted(address);
    if (standing->kind != Standing::Kind::Served) return true;
    const AccountFacts& facts = standing->facts;
    const auto present = home_path(settings_.mail_root, facts.id, facts.epoch);
    if (home != present) {
        tasks_.spawn(end_former(address, {.former = home, .present = present}));
    }
    return true;
}

Task<void> Agent::end_former(std::string address, HomeChange change) {
    const auto ended = co_await session_end_.kick_former(address, std::move(change));
    if (!ended)
        log::warning("sessions-not-ended",
                     {{"account", address}, {"reason", ended.error().detail}});
}

/// Names that we do not know are refused only if they were accounts: Dovecot may have users of
/// its own beside ours.
bool Agent::refused(std::string_view address) {
    const auto standing = standing_of(address, view_, authority_settings_);
    if (!standing) return false;
    const std::string name(address);
    if (standing->kind == Standing::Kind::Unknown)
        return let_in_.contains(name) || deleted_.contains(name);
    return standing->kind != Standing::Kind::Served;
}

/// On a foreign server that takes a master user: it cannot judge its own users' passwords for us,
/// so any back end does, by the keys of the state.
bool Agent::lives_behind_master(std::string_view address) {
    const auto standing = standing_of(address, view_, authority_settings_);
    if (!standing || standing->kind != Standing::Kind::Elsewhere) return false;
    if (standing->facts.disabled) return false;
    const auto topology = topology_.current();
    const cluster::ServerView* home = topology->server(standing->facts.home.view());
    return home != nullptr && home->server.kind == cluster::ServerKind::Foreign &&
           home->server.login == cluster::LoginMode::Master;
}

std::string Agent::homes_of(std::string_view address) {
    const auto standing = standing_of(address, view_, authority_settings_);
    if (!standing || standing->kind == Standing::Kind::Unknown) return "";
    return homes_path(settings_.mail_root, standing->facts.id);
}

Result<Token> Agent::issue_token(std::string_view address, std::string_view service) {
    const auto standing = standing_of(address, view_, authority_settings_);
    if (!standing) return std::unexpected(standing.error());
    if (standing->kind == Standing::Kind::Unknown)
        return fail(ErrorKind::NotFound, "no such account");
    if (standing->kind != Standing::Kind::Served)
        return fail(ErrorKind::Unavailable, "the account is not served here");
    return tokens_.issue(standing->facts.id, service, TokenStore::Clock::now());
}

}  // namespace muster::backend
