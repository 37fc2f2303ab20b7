#pragma once
// Ids of messages that are made of others.

#include "queue/queue_id.h"

namespace muster::queue {

/// The id of the message that `what` says of message `of`: the same for the same, of the same time
/// and node as `of`, else any other. By a chance of one in a billion it is another message's.
[[nodiscard]] QueueId derived_id(const QueueId& of, std::string_view what);

}  // namespace muster::queue
