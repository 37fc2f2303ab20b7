#pragma once
// The live sessions of one process: for `session list` and `session kick`. Soft state, lost with
// the process.

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/endpoint.h"
#include "base/ids.h"
#include "cluster/entries.h"

namespace muster::cluster {

/// What a session lets others do to it. Called on its own thread only.
class Kickable {
public:
    virtual void kick(std::string_view reason) = 0;

protected:
    ~Kickable() = default;
};

struct SessionInfo {
    SessionId id;
    AccountAddress account;
    AccountId account_id;
    Service service = Service::Imap;
    Endpoint client;
    ServerName server;
    std::chrono::system_clock::time_point since;  ///< whole seconds
    bool tls = false;

    friend bool operator==(const SessionInfo&, const SessionInfo&) = default;
};

/// Names one session for ever: a slot that is used again has another generation.
struct SessionHandle {
    std::uint32_t shard = 0;
    std::uint32_t slot = 0;
    std::uint32_t generation = 0;

    friend bool operator==(const SessionHandle&, const SessionHandle&) = default;
};

struct ListedSession {
    SessionHandle handle;
    SessionInfo info;
};

/// Empty fields match everything.
struct SessionFilter {
    SessionId id{};
    AccountAddress account{};
    AccountId account_id{};
    ServerName server{};
    std::optional<IpAddress> client{};
    std::optional<Service> service{};
    const std::set<std::string, std::less<>>* accounts = nullptr;  ///< one of these addresses
};

/// The sessions of one worker. insert, remove and kick: on its thread only. The mutex is there
/// for the rare lister; nobody else waits for it.
class SessionShard {
public:
    SessionShard(std::uint32_t number, std::size_t limit) : number_(number), limit_(limit) {}

    /// Empty when the table is full (the session then goes on unlisted). `session` must stay
    /// until remove().
    std::optional<SessionHandle> insert(const SessionInfo& info, Kickable& session);
    void remove(SessionHandle handle);
    /// False when it has ended meanwhile.
    bool kick(SessionHandle handle, std::string_view reason);

    [[nodiscard]] std::size_t size() const;
    /// Bytes held for the sessions, for the metrics.
    [[nodiscard]] std::size_t memory() const;

private:
    friend class SessionTable;
    /// 64 bytes and one packed text (id, account, account id).
    struct Slot {
        Kickable* session = nullptr;
        std::unique_ptr<char[]> text;
        IpAddress client;
        std::uint32_t generation = 0;
        std::uint32_t since = 0;  ///< seconds since 1970
        std::uint16_t port = 0;
        std::uint16_t server = 0;
        std::uint16_t account_size = 0;
        std::uint8_t id_size = 0;
        std::uint8_t account_id_size = 0;
        Service service = Service::Imap;
        bool tls = false;
    };

    [[nodiscard]] Slot* live(SessionHandle handle);
    void list(const SessionFilter& filter, std::size_t limit,
              std::vector<ListedSession>& out) const;
    [[nodiscard]] bool matches(const Slot& slot, const SessionFilter& filter) const;
    [[nodiscard]] SessionInfo unpack(const Slot& slot) const;
    std::uint16_t server_number(const ServerName& server);

    const std::uint32_t number_;
    const std::size_t limit_;
    mutable std::mutex mutex_;
    std::vector<Slot> slots_;
    std::vector<std::uint32_t> free_;
    std::vector<ServerName> servers_;  ///< names once, numbers in the slots
    std::size_t live_ = 0;
    std::size_t text_bytes_ = 0;
};

/// All shards of a process. Thread-safe.
class SessionTable {
public:
    SessionTable(std::size_t shards, std::size_t limit_per_shard);
    ~SessionTable();

    SessionShard& shard(std::size_t number) { return *shards_[number]; }
    [[nodiscard]] std::size_t shards() const { return shards_.size(); }
    [[nodiscard]] std::size_t size() const;
    /// At most `limit` sessions, shard by shard. To kick one, go to the thread of handle.shard.
    [[nodiscard]] std::vector<ListedSession> list(const SessionFilter& filter,
                                                  std::size_t limit) const;

private:
    std::vector<std::unique_ptr<SessionShard>> shards_;
};

}  // namespace muster::cluster
