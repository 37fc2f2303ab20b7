#pragma once
// Domains as they are for this node: of the own cluster and of followed networks, with its
// exceptions.

#include <string>

#include "admin/api.h"

namespace muster::admin {

/// {"domains"}: by name, those of all directories that this node reads. Beside their own fields:
/// "network" whose it is (absent: the own cluster's), "also_in" the networks that have it, too, and
/// are not heeded, "here" the names of fields that are this node's own.
ApiResult list_domains(NodeContext& node, ApiCall& call);
/// One of them; "inherited" holds what the directory says of the fields in "here".
ApiResult show_domain(NodeContext& node, const std::string& name);

ApiResult list_exceptions(NodeContext& node, ApiCall& call);
/// The body takes the place of the domain's patch.
ApiResult put_exception(NodeContext& node, ApiCall& call);
/// {"set": fields to have here, "inherit": [names of fields to have as the directory says]}.
ApiResult change_exception(NodeContext& node, ApiCall& call);
ApiResult delete_exception(NodeContext& node, ApiCall& call);

}  // namespace muster::admin
