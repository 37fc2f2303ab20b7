#pragma once
// The way out for mail that is made on a back end (Sieve's redirects, vacations and rejects):
// Dovecot hands it in on loopback, and it goes on to one of the front ends.

#include <memory>
#include <set>
#include <string>

#include "backend/mail_exits.h"
#include "net/blocking_pool.h"
#include "net/listener.h"
#include "net/pump.h"

namespace muster::backend {

/// Moves bytes only: the front end speaks SMTP with Dovecot, and takes the mail because it comes
/// from a server of the cluster. Lives on one loop; start(), then stop() before destruction.
class MailOut {
public:
    MailOut(net::Loop& loop, const cluster::TopologyTable& topology, ExitSettings settings);
    ~MailOut();
    MailOut(const MailOut&) = delete;
    MailOut& operator=(const MailOut&) = delete;

    /// Refused unless `listen` is a loopback address: whoever connects may send to anywhere.
    Result<> start(const Endpoint& listen);
    /// Ends what is under way; Dovecot tries again.
    Task<void> stop();

private:
    /// One connection of Dovecot's, and what can be aborted of it.
    struct Passage {
        net::SocketStream client;
        std::unique_ptr<net::SocketStream> server{};
        net::Pump* pump = nullptr;
        void abort();
    };

    Task<void> serve(net::Accepted accepted);
    Task<void> pass(Passage& passage);
    /// Connects to an exit that greets, and says its greeting to the client; false when none does.
    Task<bool> find_exit(Passage& passage);
    /// What the exit greets with. Unavailable when it cannot be connected or takes no mail now.
    Task<Result<std::string>> greeting_of(Passage& passage, std::string exit);
    Task<Result<Endpoint>> endpoint_of(std::string exit);
    [[nodiscard]] std::optional<IpAddress> source_towards(const IpAddress& to) const;
    void note(const std::string& exit, const Result<std::string>& greeting);
    void note_none(std::size_t tried);

    net::Loop& loop_;
    const cluster::TopologyTable& topology_;
    const ExitSettings settings_;
    ExitTurns turns_;
    bool is_shut_ = false;  ///< no front end took the last one
    bool stopping_ = false;
    net::BlockingPool resolving_{1};  ///< its own: names may take long, and end no sessions late
    std::unique_ptr<net::Listener> listener_;
    std::set<Passage*> passages_;
    TaskGroup tasks_;
};

}  // namespace muster::backend
