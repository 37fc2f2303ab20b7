#pragma once
// The agent: what Muster is to the Dovecot beside it.

#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "backend/authenticate_relay.h"
#include "backend/dict_session.h"
#include "backend/directory_view.h"
#include "backend/mail_out.h"
#include "backend/session_end.h"
#include "net/http_server.h"
#include "net/listener.h"
#include "net/socket_stream.h"

namespace muster::backend {

struct AgentSettings {
    ServerName server;  ///< the server entry that is this Dovecot
    std::string mail_root;
    uid_t mail_uid = 0;
    gid_t mail_gid = 0;
    std::filesystem::path auth_socket;      ///< for Dovecot's auth service: password keys
    std::string auth_group;                 ///< may use it; empty: only our own user
    std::filesystem::path mail_socket;      ///< for mail processes: shared mailboxes
    std::filesystem::path base_dir;         ///< Dovecot's
    std::filesystem::path relay_socket;     ///< where Dovecot's auth service listens
    std::string decoy_secret;               ///< see AuthoritySettings
    std::optional<Endpoint> lookup_listen;  ///< HTTP look-ups for Dovecot 2.4, on loopback only
    std::string lookup_secret;
    std::optional<Endpoint> mail_out_listen;  ///< where Dovecot hands in mail made here
    ExitSettings exits;
};

/// Lives on one loop (the control loop). start(), then stop() before destruction.
class Agent {
public:
    Agent(net::Loop& loop, std::shared_ptr<state::Replica> replica,
          const cluster::TopologyTable& topology, ShareWriter writer, AgentSettings settings);
    ~Agent();
    Agent(const Agent&) = delete;
    Agent& operator=(const Agent&) = delete;

    /// Opens the sockets and makes the mail root. Errors say what the operator must change.
    Result<> start();
    /// Lets nobody wait any longer for the end of sessions; stop() comes later.
    void give_up() { session_end_.give_up(); }
    Task<void> stop();

    /// A one-use token for a login as that account through that service (imap, pop3, sieve,
    /// smtp). NotFound, or Unavailable when the account is not served here.
    Result<Token> issue_token(std::string_view address, std::string_view service);
    AuthenticateRelay& authenticate() { return relay_; }
    /// What Dovecot said of a probe's login; empty when it asked for no such name lately.
    [[nodiscard]] std::optional<Probe> probe(std::string_view name) const {
        return authority_.probes.find(name, ProbeMemory::Clock::now());
    }
    /// Ends the account's sessions that run now; returns the number of processes.
    Task<Result<std::size_t>> kick(std::string address) {
        return session_end_.kick(std::move(address));
    }

private:
    Result<> listen(const std::filesystem::path& path, DictAccess access);
    Result<> own_socket(const std::filesystem::path& path, DictAccess access) const;
    Result<> make_mail_root() const;
    Result<> listen_http();
    Task<void> answer_http(net::HttpExchange& exchange);
    void accept(net::Accepted accepted, DictAccess access);
    Task<void> serve(net::Accepted accepted, DictAccess access);
    void watch();
    void changed(const std::vector<std::string>& addresses);
    void changed(const std::string& address);
    Task<void> end_former(std::string address, HomeChange change);
    bool found_open(const std::string& address, const std::string& home);
    void remember_deleted(const std::string& address);
    [[nodiscard]] bool refused(std::string_view address);
    [[nodiscard]] bool lives_behind_master(std::string_view address);
    [[nodiscard]] std::string homes_of(std::string_view address);

    net::Loop& loop_;
    AgentSettings settings_;
    AuthoritySettings authority_settings_;
    const cluster::TopologyTable& topology_;
    std::shared_ptr<state::Replica> replica_;
    DirectoryView view_;
    TokenStore tokens_;
    SharedMailboxes shares_;
    LetIn let_in_;
    std::unordered_set<std::string> deleted_;  ///< accounts, lately
    Authority authority_;
    AuthenticateRelay relay_;
    net::BlockingPool pool_{2};  ///< its own: AgentCalls' callers sit on the node's
    SessionEnd session_end_;
    std::vector<std::unique_ptr<net::Listener>> listeners_;
    std::unique_ptr<net::HttpServer> http_;
    MailOut mail_out_;
    std::set<net::SocketStream*> open_;
    TaskGroup tasks_;
    std::shared_ptr<Agent*> self_;  ///< what was posted finds out here that we are gone
    state::Watch watch_;
};

}  // namespace muster::backend
