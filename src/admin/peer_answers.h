#pragma once
// Whether what another node answered has the shape it must have. Pure: a node that answers
// nonsense counts as one that cannot be reached, and harms nothing else.

#include <nlohmann/json.hpp>

namespace muster::admin {

/// {"kicked": N}
bool tells_kicked(const nlohmann::json& answer);
/// The answer to GET /v1/status?here=1.
bool tells_status(const nlohmann::json& answer);
/// {"sessions": [...]}
bool tells_sessions(const nlohmann::json& answer);
/// The answers to GET /v1/queue?here=1, GET /v1/queue/destinations?here=1, a message's, a change's.
bool tells_queue(const nlohmann::json& answer);
bool tells_destinations(const nlohmann::json& answer);
bool tells_queued(const nlohmann::json& answer);
bool tells_changed(const nlohmann::json& answer);
/// The answer to a server check.
bool tells_proofs(const nlohmann::json& answer);

}  // namespace muster::admin
