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

/// What the operator of this node lets a followed network say. What that network's master signs is
/// the network's own word; whoever broke in there says it, too.
struct Admission {
    /// Patterns of the domains that are taken of it (domain_pattern.h); empty: all.
    std::vector<std::string> domains{};
    /// Whether `default_for` of its domains counts here, where neither a domain of the own cluster
    /// nor the listener says whose names without a domain are.
    bool default_for = false;
    /// Whether its servers and routes may be at addresses that are another machine's on each
    /// machine: loopback, link-local, none.
    bool local_addresses = false;

    friend bool operator==(const Admission&, const Admission&) = default;
};

struct DirectorySource {
    std::string name;  ///< of the network; empty: the node's own cluster
    std::shared_ptr<state::Replica> replica;
    SourceMode mode = SourceMode::Own;
    HandTo hand_to = HandTo::Home;
    /// PEM of whoever signs its servers' certificates, trusted for these alone; asked when its
    /// entries are read, on any thread. Not set for the own cluster.
    std::function<std::string()> authority{};
    Admission admission{};  ///< of a followed one
};

/// In order of precedence, the own one first: a domain belongs to the first that has it.
using DirectorySources = std::vector<DirectorySource>;

}  // namespace muster::cluster
