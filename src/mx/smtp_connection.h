#pragma once
// One SMTP connection, from accept to its end.

#include "frontend/client_session.h"
#include "mx/smtp_session.h"
#include "net/socket_stream.h"

namespace muster::mx {

/// Lives in the coroutine MailService::serve(), on the worker's thread.
class SmtpConnection {
public:
    SmtpConnection(MailService& service, const frontend::ListenerSettings& listener, int fd);
    SmtpConnection(const SmtpConnection&) = delete;
    SmtpConnection& operator=(const SmtpConnection&) = delete;
    ~SmtpConnection();

    Task<void> run(Endpoint client, Endpoint local);
    /// Goodbye at once to a client that is between messages; others end theirs first.
    void dismiss();
    void end(net::EndReason reason);
    [[nodiscard]] SmtpConnection* next() const { return next_; }

private:
    /// PROXY header, limits, TLS. False: sent away.
    Task<bool> arrive();
    /// The client has not come too often lately.
    [[nodiscard]] bool may_connect() const;
    Task<void> turn_away();

    MailService& service_;
    const frontend::ListenerSettings& listener_;
    net::SocketStream client_;
    frontend::Peer peer_;
    std::optional<SmtpSession> session_;
    SmtpConnection* previous_ = nullptr;
    SmtpConnection* next_ = nullptr;
    IpAddress counted_;
    bool is_counted_ = false;
};

}  // namespace muster::mx
