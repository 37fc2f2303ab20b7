#include "net/conversation.h"

namespace muster::net {

std::string_view name(EndReason reason) {
    switch (reason) {
        case EndReason::None: return "none";
        case EndReason::PeerGone: return "peer-gone";
        case EndReason::Deadline: return "deadline";
        case EndReason::Kicked: return "kicked";
        case EndReason::Draining: return "draining";
        case EndReason::TlsFailed: return "tls-failed";
        case EndReason::ClientClosed: return "client-closed";
        case EndReason::ServerClosed: return "server-closed";
        case EndReason::Failed: return "failed";
    }
    return "unknown";
}

const char* ConversationOver::what() const noexcept { return name(reason_).data(); }

}  // namespace muster::net
