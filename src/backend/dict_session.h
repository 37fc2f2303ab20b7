#pragma once
// One connection of Dovecot to the account authority (its dict protocol, src/wire/dovecot_dict).

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "backend/account_authority.h"
#include "backend/probe_memory.h"
#include "backend/shared_mailboxes.h"
#include "net/line_reader.h"
#include "net/loop.h"
#include "wire/dovecot_dict.h"

namespace muster::backend {

/// Which socket a connection came in on: password keys are for Dovecot's auth service only.
enum class DictAccess : std::uint8_t { Auth, Mail };

/// Accounts that userdb answers gave a home, with that home: by address.
using LetIn = std::unordered_map<std::string, std::string>;

/// What the sessions of one agent share; all on the agent's loop.
struct Authority {
    AccountView& view;
    const AuthoritySettings& settings;
    TokenStore& tokens;
    SharedMailboxes& shares;
    LetIn& let_in;
    ProbeMemory probes{};
    net::Loop* loop = nullptr;  ///< others get their turn between two pages of a listing

    /// userdb_answer(), remembering whom it let in.
    [[nodiscard]] Answer userdb(const UserdbQuery& query);
    /// passdb_answer(), remembering what came with the names of probes.
    [[nodiscard]] Answer passdb(const PassdbQuery& query);
};

/// Serves until the other side ends the connection or breaks the grammar. Answers in order.
/// Throws ConversationOver with its stream. Lives on the agent's loop; `stream` and `authority`
/// must outlive it.
class DictSession {
public:
    DictSession(net::Stream& stream, Authority& authority, DictAccess access)
        : stream_(stream), reader_(stream), authority_(authority), access_(access) {}

    Task<void> run();

private:
    using Command = wire::dovecot_dict::Command;
    struct Change {
        std::string key;
        std::optional<std::string> value;
    };
    struct Pending {
        std::string user;
        std::vector<Change> changes;
    };

    /// False: the conversation cannot go on.
    Task<bool> handle(Command command);
    Answer look_up(const wire::dovecot_dict::Lookup& lookup);
    Task<void> answer(Answer answer);
    Task<void> iterate(wire::dovecot_dict::Iterate iterate);
    Task<Result<>> send_users(wire::dovecot_dict::Iterate iterate);
    Task<Result<>> send_shares(wire::dovecot_dict::Iterate iterate, std::string to);
    Task<void> let_others_go_first();
    Task<void> commit(wire::dovecot_dict::Commit commit);
    Task<Result<>> apply(std::string user, Change change);
    bool begin(const wire::dovecot_dict::Begin& begin);
    bool change(unsigned id, std::string key, std::optional<std::string> value);

    net::Stream& stream_;
    net::LineReader reader_;
    Authority& authority_;
    DictAccess access_;
    unsigned major_ = 3;
    std::string user_;  ///< of the connection; commands of version 3 name their own
    std::map<unsigned, Pending> transactions_;
};

}  // namespace muster::backend
