#pragma once
// The directories of several networks as one. Pure.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/topology.h"

namespace muster::cluster {

/// One directory; `parts` is null while it was never filled.
struct NetworkParts {
    std::string name;
    SourceMode mode = SourceMode::Own;
    HandTo hand_to = HandTo::Home;
    std::shared_ptr<const TopologyParts> parts;
    std::string authority{};  ///< of a followed one: signs its servers' certificates
    Admission admission{};    ///< of a followed one
};

/// The own directory first, then the others in their order; a domain belongs to the first that has
/// it. Of a relayed network its shared and local domains are taken and its servers, whose names
/// become `NAME@NETWORK`; of a mirrored one its remote domains. All else is the own cluster's.
///
/// A domain that the operator here does not admit is not taken and counted (Network::refused);
/// `default_for` is left out unless he lets it in.
///
/// No node of ours stands beside a server of another network: whoever logs in there does so with
/// his own credentials, and that server alone judges them. Where mail is handed to a network's
/// front ends, each of their SMTP listeners is a server `HOST:PORT@NETWORK`.
TopologyParts merge(const std::vector<NetworkParts>& networks);

/// For people: which network the domain is taken from and which others have it.
std::string text_of(const DomainConflict& conflict);

}  // namespace muster::cluster
