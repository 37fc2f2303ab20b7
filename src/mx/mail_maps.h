#pragma once
// What other mail servers may ask: tables of the directory, by name, one key a question.

#include <string>
#include <string_view>

#include "cluster/directory.h"
#include "cluster/recipients.h"
#include "delivery/sender_rewriting.h"
#include "net/timer.h"
#include "wire/smtp.h"
#include "wire/socketmap.h"

namespace muster::mx {

struct MapAnswer {
    wire::socketmap::Status status = wire::socketmap::Status::NotFound;
    std::string text{};

    friend bool operator==(const MapAnswer&, const MapAnswer&) = default;
};

/// Answers from the replica, on its directory's thread:
///
/// | map         | key       | found                                                           |
/// |-------------|-----------|-----------------------------------------------------------------|
/// | `domain`    | a domain  | the domain, when it is ours, a remote one of the directory, or  |
/// |             |           | that of rewritten senders                                       |
/// | `recipient` | an address| the address, when somebody takes its mail                       |
/// | `alias`     | an address| the addresses that stand for it, with commas; not for accounts  |
/// | `transport` | an address| an account's home, `lmtp:inet:[HOST]:PORT` or `smtp:[HOST]:PORT`;|
/// |             |           | a remote domain's route, `smtp:…`; whether it is up or not      |
///
/// Temporary: the replica was never filled, or an address of ours is unknown to a replica that has
/// not heard of a master for `patience`, or since it started. Permanent: no such map.
class MailMaps {
public:
    /// `host_name` is this node's. The directory must outlive the maps.
    MailMaps(cluster::Directory& directory, std::string host_name, net::Duration patience,
             std::shared_ptr<const delivery::SenderRewriting> rewriting = nullptr)
        : directory_(directory),
          host_name_(std::move(host_name)),
          patience_(patience),
          rewriting_(std::move(rewriting)) {}

    MapAnswer answer(const wire::socketmap::Request& request);

private:
    using Map = MapAnswer (*)(const wire::smtp::Path&, const cluster::MailRoute&);

    [[nodiscard]] bool can_tell();
    MapAnswer domain(std::string_view key);
    /// Asks `map` about an address; what cannot be one is not found.
    MapAnswer address(std::string_view key, Map map);

    cluster::Directory& directory_;
    const std::string host_name_;
    const net::Duration patience_;
    const std::shared_ptr<const delivery::SenderRewriting> rewriting_;
};

}  // namespace muster::mx
