#include "admin/serve.h"

#include <csignal>
#include <cstdio>
#include <thread>

#include "admin/node.h"
#include "admin/service_notify.h"
#include "base/log.h"

namespace muster::admin {
namespace {

sigset_t handled_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR2}) sigaddset(&set, signal);
    return set;
}

/// Waits for signals on a thread of its own and tells the node on its loop.
class SignalThread {
public:
    explicit SignalThread(Node& node) : thread_([&node] { wait_for_signals(node); }) {}
    ~SignalThread() {
        pthread_kill(thread_.native_handle(), SIGUSR2);  // ends the wait
        thread_.join();
    }
    SignalThread(const SignalThread&) = delete;
    SignalThread& operator=(const SignalThread&) = delete;

private:
    static void wait_for_signals(Node& node) {
        const sigset_t set = handled_signals();
        for (int signal = 0; sigwait(&set, &signal) == 0 && signal != SIGUSR2;) {
            node.loop().post([&node, signal] {
                if (signal != SIGHUP) return node.stop();
                // What is wrong with the file stands in the log.
                static_cast<void>(node.reload());
            });
        }
    }

    std::thread thread_;
};

}  // namespace

int serve(const std::string& file) {
    auto config = read_node_file(file);
    if (!config) {
        std::fprintf(stderr, "muster: %s\n", config.error().detail.c_str());
        return 1;
    }
    const sigset_t set = handled_signals();
    pthread_sigmask(SIG_BLOCK, &set, nullptr);  // before any thread starts: all inherit it
    log::configure(config->node.log_level, config->node.log_format, config->node.name.view());
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
