#pragma once
// `muster cluster open`: a node file in which the node takes other nodes. Pure.

#include <string>
#include <string_view>
#include <vector>

namespace muster::admin {

struct ClusterOpening {
    std::string listen;                ///< "ADDRESS:PORT"
    std::string advertise;             ///< "HOST:PORT"; empty: as it is
    std::vector<std::string> allow{};  ///< networks of the nodes; empty: as they are
};

/// `text` with these options in its section [cluster], which is made if there is none. All other
/// lines stay as they are.
std::string with_cluster_open(std::string_view text, const ClusterOpening& opening);

}  // namespace muster::admin
