#pragma once
// One client connection, from accept to its end: PROXY header, TLS, login, pump.

#include <memory>
#include <optional>
#include <string>

#include "cluster/route.h"
#include "cluster/session_table.h"
#include "frontend/client_session.h"
#include "frontend/login_attempt.h"
#include "frontend/upstream.h"
#include "frontend/verifier.h"
#include "frontend/worker.h"
#include "net/pump.h"
#include "net/socket_stream.h"

namespace muster::frontend {

/// Lives in the coroutine Worker::serve(), beside its pump, on the worker's thread. Small, since it
/// stays for the whole session: what a login needs lives in log_in() and is gone when the pump
/// starts.
class Connection final : public cluster::Kickable {
public:
    Connection(Worker& worker, const ListenerSettings& listener, int fd);
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection();

    using Server = std::unique_ptr<net::SocketStream>;

    /// Everything before the pump, for a client that came from `peer`; null when it left or was
    /// sent away. `local` is where it connected to.
    Task<Server> log_in(Endpoint client, Endpoint local);
    /// The last phase has begun (it ends with ended()).
    void pumping(net::Pump& pump) { pump_ = &pump; }
    void ended(const net::Moved& moved);
    /// An exception that no session should have met ends this one.
    void failed(std::string_view why);
    [[nodiscard]] net::SocketStream& client() { return client_; }

    void end(net::EndReason reason);
    /// Sends away a client that is not logged in, with a farewell.
    void dismiss();
    void kick(std::string_view reason) override;
    [[nodiscard]] bool logged_in() const { return handle_.has_value(); }
    [[nodiscard]] Connection* next() const { return next_; }

private:
    struct Entry {
        wire::sasl::Mechanism mechanism;
        std::string message;
        std::string before_success = {};  ///< of what the protocol's success line says
    };
    struct Judged {
        EntryCredentials credentials;
        std::string before_success;
    };

    Task<bool> admit(const Peer& peer);
    Task<Server> identify_and_hand_over(ClientSession& session, const Peer& peer);
    Task<Result<Server>> hand_over(ClientSession& session, const Peer& peer, const Login& login,
                                   LoginAttempt& attempt);
    /// What the server is entered with when that is not what the client sent: has the client's
    /// credentials judged at a back end first.
    Task<Result<Judged>> verify(LoginAttempt& attempt, const Login& login,
                                const cluster::Route& route);
    /// The first message for the server, and by which mechanism.
    Task<Result<Entry>> entry_for(LoginAttempt& attempt, const Login& login,
                                  const cluster::Route& route);
    Task<void> answer_failure(ClientSession& session, const Peer& peer, const Login& login,
                              LoginAttempt& attempt, Error error);
    void record(const Peer& peer, const cluster::Route& route);
    /// Whether a line about this session is wanted: by the level of its server's service, or where
    /// that is the default or no server is chosen, by the node's.
    [[nodiscard]] bool logs(log::Level level) const;

    Worker& worker_;
    const ListenerSettings& listener_;
    net::SocketStream client_;
    net::Pump* pump_ = nullptr;
    LoginAttempt* attempt_ = nullptr;  ///< while the client's login is judged
    net::Sleep* penalty_ = nullptr;    ///< while a failed login is delayed
    Connection* previous_ = nullptr;
    Connection* next_ = nullptr;
    SessionId id_;
    std::optional<cluster::SessionHandle> handle_;  ///< once logged in
    IpAddress counted_;                             ///< what the guard counted in
    bool is_counted_ = false;
    log::Level log_ = log::Level::Info;  ///< its server's
};

std::unique_ptr<ClientSession> make_session(SessionHost& host, const ListenerSettings& listener,
                                            net::SocketStream& client, const Peer& peer);

}  // namespace muster::frontend
