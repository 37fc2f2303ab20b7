#pragma once
// For mail_*.cpp: one transaction on its way through a MailUpstream.

#include "delivery/mail_upstream.h"

namespace muster::delivery {

/// Lives as long as MailUpstream::send(). While the transaction runs, a recipient whose result has
/// no code was not sent yet, and one that is Delivered was accepted and waits for the message.
class MailUpstream::Flight {
public:
    Flight(MailUpstream& upstream, Transaction transaction);
    Task<TransactionResult> run();

private:
    /// Commands that are written together; their replies come in this order.
    struct Group {
        bool reset = false;
        unsigned introductions = 0;
        bool hello = false;
        bool mail = false;
        std::size_t first = 0;  ///< recipients without a result in [first, end)
        std::size_t end = 0;
        bool data = false;
    };

    /// Gives results to what the server need not be asked for; false when nothing is left to send.
    bool check();
    [[nodiscard]] RecipientResult check_message() const;
    [[nodiscard]] RecipientResult check_recipient(std::size_t which) const;
    [[nodiscard]] bool introduces_ahead() const;
    Task<bool> envelope();
    Group write_group();
    void write_opening(Group& group);
    Task<bool> read_group(Group group);
    Task<bool> read_opening(Group group);
    Task<bool> refuse_all(Group group, RecipientResult refusal);

    Task<void> message();
    /// False when the connection broke before all of it was written, so that the server cannot
    /// have it. An error is the source's.
    Task<Result<bool>> write_body();
    Task<void> read_verdicts();

    /// The next reply; without one everybody from `from` on that waits gets a result, and the
    /// flight is over.
    Task<std::optional<wire::smtp::Reply>> answer(net::Duration limit, std::size_t from = 0);
    [[nodiscard]] bool waits(std::size_t which) const;
    [[nodiscard]] bool any_accepted() const;
    /// For everybody from `from` on that waits.
    void conclude(const RecipientResult& result, std::size_t from = 0);
    void lose(const std::string& why, std::size_t from = 0);

    MailUpstream& up_;
    Transaction transaction_;
    TransactionResult result_;
    std::optional<wire::smtp::Reply> farewell_;  ///< the 421 that came before the end
    std::size_t next_ = 0;                       ///< recipient to be sent
    bool answered_ = false;
    bool mail_sent_ = false;
    bool go_ahead_ = false;  ///< 354
    bool complete_ = false;  ///< the dot was written
};

}  // namespace muster::delivery
