#include "admin/serve.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <thread>
#include <utility>

#include "admin/join.h"
#include "admin/node.h"
#include "admin/service_notify.h"
#include "base/log.h"

namespace muster::admin {
namespace {

sigset_t handled_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2}) sigaddset(&set, signal);
    return set;
}

/// Waits for signals on a thread of its own and tells the node on its loop.
class SignalThread {
public:
    explicit SignalThread(Node& node) : node_(node), thread_([this] { wait_for_signals(); }) {}
    ~SignalThread() {
        ended_ = true;
        pthread_kill(thread_.native_handle(), SIGUSR2);  // ends the wait
        thread_.join();
    }
    SignalThread(const SignalThread&) = delete;
    SignalThread& operator=(const SignalThread&) = delete;

private:
    void wait_for_signals() {
        const sigset_t set = handled_signals();
        bool stopping = false;
        for (int signal = 0; sigwait(&set, &signal) == 0 && !ended_;) {
            if (signal == SIGUSR1 || signal == SIGUSR2) continue;
            if (signal == SIGHUP) {
                // What is wrong with the file stands in the log.
                node_.loop().post([this] { static_cast<void>(node_.reload()); });
                continue;
            }
            if (std::exchange(stopping, true)) {
                log::warning("stopping-at-once");
                std::_Exit(0);  // the state is safe at any moment; sessions end with their sockets
            }
            node_.loop().post([this] { node_.stop(); });
        }
    }

    Node& node_;
    std::atomic<bool> ended_{false};
    std::thread thread_;
};

/// Until the node belongs to the cluster that its file names: a master that does not answer is
/// waited for. False: told to stop.
Result<bool> join_first(const NodeConfig& config) {
    std::chrono::seconds pause{1};
    constexpr std::chrono::seconds kLongestPause{30};
    sigset_t ends;
    sigemptyset(&ends);
    for (const int signal : {SIGTERM, SIGINT}) sigaddset(&ends, signal);
    const bool belongs = has_identity(config.node.state_dir);
    while (true) {
        const auto joined = join_by_file(config);
        if (joined && (belongs || !has_identity(config.node.state_dir))) return true;
        if (joined) {
            log::info("joined", {{"state_dir", config.node.state_dir}});
            return true;
        }
        if (joined.error().kind != ErrorKind::Unavailable) return std::unexpected(joined.error());
        log::warning("join_waits", {{"why", joined.error().detail}});
        const timespec time{pause.count(), 0};
        if (sigtimedwait(&ends, nullptr, &time) > 0) return false;
        pause = std::min(pause * 2, kLongestPause);
    }
}

}  // namespace

int serve(const std::string& file) {
    auto config = read_node_file(file);
    if (!config) {
        std::fprintf(stderr, "muster: %s\n", config.error().detail.c_str());
        return 1;
    }
    const sigset_t set = handled_signals();
    pthread_sigmask(SIG_BLOCK, &set, nullptr);  // before any thread starts: all inherit it
    std::signal(SIGXFSZ, SIG_IGN);              // a file past its limit is a full disk, not our end
    log::configure(config->node.log_level, config->node.log_format, config->node.name.view());
    const auto joined = join_first(*config);
    if (!joined) {
        log::error("start-failed", {{"reason", joined.error().detail}});
        return 1;
    }
    if (!*joined) return 0;
    Node node(std::move(*config), file);
    if (auto started = node.start(); !started) {
        log::error("start-failed", {{"reason", started.error().detail}});
        return 1;
    }
    const SignalThread signals(node);
    notify_ready();
    node.run();
    log::info("stopped");
    return 0;
}

}  // namespace muster::admin
