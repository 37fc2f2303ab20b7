#include "backend/dict_session.h"

#include "base/log.h"
#include "net/yield.h"

namespace muster::backend {
namespace {

namespace dict = wire::dovecot_dict;

constexpr std::size_t kMaxTransactions = 64;
constexpr std::size_t kMaxChanges = 1000;
constexpr std::size_t kMostLetIn = 1'000'000;

std::string text_of(const Answer& answer) {
    if (const auto* found = std::get_if<Found>(&answer)) return dict::write_found(found->value);
    if (const auto* failure = std::get_if<Failure>(&answer))
        return dict::write_failure(failure->reason);
    return dict::write_not_found();
}

Answer as_answer(Result<std::optional<std::string>> value) {
    if (!value) return Failure{value.error().detail};
    if (!*value) return NotFound{};
    return Found{std::move(**value)};
}

}  // namespace

Answer Authority::userdb(const UserdbQuery& query) {
    const auto standing = standing_of(query.name, view, settings);
    if (standing && standing->kind == Standing::Kind::Served) {
        if (let_in.size() >= kMostLetIn) let_in.clear();
        const AccountFacts& facts = standing->facts;
        let_in[facts.address.text] = home_path(settings.mail_root, facts.id, facts.epoch);
    }
    return userdb_answer(standing, settings);
}

Answer Authority::passdb(const PassdbQuery& query) {
    probes.saw(query.name, {query.client, query.session}, ProbeMemory::Clock::now());
    return passdb_answer(query, view, settings);
}

Task<void> DictSession::run() {
    while (auto line = co_await reader_.line(dict::kMaxLine)) {
        if (line->fault != net::LineFault::None) break;
        auto command = dict::parse_command(line->text, major_);
        if (!command) {
            log::warning("dict-refused", {{"reason", command.error().detail}});
            break;
        }
        const bool go_on = co_await handle(std::move(*command));
        if (!go_on) break;
    }
}

Task<bool> DictSession::handle(Command command) {
    if (auto* hello = std::get_if<dict::Hello>(&command)) {
        major_ = hello->major;
        user_ = std::move(hello->user);
    } else if (auto* lookup = std::get_if<dict::Lookup>(&command)) {
        if (lookup->user.empty()) lookup->user = user_;
        co_await answer(look_up(*lookup));
    } else if (auto* rows = std::get_if<dict::Iterate>(&command)) {
        co_await iterate(std::move(*rows));
    } else if (auto* start = std::get_if<dict::Begin>(&command)) {
        co_return begin(*start);
    } else if (auto* set = std::get_if<dict::Set>(&command)) {
        co_return change(set->id, std::move(set->key), std::move(set->value));
    } else if (auto* unset = std::get_if<dict::Unset>(&command)) {
        co_return change(unset->id, std::move(unset->key), std::nullopt);
    } else if (const auto* end = std::get_if<dict::Commit>(&command)) {
        co_await commit(*end);
    } else if (const auto* undo = std::get_if<dict::Rollback>(&command)) {
        transactions_.erase(undo->id);
    }
    co_return true;
}

Answer DictSession::look_up(const dict::Lookup& lookup) {
    const auto query = parse_dict_key(lookup.key, lookup.user);
    if (!query) return NotFound{};
    if (const auto* share = std::get_if<SharedQuery>(&*query))
        return as_answer(authority_.shares.get(share->to, share->from));
    if (std::holds_alternative<LastLoginQuery>(*query)) return NotFound{};
    if (access_ != DictAccess::Auth) return Failure{"not on this socket"};
    if (const auto* passdb = std::get_if<PassdbQuery>(&*query)) return authority_.passdb(*passdb);
    if (const auto* userdb = std::get_if<UserdbQuery>(&*query)) return authority_.userdb(*userdb);
    return token_answer(std::get<TokenQuery>(*query), authority_.view, authority_.tokens,
                        TokenStore::Clock::now());
}

Task<void> DictSession::answer(Answer answer) {
    const auto text = text_of(answer);
    co_await stream_.write(text);
}

Task<void> DictSession::iterate(dict::Iterate iterate) {
    if (iterate.user.empty()) iterate.user = user_;
    const auto query = parse_dict_key(iterate.path, iterate.user);
    Result<> sent;
    if (query && std::holds_alternative<UserdbQuery>(*query)) {
        sent = access_ == DictAccess::Auth
                   ? co_await send_users(iterate)
                   : Result<>(fail(ErrorKind::Refused, "not on this socket"));
    } else if (query && std::holds_alternative<SharedQuery>(*query)) {
        sent = co_await send_shares(iterate, std::get<SharedQuery>(*query).to);
    }
    const auto end = sent ? dict::write_end_of_rows() : dict::write_failure(sent.error().detail);
    co_await stream_.write(end);
}

/// Rows of accounts whose home is here, page by page.
Task<Result<>> DictSession::send_users(dict::Iterate iterate) {
    std::uint64_t left = iterate.max_rows == 0 ? UINT64_MAX : iterate.max_rows;
    std::string from;
    do {
        const auto page = authority_.view.accounts(from);
        if (!page) co_return std::unexpected(page.error());
        std::string rows;
        for (const auto& account : page->rows) {
            if (left == 0 || account.home != authority_.settings.server) continue;
            rows += dict::write_row("shared/userdb/" + account.address.text, "{}");
            --left;
        }
        if (!rows.empty()) co_await stream_.write(rows);
        from = page->next;
        co_await let_others_go_first();
    } while (!from.empty() && left != 0);
    co_return Result<>();
}

Task<Result<>> DictSession::send_shares(dict::Iterate iterate, std::string to) {
    std::string start;
    do {
        const auto page = authority_.shares.list(to, iterate.user, start);
        if (!page) co_return std::unexpected(page.error());
        std::string rows;
        for (const auto& share : page->rows)
            rows += dict::write_row(shared_box_key(share.to, share.from), share.value);
        if (!rows.empty()) co_await stream_.write(rows);
        start = page->next;
        co_await let_others_go_first();
    } while (!start.empty());
    co_return Result<>();
}

/// A page without rows for this client never waits for its stream.
Task<void> DictSession::let_others_go_first() {
    if (authority_.loop != nullptr) co_await net::Yield(*authority_.loop);
}

bool DictSession::begin(const dict::Begin& begin) {
    if (transactions_.size() >= kMaxTransactions) return false;
    transactions_[begin.id] = Pending{begin.user.empty() ? user_ : begin.user, {}};
    return true;
}

bool DictSession::change(unsigned id, std::string key, std::optional<std::string> value) {
    const auto found = transactions_.find(id);
    if (found == transactions_.end() || found->second.changes.size() >= kMaxChanges) return false;
    found->second.changes.push_back({std::move(key), std::move(value)});
    return true;
}

Task<void> DictSession::commit(dict::Commit commit) {
    Pending pending;
    if (auto node = transactions_.extract(commit.id)) pending = std::move(node.mapped());
    Result<> applied;
    for (auto& change : pending.changes) {
        applied = co_await apply(pending.user, std::move(change));
        if (!applied) break;
    }
    if (!applied)
        log::warning("dict-write-failed",
                     {{"account", pending.user}, {"reason", applied.error().detail}});
    const auto text =
        applied ? dict::write_commit(commit, dict::CommitResult::Ok)
                : dict::write_commit(commit, dict::CommitResult::Failed, applied.error().detail);
    co_await stream_.write(text);
}

/// Reports of log-ins are taken and dropped.
Task<Result<>> DictSession::apply(std::string user, Change change) {
    const auto query = parse_dict_key(change.key, user);
    if (query && std::holds_alternative<LastLoginQuery>(*query)) co_return Result<>();
    const auto* share = query ? std::get_if<SharedQuery>(&*query) : nullptr;
    if (share == nullptr || share->from.empty())
        co_return fail(ErrorKind::Refused, "not a key that can be written");
    auto written = co_await authority_.shares.set(std::move(user), share->to, share->from,
                                                  std::move(change.value));
    co_return written;
}

}  // namespace muster::backend
