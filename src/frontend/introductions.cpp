#include "frontend/introductions.h"

#include "base/log.h"

namespace muster::frontend {

void Introductions::refused(const ServerName& server, cluster::Service service,
                            std::string_view answer) {
    {
        const std::scoped_lock lock(mutex_);
        if (!refusing_.emplace(server.text, service).second) return;
        count_ = refusing_.size();
    }
    log::warning("introduction-refused",
                 {{"server", server},
                  {"service", cluster::name(service)},
                  {"answer", answer},
                  {"advice",
                   "it does not believe this node who its clients are: let it trust the "
                   "address that this node connects from (Dovecot: "
                   "login_trusted_networks), or set introduce=none; "
                   "\"muster server check\" proves it"}});
}

void Introductions::taken(const ServerName& server, cluster::Service service) {
    if (count_.load(std::memory_order_relaxed) == 0) return;
    {
        const std::scoped_lock lock(mutex_);
        if (refusing_.erase({server.text, service}) == 0) return;
        count_ = refusing_.size();
    }
    log::info("introduction-taken", {{"server", server}, {"service", cluster::name(service)}});
}

}  // namespace muster::frontend
