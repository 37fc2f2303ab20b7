#pragma once
// One connection of a mail server that asks for addresses (socketmap_table(5)).

#include <span>
#include <string>

#include "base/task.h"
#include "mx/mail_maps.h"
#include "net/stream.h"

namespace muster::mx {

/// Answers requests in the order in which they came; those that came together in one write. Lives
/// on its stream's thread. A client that waits has no buffer here.
class SocketmapSession {
public:
    /// `scratch` is shared by all sessions of the thread; nothing stays in it over an await.
    SocketmapSession(net::Stream& stream, MailMaps& maps, std::span<char> scratch,
                     net::Duration idle)
        : stream_(stream), maps_(maps), scratch_(scratch), idle_(idle) {}

    /// Until the client leaves, sends what is no netstring, or finish() was called. Throws
    /// ConversationOver.
    Task<void> run();
    /// Ends it now, or once what is under way is answered.
    void finish(net::EndReason reason);
    void end(net::EndReason reason) { stream_.abort(reason); }

private:
    /// False: what came is no netstring.
    Task<bool> answer_pending();
    /// Takes requests off what came, up to a bound of answers; false: no whole one is left.
    bool answer_some(std::string& answers);
    void answer(std::string_view request, std::string& answers);

    net::Stream& stream_;
    MailMaps& maps_;
    std::span<char> scratch_;
    const net::Duration idle_;
    std::string pending_;   ///< came and is not answered
    std::size_t used_ = 0;  ///< of it
    bool faulty_ = false;
    bool finishing_ = false;
};

}  // namespace muster::mx
