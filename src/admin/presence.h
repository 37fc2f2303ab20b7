#pragma once
// Which members of the cluster a master hears of, and whether two of them have one name.

#include <nlohmann/json.hpp>

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "admin/alarms.h"
#include "base/ids.h"
#include "state/store.h"

namespace muster::admin {

inline constexpr std::string_view kAlivePrefix = "alive/";  ///< in the coordination store

/// How a member showed itself when it was heard last.
struct Sighting {
    std::string instance;  ///< made anew at each start of a node
    std::string address;   ///< where its connection came from
    std::string version;
    WallTime time;
    std::chrono::seconds interval{};  ///< between two visits; 0: its stream stays open
    /// "HOST:PORT" of its SMTP listeners; nothing from a node that does not say. Not kept in the
    /// store: a node says it anew to each master.
    std::optional<std::vector<std::string>> smtp{};
};

/// "2026-01-31 23:59 UTC".
std::string in_utc(WallTime time);
/// In milliseconds.
std::int64_t since_1970(WallTime time);

/// Kept by a master, thread-safe. Members follow the state by a stream that stays open; while it
/// does they are there. Those with an update interval come and go: two with one name are noticed
/// when an instance comes back after another one took its place. What is known is written to
/// `alive/NODE` by flush(), in one transaction, so that the number of writes does not follow the
/// number of connections.
class Presence {
public:
    using Clock = std::function<WallTime()>;
    /// This node leads from now on: whoever was not heard of yet is given time to come.
    void begin();
    /// Reads what an earlier run wrote; `coordination` must outlive it.
    explicit Presence(state::Store& coordination, Clock clock = std::chrono::system_clock::now);

    /// One stream of a member, from its beginning to its end.
    class Visit {
    public:
        Visit(Presence& presence, NodeName node, std::uint64_t number)
            : presence_(&presence), node_(std::move(node)), number_(number) {}
        Visit(Visit&& other) noexcept
            : presence_(std::exchange(other.presence_, nullptr)),
              node_(std::move(other.node_)),
              number_(other.number_) {}
        Visit& operator=(Visit&&) = delete;
        Visit(const Visit&) = delete;
        Visit& operator=(const Visit&) = delete;
        ~Visit() {
            if (presence_ != nullptr) presence_->leave(node_, number_);
        }

    private:
        Presence* presence_;
        NodeName node_;
        std::uint64_t number_;
    };
    /// Nothing while another instance of that name has a stream. `look` makes the stream prove that
    /// its node is still there (see taken()); it is called until the visit ends.
    std::optional<Visit> enter(const NodeName& node, const Sighting& sighting,
                               std::function<void()> look);
    /// Whether another instance has a stream; asks that stream to look whether its node is there.
    bool taken(const NodeName& node, const std::string& instance);
    /// A second instance was sent away: logged when it is new, an alarm for a minute.
    Error refuse(const NodeName& node, const Sighting& second);

    /// Writes what is new, forgets who is no member. `self` is this master's own row.
    Result<> flush(const std::vector<NodeName>& members, const NodeName& self,
                   const Sighting& sighting);
    /// Members that were not heard of for `limit` (counted from the start at the earliest), and
    /// names that two nodes have.
    std::vector<Alarm> alarms(const std::vector<NodeName>& members, std::chrono::seconds limit,
                              WallTime now);
    /// {"NODE": {"time", "connected", "instance", "address", "version"}}, `time` in ms since 1970.
    nlohmann::json shown(WallTime now);
    /// Where the nodes that have said so take SMTP.
    std::map<NodeName, std::vector<std::string>> smtp_listeners();

private:
    struct Row {
        Sighting last;
        std::string former;  ///< the instance before
        std::map<std::uint64_t, std::function<void()>> visits{};
        bool changed = false;
    };
    struct Twin {
        Sighting second;
        WallTime told;
    };

    bool is_twin(Row& row, const std::string& instance) const;
    void leave(const NodeName& node, std::uint64_t number);

    state::Store& coordination_;
    const Clock clock_;
    WallTime start_;  ///< of leading
    std::mutex mutex_;
    std::map<std::string, Row> rows_;
    std::map<std::string, Twin> twins_;
    std::uint64_t next_ = 0;
};

}  // namespace muster::admin
