#pragma once
// `muster check`: proves a node file and what it refers to, without starting anything.

#include <string>
#include <vector>

#include "admin/node_file.h"

namespace muster::admin {

struct Finding {
    bool wrong = false;  ///< the node would not serve as written; else a warning
    std::string text;
};

/// What is the matter with a file that could be read. `running`: the node serves just now, so its
/// own ports are taken.
std::vector<Finding> check_node(const NodeConfig& config, bool running);

}  // namespace muster::admin
