#pragma once
// Ends the sessions of accounts that may no longer be served here, until no process of Dovecot
// has their mail open: stopped processes and deliveries in progress included.

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "backend/dovecot_processes.h"
#include "base/task.h"
#include "net/blocking_pool.h"
#include "net/loop.h"

namespace muster::backend {

struct SessionEndSettings {
    std::filesystem::path base_dir;  ///< Dovecot's
    /// Between SIGTERM, upon which what is being saved may be finished, and SIGKILL.
    net::Duration grace{3000};
    /// A userdb answer of the moment before may still become a session for so long.
    net::Duration settle{1000};
    net::Duration look{250};      ///< between two looks at the processes
    net::Duration sweep{30'000};  ///< between two looks at all sessions
};

/// What was done so far about the processes of one account.
struct EndState {
    std::map<pid_t, net::Clock::time_point> told;  ///< got SIGTERM
    net::Clock::time_point last_seen;              ///< of any process; at first: the start
};
struct EndStep {
    std::vector<pid_t> terminate;
    std::vector<pid_t> kill;
    bool over = false;
};
/// What to do about the processes found in one look. Pure.
EndStep next_step(const std::vector<DovecotProcess>& found, EndState& state,
                  net::Clock::time_point now, const SessionEndSettings& settings);

/// Lives on one loop; signals only processes of its own Dovecot. stop() before destruction.
class SessionEnd {
public:
    /// Whether sessions of that address must not be here now. Called on the loop.
    using Refused = std::function<bool(std::string_view address)>;
    /// The folder that holds all homes of that account; empty: not known.
    using Home = std::function<std::string(std::string_view address)>;

    SessionEnd(net::Loop& loop, net::BlockingPool& pool, SessionEndSettings settings,
               Refused refused, Home home);

    /// Looks at all sessions now and every now and then: what was missed is caught up with.
    void start();
    Task<void> stop();

    /// An account that was let in here changed: ends its sessions if it is refused now.
    void changed(const std::string& address);
    /// Others changed: looks at all sessions until `settle` is over.
    void look_at_all();

    /// Ends what runs now, and for an account that is refused whatever may still begin; returns
    /// when it is gone, with the number of processes.
    Task<Result<std::size_t>> kick(std::string address);

private:
    using Processes = Result<std::vector<DovecotProcess>>;

    static constexpr std::size_t kMostAtOnce = 16;  ///< accounts: each look reads all of /proc

    Task<void> sweep_loop();
    Task<void> sweep_once();
    Task<void> end(std::string address);
    Task<Processes> find(std::string address, std::string home);
    Task<void> pause(net::Duration duration);
    void carry_out(const EndStep& step, const std::string& address);

    net::Loop& loop_;
    net::BlockingPool& pool_;
    SessionEndSettings settings_;
    Refused refused_;
    Home home_;
    TaskGroup tasks_;
    std::set<std::string, std::less<>> ending_;
    std::set<net::Sleep*> sleeping_;
    net::Sleep* until_sweep_ = nullptr;
    net::Clock::time_point look_until_;
    bool stopping_ = false;
};

}  // namespace muster::backend
