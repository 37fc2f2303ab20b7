#pragma once
// `muster demo`: a whole cluster on loopback, with real Dovecot servers, to look at and to test
// against.

#include <string>

namespace muster::admin {

struct DemoOptions {
    std::string program;  ///< path of this program, to start its nodes with
    std::string dir;      ///< empty: a new folder under the system's temporary one
    bool detach = false;  ///< leave it running and return
    bool stop = false;    ///< end the one that runs in `dir`
};

/// The process's exit code. In the foreground it runs until SIGINT or SIGTERM.
int demo(const DemoOptions& options);

}  // namespace muster::admin
