#pragma once
// Has back ends judge credentials over the cluster port.

#include "admin/node_context.h"
#include "frontend/verifier.h"

namespace muster::admin {

/// `node` must outlive it. An account of a foreign server is judged by any back end that answers,
/// and each exchange goes on where it began.
class PeerVerifier final : public frontend::Verifier {
public:
    explicit PeerVerifier(NodeContext& node) : node_(node) {}

    Result<frontend::VerifyStep> begin(const frontend::VerifyRequest& request) override;
    Result<frontend::VerifyStep> answer(const frontend::VerifyRequest& request,
                                        const std::string& exchange,
                                        const std::string& answer) override;

private:
    [[nodiscard]] std::vector<NodeName> judges(const frontend::VerifyRequest& request) const;
    Result<frontend::VerifyStep> ask(const NodeName& judge, nlohmann::json body,
                                     const frontend::VerifyRequest& request);

    NodeContext& node_;
};

}  // namespace muster::admin
