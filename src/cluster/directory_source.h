#pragma once
// The directories that a node reads: its own cluster's, then those of the networks that it follows.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "state/replica.h"

namespace muster::cluster {

/// What is taken from a directory.
enum class SourceMode : std::uint8_t {
    Own,     ///< all: the node is a member of this cluster
    Relay,   ///< its local domains, as domains to accept mail for and to pass sessions on to
    Mirror,  ///< its remote domains, with their options
};

/// Where mail for the domains of a relayed network goes.
enum class HandTo : std::uint8_t {
    Home,    ///< straight to the server of the account
    Master,  ///< to the SMTP listeners of that network's front ends
};

struct DirectorySource {
    std::string name;  ///< of the network; empty: the node's own cluster
    std::shared_ptr<state::Replica> replica;
    SourceMode mode = SourceMode::Own;
    HandTo hand_to = HandTo::Home;
    /// PEM of whoever signs its servers' certificates, trusted for these alone; asked when its
    /// entries are read, on any thread. Not set for the own cluster.
    std::function<std::string()> authority{};
};

/// In order of precedence, the own one first: a domain belongs to the first that has it.
using DirectorySources = std::vector<DirectorySource>;

}  // namespace muster::cluster
