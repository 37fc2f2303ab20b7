#pragma once
// Whose a spool is: its OWNER file.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/ids.h"

namespace muster::queue {

/// Node and generation: a node that was revoked and joined anew has a higher one.
struct Owner {
    NodeName node{};
    std::uint64_t generation = 0;
    std::string instance{};  ///< of the generation: the key it was made with

    friend bool operator==(const Owner&, const Owner&) = default;
};

[[nodiscard]] std::string render(const Owner& owner);
Result<Owner> parse_owner(std::string_view text);

/// What `self` writes where it found `found`: of a generation after it, whatever the clocks say.
[[nodiscard]] Owner next_owner(const Owner& found, const Owner& self);

/// The pure decision: may `self` run a queue that `found` owns? Refused, with a text for the
/// operator, when it is another node's or a later generation's.
Result<> may_run(const Owner& found, const Owner& self, std::string_view folder);

}  // namespace muster::queue
