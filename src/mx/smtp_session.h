#pragma once
// SMTP as a server speaks it (RFC 5321): mail in (port 25) and submission (RFC 6409).

#include <array>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/recipients.h"
#include "cluster/route.h"
#include "delivery/transaction.h"
#include "frontend/client_session.h"
#include "frontend/login_attempt.h"
#include "mx/client_names.h"
#include "mx/mail_transaction.h"
#include "mx/message_intake.h"
#include "mx/refusal_log.h"
#include "mx/result_cache.h"
#include "mx/settings.h"

namespace muster::mx {

class MailService;

/// One connection's story, on its worker's thread. Commands that come in one packet are answered in
/// one (RFC 2920).
class SmtpSession final : public frontend::ClientSession {
public:
    /// `peer` is changed by XCLIENT of a listed peer.
    SmtpSession(MailService& service, const frontend::ListenerSettings& listener,
                net::SocketStream& client, frontend::Peer& peer);
    ~SmtpSession() override;

    /// From the greeting to QUIT, or until the client has left or was sent away. Throws
    /// ConversationOver.
    Task<void> serve();
    /// The client is not in the middle of a message: it can be told to come back later.
    [[nodiscard]] bool between_messages() const { return !in_message_; }
    /// Answers that the client was not sent yet: they come before any farewell.
    [[nodiscard]] std::string take_pending() { return std::exchange(out_, {}); }
    /// Ends the conversation with a server that judges a login, now or when its time is up: now.
    void end_login(net::EndReason reason);
    void hurry_login();

    // ClientSession
    Task<void> greet() override;
    Task<std::optional<frontend::Login>> identify() override { co_return std::nullopt; }
    Task<std::optional<std::string>> ask(std::string_view challenge) override;
    [[nodiscard]] std::string welcome(const frontend::Login&, std::string_view) const override;
    [[nodiscard]] std::string refusal(const frontend::Login&, const Error&) const override;
    [[nodiscard]] std::string farewell(net::EndReason reason) const override;
    [[nodiscard]] std::string turned_away(std::string_view text) const override;

private:
    enum class Next : std::uint8_t { Go, Leave };
    /// What must have come before a command.
    enum class After : std::uint8_t { Anything, Hello, Mail, Recipient };
    struct Verb {
        std::string_view name;
        Task<Next> (SmtpSession::*run)(std::string_view rest);
        After after;
        bool leads_on = false;  ///< towards a message
    };
    static const std::array<Verb, 15> kVerbs;

    Task<Next> obey(std::string_view line);
    [[nodiscard]] bool may_come(After after);

    Task<Next> helo(std::string_view rest);
    Task<Next> ehlo(std::string_view rest);
    Task<Next> mail(std::string_view rest);
    Task<Next> rcpt(std::string_view rest);
    Task<Next> data(std::string_view rest);
    Task<Next> bdat(std::string_view rest);
    Task<Next> rset(std::string_view rest);
    Task<Next> noop(std::string_view rest);
    Task<Next> vrfy(std::string_view rest);
    Task<Next> expn(std::string_view rest);
    Task<Next> help(std::string_view rest);
    Task<Next> starttls(std::string_view rest);
    Task<Next> auth(std::string_view rest);
    Task<Next> xclient(std::string_view rest);
    Task<Next> quit(std::string_view rest);

    void reply(int code, std::string_view enhanced, std::string_view text);
    void reply(const wire::smtp::Refusal& refusal);
    /// A mistake of the client's: too many of them and it is sent away.
    void complain(const wire::smtp::Refusal& refusal);
    Task<void> flush();
    /// A line that begins behind `octets` of the client's has come: what it was told before, it has
    /// heard, unless the line was on its way already.
    void note_line(std::uint64_t octets);
    /// Forgets the message that is under way.
    void reset();
    void start_hello(std::string_view rest, bool extended);

    [[nodiscard]] bool submits() const { return listener_.service == cluster::Service::Submission; }
    [[nodiscard]] bool is_trusted_to_relay() const;
    /// A message of `size` octets is more than is even read to its end.
    [[nodiscard]] bool is_hopeless(std::uint64_t size) const;
    /// The client has not sent too many messages lately.
    [[nodiscard]] bool may_send_now() const;
    /// Whether mail may come from this address: an account's own only, where one is logged in.
    std::optional<wire::smtp::Refusal> judge_sender(const wire::smtp::Path& sender);
    /// The answer to a recipient; none: it was accepted.
    std::optional<wire::smtp::Refusal> judge_recipient(wire::smtp::Recipient& recipient);
    std::optional<wire::smtp::Refusal> judge_route(const cluster::MailRoute& route);
    Task<void> slow_down_guessing();
    [[nodiscard]] bool minds_bare_line_ends() const;
    /// The last answer of the session.
    Task<void> end_with(wire::smtp::Refusal why);
    void begin_intake();
    /// Sets the deadline of the next command: from MAIL on the message has its own, and who submits
    /// has to log in in time.
    void expect_line();
    /// Sets the deadline of the next piece of a message. Throws when the whole took too long.
    void expect_more(std::uint64_t received);

    /// Strangers at port 25 are looked up in DNS, while they say what they want.
    void look_up_client();
    [[nodiscard]] std::string account_of(const std::string& name);
    void take_introduction(const wire::smtp::Xclient& facts);
    void forget_introduction();
    void settle_refusals();
    void take_client_name(const wire::smtp::Attribute<std::string>& name);
    Task<void> learn_client_name();
    Trace trace();
    [[nodiscard]] std::string authentication_results() const;
    [[nodiscard]] delivery::ClientFacts client_facts() const;
    [[nodiscard]] MessageIdentity identity_of_message() const;
    /// The message is complete: hands it over, and answers.
    Task<void> end_message();

    /// AUTH's exchange with the account's home; who logged in, or why not.
    Task<Result<AccountAddress>> judge_login(frontend::Login login);
    static Result<cluster::Route> find_judge(frontend::LoginAttempt& attempt,
                                             const frontend::Login& login);
    Task<Result<AccountAddress>> judge_at_foreign_server(frontend::LoginAttempt& attempt,
                                                         const frontend::Login& login,
                                                         cluster::Route route);
    Task<Result<AccountAddress>> judge_at_home(frontend::LoginAttempt& attempt,
                                               const frontend::Login& login, cluster::Route route);
    [[nodiscard]] std::string mechanisms();

    MailService& service_;
    frontend::Peer& changeable_peer_;
    const bool may_introduce_;  ///< XCLIENT: judged by who connected, not by whom he speaks of
    const Endpoint connected_;  ///< who connected
    wire::smtp::Xclient told_;  ///< by XCLIENT, since the last message
    bool introduced_ = false;   ///< the client is another than who connected, or may be
    std::string out_;
    std::string helo_;
    bool extended_ = false;  ///< EHLO
    ClientName client_name_;
    ClientNames::Handle looking_up_;             ///< null: nobody's name, or it is known
    frontend::LoginAttempt* attempt_ = nullptr;  ///< while a login is judged
    std::string login_;                          ///< the account that is logged in; empty: nobody
    std::optional<MailTransaction> transaction_;
    std::optional<MessageIntake> intake_;     ///< while a message is read
    net::Clock::time_point message_began_{};  ///< MAIL, then its first octet
    queue::QueueId id_;
    std::size_t mistakes_ = 0;
    unsigned commands_ = 0;
    unsigned fruitless_ = 0;  ///< of those that lead to no message, since the last one taken
    const net::Clock::time_point began_ = net::Clock::now();
    std::uint32_t unknown_ = 0;  ///< recipients since the last flush
    Refusals refusals_;
    bool in_message_ = false;
    /// A message answered with 250, as long as nothing shows that the client has heard it.
    struct Unheard {
        MessageIdentity message;
        std::vector<std::string> targets;
        std::uint64_t told_at = kUntold;  ///< octets of the client's that had come by then
    };
    static constexpr std::uint64_t kUntold = std::numeric_limits<std::uint64_t>::max();
    std::vector<Unheard> unheard_;
};

}  // namespace muster::mx
