#include "admin/presence.h"

#include <algorithm>
#include <array>
#include <ctime>

#include "base/log.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr std::chrono::minutes kTwinAlarm{1};  ///< a node that is refused asks every 10 s
constexpr std::chrono::hours kTellAgain{6};
constexpr std::size_t kMostRows = 100'000;

json to_json(const Sighting& sighting) {
    return {{"instance", sighting.instance},
            {"address", sighting.address},
            {"version", sighting.version},
            {"time", since_1970(sighting.time)},
            {"interval", sighting.interval.count()}};
}

Sighting sighting_from(const std::string& text) {
    const json row = state::parse_json(text);
    if (!row.is_object()) return {};
    Sighting sighting;
    const auto take = [&row](const char* field) {
        return row.contains(field) && row[field].is_string() ? row[field].get<std::string>() : "";
    };
    sighting.instance = take("instance");
    sighting.address = take("address");
    sighting.version = take("version");
    if (row.contains("time") && row["time"].is_number_integer()) {
        sighting.time = WallTime(milliseconds(row["time"].get<std::int64_t>()));
    }
    if (row.contains("interval") && row["interval"].is_number_unsigned()) {
        constexpr std::uint64_t kDay = 86'400;
        sighting.interval =
            std::chrono::seconds(std::min(row["interval"].get<std::uint64_t>(), kDay));
    }
    return sighting;
}

/// A node of an older version says nothing.
bool differ(const std::string& left, const std::string& right) {
    return !left.empty() && !right.empty() && left != right;
}

std::string twins_text(const std::string& node, const Sighting& first, const Sighting& second) {
    return "two running nodes are called " + node + ": the one at " + first.address +
           " is followed, the one at " + second.address +
           " is refused. One of them runs on a copy of the other's state_dir: stop that one, empty "
           "its state_dir and join it under a name of its own";
}

}  // namespace

std::int64_t since_1970(WallTime time) {
    return std::chrono::duration_cast<milliseconds>(time.time_since_epoch()).count();
}

std::string in_utc(WallTime time) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    std::array<char, 32> text{};
    std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M UTC", &parts);
    return text.data();
}

Presence::Presence(state::Store& coordination, Clock clock)
    : coordination_(coordination), clock_(std::move(clock)), start_(clock_()) {
    const auto rows = coordination.range(kAlivePrefix, state::prefix_end(kAlivePrefix), kMostRows);
    if (!rows) {
        log::error("alive_unreadable", {{"reason", rows.error().detail}});
        return;
    }
    for (const state::Entry& entry : *rows) {
        rows_[entry.key.substr(kAlivePrefix.size())].last = sighting_from(entry.value);
    }
}

void Presence::begin() {
    const std::scoped_lock lock(mutex_);
    start_ = clock_();
}

std::optional<Presence::Visit> Presence::enter(const NodeName& node, const Sighting& sighting,
                                               std::function<void()> look) {
    const std::scoped_lock lock(mutex_);
    Row& row = rows_[node.text];
    if (is_twin(row, sighting.instance)) return std::nullopt;
    if (differ(row.last.instance, sighting.instance)) row.former = row.last.instance;
    row.last = sighting;
    row.changed = true;
    const auto number = next_++;
    row.visits.emplace(number, std::move(look));
    return Visit(*this, node, number);
}

bool Presence::is_twin(Row& row, const std::string& instance) const {
    if (!differ(row.last.instance, instance)) return false;
    if (!row.visits.empty()) return true;
    const auto away = clock_() - row.last.time;
    // The one that took its place would have come again by now.
    if (away > row.last.interval + kTwinAlarm) row.former.clear();
    return row.former == instance;
}

void Presence::leave(const NodeName& node, std::uint64_t number) {
    const std::scoped_lock lock(mutex_);
    const auto row = rows_.find(node.text);
    if (row == rows_.end()) return;
    row->second.visits.erase(number);
    row->second.last.time = clock_();
    row->second.changed = true;
}

bool Presence::taken(const NodeName& node, const std::string& instance) {
    const std::scoped_lock lock(mutex_);
    const auto row = rows_.find(node.text);
    if (row == rows_.end() || !is_twin(row->second, instance)) return false;
    for (const auto& [number, look] : row->second.visits) look();
    return true;
}

Error Presence::refuse(const NodeName& node, const Sighting& second) {
    const std::scoped_lock lock(mutex_);
    const Sighting& first = rows_[node.text].last;
    const std::string text = twins_text(node.text, first, second);
    const auto known = twins_.find(node.text);
    const bool is_new = known == twins_.end() || known->second.second.instance != second.instance ||
                        second.time - known->second.told > kTellAgain;
    const WallTime told = is_new ? second.time : known->second.told;
    twins_.insert_or_assign(node.text, Twin{second, told});
    if (is_new) {
        log::error("two_nodes_one_name", {{"node", node.text},
                                          {"first", first.address},
                                          {"first_instance", first.instance},
                                          {"second", second.address},
                                          {"second_instance", second.instance},
                                          {"what_to_do", text}});
    }
    return {ErrorKind::Refused, "", text};
}

Result<> Presence::flush(const std::vector<NodeName>& members, const NodeName& self,
                         const Sighting& sighting) {
    state::Transaction transaction;
    {
        const std::scoped_lock lock(mutex_);
        rows_[self.text].last = sighting;
        rows_[self.text].changed = true;
        for (auto at = rows_.begin(); at != rows_.end();) {
            auto& [name, row] = *at;
            const std::string key = std::string(kAlivePrefix) + name;
            const bool is_member =
                name == self.text ||
                std::ranges::find(members, name, &NodeName::text) != members.end();
            if (!is_member && row.visits.empty()) {
                transaction.remove(key);
                at = rows_.erase(at);
                continue;
            }
            if (!row.visits.empty()) row.last.time = sighting.time;
            if (row.changed || !row.visits.empty()) {
                transaction.put(key, state::json_line(to_json(row.last)));
            }
            row.changed = false;
            ++at;
        }
    }
    const auto written = coordination_.commit(transaction);
    if (!written) return std::unexpected(written.error());
    return {};
}

std::vector<Alarm> Presence::alarms(const std::vector<NodeName>& members,
                                    std::chrono::seconds limit, WallTime now) {
    const std::scoped_lock lock(mutex_);
    std::vector<Alarm> alarms;
    for (const auto& [name, twin] : twins_) {
        if (now - twin.second.time > kTwinAlarm) continue;
        alarms.push_back({"node " + name, twins_text(name, rows_[name].last, twin.second), true});
    }
    if (now - start_ < limit) return alarms;
    for (const NodeName& member : members) {
        const auto row = rows_.find(member.text);
        if (row != rows_.end() && !row->second.visits.empty()) continue;
        const bool never = row == rows_.end() || row->second.last.time == WallTime{};
        if (!never) {
            const auto patience = std::max(limit, 3 * row->second.last.interval);
            if (now - row->second.last.time < patience) continue;
        }
        alarms.push_back(
            {"node " + member.text,
             (never ? "does not follow this master and was never seen"
                    : "does not follow this master, last seen " + in_utc(row->second.last.time) +
                          " at " + row->second.last.address) +
                 std::string(": start it, or put it out (muster node remove ") + member.text + ")",
             true});
    }
    return alarms;
}

std::map<NodeName, std::vector<std::string>> Presence::smtp_listeners() {
    const std::scoped_lock lock(mutex_);
    std::map<NodeName, std::vector<std::string>> told;
    for (const auto& [name, row] : rows_) {
        if (row.last.smtp) told.emplace(NodeName(name), *row.last.smtp);
    }
    return told;
}

json Presence::shown(WallTime now) {
    const std::scoped_lock lock(mutex_);
    json list = json::object();
    for (const auto& [name, row] : rows_) {
        const bool connected = !row.visits.empty();
        list[name] = to_json(row.last);
        list[name]["connected"] = connected;
        if (connected) list[name]["time"] = since_1970(now);
    }
    return list;
}

}  // namespace muster::admin
