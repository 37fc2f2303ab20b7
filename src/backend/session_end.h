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
    /// When it is given up: a process that waits for a disk or a network share dies of no signal.
    net::Duration deadline{15'000};
    std::string mail_root{};  ///< where homes of accounts are; empty: not known
};

/// What was done so far about the processes of one account.
struct EndState {
    struct Told {
        net::Clock::time_point at;  ///< of the first signal
        bool killed = false;
    };
    net::Clock::time_point start;
    net::Clock::time_point last_seen;  ///< of any process; at first: the start
    std::map<pid_t, Told> told{};
};
struct EndStep {
    std::vector<pid_t> terminate;
    std::vector<pid_t> kill;
    std::vector<pid_t> stuck;  ///< still there when the time is over
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
    /// A session was found in a home of ours: for what changed while nobody watched. False when
    /// it cannot be judged yet; it is asked again then. Called on the loop.
    using Found = std::function<bool(const std::string& address, const std::string& home)>;

    SessionEnd(net::Loop& loop, net::BlockingPool& pool, SessionEndSettings settings,
               Refused refused, Home home, Found found);

    /// Looks at all sessions now and every now and then: what was missed is caught up with.
    void start();
    /// Ends all waiting at once: nothing is awaited any more, kick() says that it broke off.
    void give_up();
    Task<void> stop();

    /// An account that was let in here changed: ends its sessions if it is refused now.
    void changed(const std::string& address);
    /// Others changed: looks at all sessions until `settle` is over.
    void look_at_all();
    /// More changed than can be told: looks at the homes of all sessions, too.
    void look_at_homes();

    /// Ends what runs now, and for an account that is refused whatever may still begin; returns
    /// when it is gone, with the number of processes. Unavailable: Dovecot does not answer, the
    /// node stops, or processes are left at the deadline (they are named).
    Task<Result<std::size_t>> kick(std::string address);
    /// The same for what runs in a home that is no longer the account's.
    Task<Result<std::size_t>> kick_former(std::string address, HomeChange change);

private:
    using Processes = Result<std::vector<DovecotProcess>>;

    static constexpr std::size_t kMostAtOnce = 16;  ///< accounts: each look reads all of /proc

    Task<void> sweep_loop();
    Task<void> sweep_once();
    Task<void> end(std::string address);
    Task<Processes> find(std::string address, std::string home, HomeChange change = {});
    Task<void> pause(net::Duration duration);
    static void carry_out(const EndStep& step, const std::vector<DovecotProcess>& found,
                          const std::string& address);

    net::Loop& loop_;
    net::BlockingPool& pool_;
    SessionEndSettings settings_;
    Refused refused_;
    Home home_;
    Found found_;
    TaskGroup tasks_;
    std::set<std::string, std::less<>> ending_;
    std::set<net::Sleep*> sleeping_;
    net::Sleep* until_sweep_ = nullptr;
    net::Clock::time_point look_until_;
    bool look_at_homes_ = true;
    bool stopping_ = false;
};

}  // namespace muster::backend
