#include "cluster/session_table.h"

#include <cstring>

namespace muster::cluster {
namespace {

constexpr std::size_t kMaxServers = 65'535;

std::size_t packed_size(const SessionInfo& info) {
    return std::min<std::size_t>(info.id.text.size(), 255) +
           std::min<std::size_t>(info.account.text.size(), 65'535) +
           std::min<std::size_t>(info.account_id.text.size(), 255);
}

char* append(char* at, std::string_view text) {
    std::memcpy(at, text.data(), text.size());
    return at + text.size();
}

}  // namespace

std::optional<SessionHandle> SessionShard::insert(const SessionInfo& info, Kickable& session) {
    const std::scoped_lock lock(mutex_);
    if (live_ >= limit_) return std::nullopt;
    if (free_.empty()) {
        free_.push_back(static_cast<std::uint32_t>(slots_.size()));
        slots_.emplace_back();
    }
    const std::uint32_t number = free_.back();
    free_.pop_back();
    Slot& slot = slots_[number];
    slot.session = &session;
    slot.client = info.client.address;
    slot.port = info.client.port;
    slot.since = static_cast<std::uint32_t>(
        std::chrono::duration_cast<std::chrono::seconds>(info.since.time_since_epoch()).count());
    slot.server = server_number(info.server);
    slot.service = info.service;
    slot.tls = info.tls;
    const std::string_view id = info.id.view().substr(0, 255);
    const std::string_view account = info.account.view().substr(0, 65'535);
    const std::string_view account_id = info.account_id.view().substr(0, 255);
    slot.id_size = static_cast<std::uint8_t>(id.size());
    slot.account_size = static_cast<std::uint16_t>(account.size());
    slot.account_id_size = static_cast<std::uint8_t>(account_id.size());
    slot.text = std::make_unique_for_overwrite<char[]>(packed_size(info));
    append(append(append(slot.text.get(), id), account), account_id);
    text_bytes_ += packed_size(info);
    ++live_;
    return SessionHandle{number_, number, slot.generation};
}

SessionShard::Slot* SessionShard::live(SessionHandle handle) {
    if (handle.shard != number_ || handle.slot >= slots_.size()) return nullptr;
    Slot& slot = slots_[handle.slot];
    return slot.session && slot.generation == handle.generation ? &slot : nullptr;
}

void SessionShard::remove(SessionHandle handle) {
    const std::scoped_lock lock(mutex_);
    Slot* slot = live(handle);
    if (!slot) return;
    text_bytes_ -= std::size_t{slot->id_size} + slot->account_size + slot->account_id_size;
    slot->session = nullptr;
    slot->text.reset();
    ++slot->generation;
    free_.push_back(handle.slot);
    --live_;
}

bool SessionShard::kick(SessionHandle handle, std::string_view reason) {
    Kickable* session = nullptr;
    {
        const std::scoped_lock lock(mutex_);
        if (const Slot* slot = live(handle)) session = slot->session;
    }
    // Unlocked: the session may remove itself at once.
    if (session) session->kick(reason);
    return session != nullptr;
}

std::size_t SessionShard::size() const {
    const std::scoped_lock lock(mutex_);
    return live_;
}

std::size_t SessionShard::memory() const {
    const std::scoped_lock lock(mutex_);
    return slots_.capacity() * sizeof(Slot) + free_.capacity() * sizeof(free_[0]) + text_bytes_;
}

std::uint16_t SessionShard::server_number(const ServerName& server) {
    const auto found = std::ranges::find(servers_, server);
    const auto number = static_cast<std::size_t>(found - servers_.begin());
    if (found == servers_.end()) {
        if (servers_.size() == kMaxServers) return 0;
        servers_.push_back(server);
    }
    return static_cast<std::uint16_t>(number);
}

bool SessionShard::matches(const Slot& slot, const SessionFilter& filter) const {
    if (!slot.session) return false;
    const char* text = slot.text.get();
    const std::string_view id(text, slot.id_size);
    const std::string_view account(text + slot.id_size, slot.account_size);
    const std::string_view account_id(text + slot.id_size + slot.account_size,
                                      slot.account_id_size);
    return (filter.id.empty() || filter.id.view() == id) &&
           (filter.account.empty() || filter.account.view() == account) &&
           (filter.account_id.empty() || filter.account_id.view() == account_id) &&
           (filter.server.empty() || filter.server == servers_[slot.server]) &&
           (!filter.client || *filter.client == slot.client) &&
           (!filter.service || *filter.service == slot.service) &&
           (filter.accounts == nullptr || filter.accounts->contains(account));
}

SessionInfo SessionShard::unpack(const Slot& slot) const {
    const char* text = slot.text.get();
    SessionInfo info;
    info.id = SessionId(std::string_view(text, slot.id_size));
    info.account = AccountAddress(std::string_view(text + slot.id_size, slot.account_size));
    info.account_id =
        AccountId(std::string_view(text + slot.id_size + slot.account_size, slot.account_id_size));
    info.service = slot.service;
    info.client = {slot.client, slot.port};
    info.server = servers_[slot.server];
    info.since = std::chrono::system_clock::time_point(std::chrono::seconds(slot.since));
    info.tls = slot.tls;
    return info;
}

void SessionShard::list(const SessionFilter& filter, std::size_t limit,
                        std::vector<ListedSession>& out) const {
    const std::scoped_lock lock(mutex_);
    for (std::uint32_t number = 0; number < slots_.size() && out.size() < limit; ++number) {
        const Slot& slot = slots_[number];
        if (!matches(slot, filter)) continue;
        out.push_back({{number_, number, slot.generation}, unpack(slot)});
    }
}

SessionTable::SessionTable(std::size_t shards, std::size_t limit_per_shard) {
    for (std::size_t number = 0; number < shards; ++number) {
        shards_.push_back(
            std::make_unique<SessionShard>(static_cast<std::uint32_t>(number), limit_per_shard));
    }
}

SessionTable::~SessionTable() = default;

std::size_t SessionTable::size() const {
    std::size_t total = 0;
    for (const auto& shard : shards_) total += shard->size();
    return total;
}

std::vector<ListedSession> SessionTable::list(const SessionFilter& filter,
                                              std::size_t limit) const {
    std::vector<ListedSession> result;
    for (const auto& shard : shards_) shard->list(filter, limit, result);
    return result;
}

}  // namespace muster::cluster
