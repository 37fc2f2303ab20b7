#include "backend/session_end.h"

#include <csignal>
#include <cstring>
#include <optional>
#include <utility>

#include "base/log.h"

namespace muster::backend {

namespace {

std::unexpected<Error> left_over(const std::vector<pid_t>& pids) {
    std::string text = "processes of its sessions do not end, although killed:";
    for (const pid_t pid : pids) text += " " + std::to_string(pid);
    text += "; most likely they wait for a disk or a network share that does not answer";
    return fail(ErrorKind::Unavailable, "processes are left", std::move(text));
}

}  // namespace

EndStep next_step(const std::vector<DovecotProcess>& found, EndState& state,
                  net::Clock::time_point now, const SessionEndSettings& settings) {
    EndStep step;
    step.over = found.empty() && now - state.last_seen >= settings.settle;
    if (!found.empty()) state.last_seen = now;
    for (const auto& process : found) {
        const auto [at, first] = state.told.try_emplace(process.pid, now, false);
        EndState::Told& told = at->second;
        // A stopped process finishes nothing; SIGTERM would wait until it is continued.
        const bool hopeless = process.stopped || (!first && now - told.at >= settings.grace);
        if (hopeless && !std::exchange(told.killed, true))
            step.kill.push_back(process.pid);
        else if (first)
            step.terminate.push_back(process.pid);
        if (now - state.start >= settings.deadline) step.stuck.push_back(process.pid);
    }
    return step;
}

SessionEnd::SessionEnd(net::Loop& loop, net::BlockingPool& pool, SessionEndSettings settings,
                       Refused refused, Home home, Found found)
    : loop_(loop),
      pool_(pool),
      settings_(std::move(settings)),
      refused_(std::move(refused)),
      home_(std::move(home)),
      found_(std::move(found)) {}

void SessionEnd::start() { tasks_.spawn(sweep_loop()); }

void SessionEnd::give_up() {
    stopping_ = true;
    for (net::Sleep* sleep : std::exchange(sleeping_, {})) sleep->cut_short();
}

Task<void> SessionEnd::stop() {
    give_up();
    co_await tasks_.drained();
}

void SessionEnd::changed(const std::string& address) {
    if (stopping_ || ending_.contains(address) || !refused_(address)) return;
    if (ending_.size() >= kMostAtOnce) return look_at_all();
    tasks_.spawn(end(address));
}

void SessionEnd::look_at_all() {
    look_until_ = net::Clock::now() + settings_.settle;
    if (until_sweep_ != nullptr && sleeping_.erase(until_sweep_) != 0)
        std::exchange(until_sweep_, nullptr)->cut_short();
}

void SessionEnd::look_at_homes() {
    look_at_homes_ = true;
    look_at_all();
}

Task<void> SessionEnd::sweep_loop() {
    while (!stopping_) {
        co_await sweep_once();
        if (stopping_) break;
        if (net::Clock::now() < look_until_) {
            co_await pause(settings_.look);
            continue;
        }
        net::Sleep sleep(loop_, settings_.sweep);
        until_sweep_ = &sleep;
        sleeping_.insert(&sleep);
        co_await sleep;
        sleeping_.erase(&sleep);
        until_sweep_ = nullptr;
    }
}

Task<void> SessionEnd::sweep_once() {
    const bool homes = std::exchange(look_at_homes_, false);
    auto ask = [base_dir = settings_.base_dir, root = homes ? settings_.mail_root : ""] {
        return open_sessions(base_dir, root);
    };
    net::Blocking asked(loop_, pool_, std::move(ask));
    const auto sessions = co_await asked;
    if (!sessions) {  // Dovecot does not run: there is nothing to end
        look_at_homes_ |= homes;
        co_return;
    }
    std::set<std::string> users;
    for (const OpenSession& session : *sessions) {
        if (!session.home.empty() && !found_(session.user, session.home)) look_at_homes_ = true;
        users.insert(session.user);
    }
    for (const auto& user : users) changed(user);
}

Task<void> SessionEnd::end(std::string address) {
    ending_.insert(address);
    const std::string home = home_(address);
    const auto start = net::Clock::now();
    EndState state{start, start};
    while (!stopping_ && refused_(address)) {
        const auto found = co_await find(address, home);
        if (!found) {
            log::warning("sessions-not-ended",
                         {{"account", address}, {"reason", found.error().detail}});
            break;
        }
        const auto step = next_step(*found, state, net::Clock::now(), settings_);
        carry_out(step, *found, address);
        if (step.over) {
            log::info("sessions-ended", {{"account", address}, {"processes", state.told.size()}});
            break;
        }
        if (!step.stuck.empty()) {  // the next sweep tries again
            log::error("sessions-not-ended",
                       {{"account", address}, {"reason", left_over(step.stuck).error().detail}});
            break;
        }
        co_await pause(settings_.look);
    }
    ending_.erase(address);
}

Task<Result<std::size_t>> SessionEnd::kick(std::string address) {
    return kick_former(std::move(address), {});
}

Task<Result<std::size_t>> SessionEnd::kick_former(std::string address, HomeChange change) {
    const std::string home = home_(address);
    const auto start = net::Clock::now();
    EndState state{start, start};
    std::optional<std::set<pid_t>> first;
    while (!stopping_) {
        auto found = co_await find(address, home, change);
        if (!found) co_return std::unexpected(found.error());
        if (!first) {
            first.emplace();
            for (const auto& process : *found) first->insert(process.pid);
        }
        const bool refused = refused_(address);
        if (!refused)
            std::erase_if(*found, [&](const auto& one) { return !first->contains(one.pid); });
        const auto step = next_step(*found, state, net::Clock::now(), settings_);
        carry_out(step, *found, address);
        if (refused ? step.over : found->empty()) co_return state.told.size();
        if (!step.stuck.empty()) co_return left_over(step.stuck);
        co_await pause(settings_.look);
    }
    co_return fail(ErrorKind::Unavailable, "stopping", "the node stops: sessions may be left");
}

Task<SessionEnd::Processes> SessionEnd::find(std::string address, std::string home,
                                             HomeChange change) {
    auto look = [base_dir = settings_.base_dir, address, home, change] {
        auto processes = account_processes(base_dir, address, home);
        if (processes) {
            std::erase_if(*processes, [&change](const DovecotProcess& one) {
                return serves_present_home(one, change);
            });
        }
        return processes;
    };
    net::Blocking looking(loop_, pool_, std::move(look));
    auto found = co_await looking;
    co_return found;
}

Task<void> SessionEnd::pause(net::Duration duration) {
    net::Sleep sleep(loop_, duration);
    sleeping_.insert(&sleep);
    co_await sleep;
    sleeping_.erase(&sleep);
}

void SessionEnd::carry_out(const EndStep& step, const std::vector<DovecotProcess>& found,
                           const std::string& address) {
    const auto send = [&](const std::vector<pid_t>& pids, int number) {
        for (const auto& process : found) {
            if (std::ranges::find(pids, process.pid) == pids.end()) continue;
            const int error = process.handle ? process.handle->signal(number) : ESRCH;
            log::info(
                error == 0 ? "session-signalled" : "session-not-signalled",
                {{"account", address},
                 {"pid", static_cast<std::uint64_t>(process.pid)},
                 {"signal", number == SIGKILL ? "KILL" : "TERM"},
                 {"reason", error == 0 ? "account may not be served here" : std::strerror(error)}});
        }
    };
    send(step.terminate, SIGTERM);
    send(step.kill, SIGKILL);
}

}  // namespace muster::backend
