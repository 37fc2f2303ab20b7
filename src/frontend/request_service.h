#pragma once
// Protocols in which each request may go to another server (SMTP): they are served, not handed
// over.

#include "base/endpoint.h"
#include "base/task.h"
#include "frontend/settings.h"
#include "net/conversation.h"
#include "net/listener.h"

namespace muster::frontend {

/// One a worker, made and used on its thread.
class RequestService {
public:
    virtual ~RequestService() = default;

    /// One connection, from accept to its end. `local` is where it came in. Throws nothing that
    /// the connection could meet; `listener` outlives it.
    virtual Task<void> serve(net::Accepted accepted, Endpoint local,
                             const ListenerSettings& listener) = 0;
    /// Sessions say goodbye when they have answered what they are at.
    virtual void drain() = 0;
    /// Ends them now, and what the service does beside them.
    virtual void end(net::EndReason reason) = 0;
};

}  // namespace muster::frontend
