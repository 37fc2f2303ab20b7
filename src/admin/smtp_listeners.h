#pragma once
// Where front ends take SMTP: each says it to the master, which keeps it in the nodes' entries for
// the back ends, whose mail leaves through them.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "admin/node_context.h"
#include "base/endpoint.h"

namespace muster::admin {

/// What a node says of itself: its SMTP listeners, as they are bound ("0.0.0.0:25 …"); `none`
/// without any.
std::string told_smtp_listeners(const NodeConfig& config);

/// The same as others can use it: "HOST:PORT" each. A listener on all addresses is at `host`, where
/// the node was seen. Text that is none is left out.
std::vector<std::string> smtp_listeners_from(std::string_view told, std::string_view host);

/// Keeps the entries of nodes true to what the nodes say. A master has one; one thread at a time.
class SmtpListeners {
public:
    using Told = std::map<NodeName, std::vector<std::string>>;

    explicit SmtpListeners(NodeContext& node) : node_(node) {}

    /// What the entries do not say yet, and has not been tried; adds what this node says itself.
    Told unwritten(Told told);
    /// Blocks. What fails is logged, and tried again after forget_tries().
    void write(const Told& told);
    void forget_tries() { tried_.clear(); }

private:
    NodeContext& node_;
    Told tried_;
};

}  // namespace muster::admin
