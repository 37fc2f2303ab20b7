#pragma once
// Has back ends judge credentials over the cluster port.

#include <chrono>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "admin/node_context.h"
#include "frontend/verifier.h"

namespace muster::admin {

/// `node` must outlive it. An account of a foreign server is judged by any back end that answers,
/// and each exchange goes on where it began.
class PeerVerifier final : public frontend::Verifier {
public:
    explicit PeerVerifier(NodeContext& node) : node_(node) {}

    // Nothing would catch what they throw.
    Result<frontend::VerifyStep> begin(const frontend::VerifyRequest& request) override;
    Result<frontend::VerifyStep> answer(const frontend::VerifyRequest& request,
                                        const std::string& exchange,
                                        const std::string& answer) override;

private:
    Result<frontend::VerifyStep> ask_judges(const frontend::VerifyRequest& request);
    [[nodiscard]] std::vector<NodeName> judges(const frontend::VerifyRequest& request) const;
    Result<frontend::VerifyStep> ask(const NodeName& judge, nlohmann::json body,
                                     const frontend::VerifyRequest& request,
                                     std::chrono::milliseconds patience);

    /// Whether so many wait for this judge for so long that one more would wait in vain, and keep a
    /// thread from those who ask others.
    bool hangs(const std::string& judge);

    using Clock = std::chrono::steady_clock;
    NodeContext& node_;
    std::mutex mutex_;
    std::map<std::string, std::multiset<Clock::time_point>> asked_;  // that have no answer yet
};

}  // namespace muster::admin
