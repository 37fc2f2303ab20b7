#pragma once
// Our side of one SMTP or LMTP connection.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "delivery/mail_target.h"
#include "delivery/transaction.h"
#include "net/line_reader.h"
#include "net/socket_stream.h"

namespace muster::delivery {

/// One connection to one server, for one transaction after the other. Lives on the stream's
/// thread; one call at a time. Nothing here throws: what ends a conversation becomes a result.
/// It ends with quit() or its destructor, which say nothing more than fits without waiting.
class MailUpstream {
public:
    MailUpstream(std::unique_ptr<net::SocketStream> stream,
                 std::shared_ptr<const MailTarget> target, PhaseLimits limits = {});
    MailUpstream(const MailUpstream&) = delete;
    MailUpstream& operator=(const MailUpstream&) = delete;

    /// Greeting, EHLO or LHLO, STARTTLS as the target says and EHLO again (what was learnt or came
    /// in clear is void, RFC 3207 4.2), login. Errors are Unavailable (4yz, silence, garbage: try
    /// later or elsewhere) or Refused (5yz; TLS that the target requires cannot be had).
    /// `until` bounds it besides PhaseLimits::open. `client` is named by a PROXY header, where the
    /// target wants one; null: none.
    Task<Result<>> open(net::Clock::time_point until = net::Clock::time_point::max(),
                        const ClientFacts* client = nullptr);
    /// After open() failed: the TLS handshake did. With MailTls::Opportunistic the caller may
    /// connect anew in clear.
    [[nodiscard]] bool tls_failed() const { return tls_failed_; }
    /// After open() failed: the server's words, if it said any.
    [[nodiscard]] const std::optional<wire::smtp::Reply>& refusal() const { return refusal_; }

    /// Sends a message: the client's introduction when it is another than the last one told on this
    /// connection, RSET when one is needed, MAIL, RCPT, DATA in one packet where the server bears
    /// it, then the message. LMTP has a result for each accepted recipient after the dot; SMTP one
    /// for all. The transaction's recipients may be any number: those past LIMITS RCPTMAX, or that
    /// the server defers as too many, have transactions of their own at once, as far as there are
    /// not very many; the others are Deferred and RecipientResult::at_once.
    Task<TransactionResult> send(Transaction transaction);

    /// XCLIENT by itself (send() does it as needed). A server that refuses it is not asked again on
    /// this connection; mail goes without (see introduction_refusal()).
    Task<Result<>> introduce(ClientFacts facts);
    /// What the server said when it would not hear who the client is; empty while it did not.
    [[nodiscard]] const std::string& introduction_refusal() const { return introduction_refusal_; }

    /// Another transaction may be sent.
    [[nodiscard]] bool usable() const { return usable_; }
    /// Nothing has come since the last answer, not even the end. A waiting connection that is not
    /// quiet is of no use. One system call.
    [[nodiscard]] bool quiet();
    /// The kernel has told of something that nobody has read. No system call.
    [[nodiscard]] bool stirs() const {
        return stream_->descriptor().promising(net::Direction::Read);
    }
    /// QUIT without waiting for the answer. The connection is then of no more use.
    void quit();

    [[nodiscard]] const wire::smtp::ServerExtensions& extensions() const { return extensions_; }
    [[nodiscard]] const std::shared_ptr<const MailTarget>& target() const { return target_; }
    [[nodiscard]] const std::string& greeting_name() const { return greeting_name_; }
    /// Messages that were sent to their end.
    [[nodiscard]] unsigned transactions() const { return transactions_; }
    /// Whether a transaction for `client` (null: none) can go over this connection: what was told
    /// of a client before can be replaced only by as much.
    [[nodiscard]] bool fits(const ClientFacts* client) const;
    /// Whether it can without XCLIENT.
    [[nodiscard]] bool knows(const ClientFacts* client) const;
    [[nodiscard]] net::SocketStream& stream() { return *stream_; }

private:
    class Flight;
    enum class Loss : std::uint8_t { None, Closed, Deadline, Garbage };

    Task<Result<>> open_within();
    Task<bool> write_proxy_header();
    Task<Result<>> greet();
    Task<Result<>> say_hello();
    Task<Result<>> start_tls();
    Task<Result<>> secure();
    Task<Result<>> log_in();
    Task<Result<>> log_in_plain(const MailLogin& login);
    Task<Result<>> log_in_step_by_step(const MailLogin& login);
    /// LIMITS MAILMAX leaves room for another transaction.
    [[nodiscard]] bool may_go_on() const {
        const unsigned most = extensions_.max_transactions;
        return usable_ && (most == 0 || transactions_ < most);
    }
    void learn(wire::smtp::Reply hello);
    void append_hello(std::string_view verb);

    /// Writes out_ and empties it; true when the kernel has taken all of it.
    Task<bool> flush(net::Duration limit);
    /// Writes out_, which is one command, and reads its reply, which must be `wanted`.
    Task<Result<>> command(std::uint16_t wanted);
    /// The next reply, at the latest after `limit`. An error is Unavailable: the connection is of
    /// no more use.
    Task<Result<wire::smtp::Reply>> reply(net::Duration limit);
    void expire(net::Duration limit);
    Error refused(wire::smtp::Reply reply);
    std::unexpected<Error> lost(Loss loss, std::string why);
    /// What an answer to XCLIENT means; `taken` counts those that were taken.
    Result<> introduced(wire::smtp::Reply answer, unsigned& taken);

    std::unique_ptr<net::SocketStream> stream_;
    net::LineReader reader_;
    std::shared_ptr<const MailTarget> target_;
    PhaseLimits limits_;
    net::Clock::time_point until_ = net::Clock::time_point::max();
    wire::smtp::ServerExtensions extensions_;
    wire::smtp::ReplyParser parser_;
    std::optional<wire::smtp::Reply> refusal_;
    std::optional<ClientFacts> told_;  ///< whom the server takes us for
    std::optional<Endpoint> proxied_;  ///< the client that the PROXY header names
    std::string introduction_refusal_;
    std::string greeting_name_;
    std::string hello_;  ///< what extensions_ was read from
    std::string out_;    ///< what is to be written; kept for the next transaction while small
    unsigned transactions_ = 0;
    bool usable_ = false;
    bool needs_reset_ = false;
    bool tls_failed_ = false;
    /// Why the last reply() failed.
    Loss loss_ = Loss::None;
};

}  // namespace muster::delivery
