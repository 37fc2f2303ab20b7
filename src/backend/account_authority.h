#pragma once
// What Dovecot is told of an account: one look-up for every Dovecot generation and protocol. The
// answers are JSON objects with Dovecot's field names (docs/dovecot.md).

#include <string>
#include <variant>

#include "backend/account_view.h"
#include "backend/dict_key.h"
#include "backend/token_store.h"

namespace muster::backend {

struct AuthoritySettings {
    ServerName server;      ///< whose accounts we answer for
    std::string mail_root;  ///< homes are `mail_root/ID's first two characters/ID/EPOCH`
    /// Kept across restarts, so that an unknown name is shown the same salt each time.
    std::string decoy_secret;
};

struct Found {
    std::string value;
};
struct NotFound {};
/// Dovecot says `temporary failure`.
struct Failure {
    std::string reason;  ///< for logs
};
using Answer = std::variant<Found, NotFound, Failure>;

/// The home of an account: by id, so that renaming moves nothing, and by epoch, so that a process
/// of an earlier life of the mailbox finds nothing by path.
std::string homes_path(std::string_view mail_root, const AccountId& id);  ///< of all epochs
std::string home_path(std::string_view mail_root, const AccountId& id, std::uint64_t epoch);

/// Pure but for what the view reads.
///
/// Unknown names and accounts without a fitting key get a key that no password fits, so that they
/// take the same steps and the same time as a wrong password. Disabled accounts get `nologin`
/// without a reason: a reason would be told to SCRAM clients with a wrong password as well.
Answer passdb_answer(const PassdbQuery& query, AccountView& view,
                     const AuthoritySettings& settings);

/// Whether an account is served here now.
struct Standing {
    enum class Kind : std::uint8_t { Unknown, Elsewhere, Disabled, Served };
    Kind kind = Kind::Unknown;
    AccountFacts facts;  ///< unless Unknown
};
Result<Standing> standing_of(std::string_view name, AccountView& view,
                             const AuthoritySettings& settings);

/// The fence: only an account that is served here gets a home. Others are a temporary failure
/// with a reason (so that mail for them waits); names of no account are not found.
Answer userdb_answer(const Result<Standing>& standing, const AuthoritySettings& settings);

/// Uses the token up.
Answer token_answer(const TokenQuery& query, AccountView& view, TokenStore& tokens,
                    TokenStore::Clock::time_point now);

/// A SCRAM key for `name` that nothing verifies against. Its salt depends on name and secret
/// alone. `mechanism` SCRAM-SHA-1 gets a key of that kind, all others one of SCRAM-SHA-256.
std::string decoy_key(std::string_view mechanism, std::string_view name, std::string_view secret);

}  // namespace muster::backend
