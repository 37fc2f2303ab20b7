#pragma once
// The threads of a node on which work may block, apart by what it waits for: what hangs in one
// place holds up nothing else. No pool waits for itself by way of another node: `jobs` and
// `verifying` call others' `serving` and `judging`, which call nobody but the Dovecot beside them
// and others' `calls`; `calls` waits for the own disk alone.

#include "net/blocking_pool.h"

namespace muster::admin {

struct Pools {
    /// The feed, and calls that need the store or the replica only.
    net::BlockingPool calls{4, 512};
    /// Mail clients' credentials, judged by another node (front ends).
    net::BlockingPool verifying{8, 64};
    /// Credentials judged for other nodes, and administrators' passwords.
    net::BlockingPool judging{4, 64};
    /// Calls that ask other nodes, server checks.
    net::BlockingPool jobs{4, 32};
    /// The same for other nodes: ends of accounts, server checks.
    net::BlockingPool serving{4, 32};
    /// Imports, exports, backups.
    net::BlockingPool transfers{2, 8};
    /// Calls for another node that are passed on as they come. Nobody waits for these threads, so
    /// they may wait for any of that node's.
    net::BlockingPool passing{4, 32};

    /// Lets everything end that was begun; the control loop must still run.
    void close() {
        for (auto* pool : {&passing, &jobs, &serving, &transfers, &verifying, &judging, &calls}) {
            pool->close();
        }
    }
};

}  // namespace muster::admin
