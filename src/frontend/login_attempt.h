#pragma once
// One login under way: its turn among those of its client, and the exchange with whoever judges it.

#include <memory>
#include <optional>
#include <string>

#include "cluster/route.h"
#include "frontend/client_guard.h"
#include "frontend/client_session.h"
#include "frontend/upstream.h"
#include "frontend/verifier.h"
#include "frontend/worker.h"

namespace muster::frontend {

/// Lives in the session's coroutine, on its worker's thread, and is withdrawn unless its end was
/// told. What it is made of, and what is passed by reference, outlives it. Waiting functions throw
/// ConversationOver when the client is gone.
class LoginAttempt {
public:
    /// `place` names it while it lives, for who ends the session.
    LoginAttempt(Worker& worker, ClientSession& session, const Peer& peer, LoginAttempt*& place)
        : worker_(worker), session_(session), peer_(peer), place_(place) {
        place_ = this;
    }
    LoginAttempt(const LoginAttempt&) = delete;
    LoginAttempt& operator=(const LoginAttempt&) = delete;
    ~LoginAttempt() {
        withdrawn();
        place_ = nullptr;
    }

    /// The account's home, for `service`. Refused: nobody can have that name.
    Result<cluster::Route> find_route(cluster::Service service, const Login& login);
    /// Waits for this client address's turn to have credentials judged at `server`: whether it had
    /// to wait, or an error: it has failed too often.
    Task<Result<bool>> begin(std::string server);

    /// Has the credentials judged at a back end, and relays the exchange. Accepted, and the
    /// account's own; Refused; Unavailable: nobody could judge; Syntax: the client cancelled.
    Task<Result<VerifyStep>> judge(const Login& login, const cluster::Route& route,
                                   cluster::Service service, bool wants_token);
    /// Brings the client the judge's last message (base64), if there is one; what goes in front of
    /// the success line's text.
    Task<Result<std::string>> conclude(std::string last);

    struct Entered {
        std::unique_ptr<Upstream> upstream;
        std::string success;  ///< for the protocol's success line
    };
    /// Reaches the server and logs in there, relaying the exchange; anew where a warm connection
    /// had died unnoticed.
    Task<Result<Entered>> enter(cluster::Service service, const cluster::Route& route,
                                UpstreamLogin login);

    void succeeded();
    /// How long to wait before the answer.
    net::Duration failed();
    /// Nobody has judged it.
    void withdrawn();
    /// begin() gave it its turn, and its end was not told.
    [[nodiscard]] bool under_way() const { return attempt_ != ClientGuard::Attempt::None; }

    /// Ends the conversation with a server that is being asked; `hurry`: its deadline is now.
    void end(net::EndReason reason);
    void hurry();

private:
    Task<Result<VerifyStep>> relay(VerifyRequest request);
    Task<Result<std::string>> converse(Worker::Reached& server, UpstreamLogin login);
    /// The client's answer to a challenge; empty when it cancels.
    Task<std::optional<std::string>> ask(const std::string& challenge);
    void note_introduction(const Upstream& upstream);
    [[nodiscard]] ClientGuard& guard() { return worker_.shared().guard; }
    [[nodiscard]] ClientGuard::Attempt taken();

    Worker& worker_;
    ClientSession& session_;
    const Peer& peer_;
    LoginAttempt*& place_;
    ClientGuard::Attempt attempt_ = ClientGuard::Attempt::None;
    net::Stream* server_ = nullptr;  ///< while it is asked to log the client in
};

/// The first message with the account's full address; SCRAM's is signed and stays as it is.
Result<std::string> message_for(const Login& login, const AccountAddress& account);

}  // namespace muster::frontend
