#pragma once
// What one try finds out of a message's recipients.

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "queue/envelope.h"

namespace muster::delivery {

/// One result for each recipient. Who stands for several targets (an alias) has one when all of
/// them answered, or one of them wants another try: of several answers the least final one counts,
/// so that nobody is left out. Those who have the message may then get it again.
class TryResults {
public:
    /// One more target of the recipient has to answer.
    void expect(std::uint32_t recipient) { ++recipients_[recipient].silent; }
    /// The answer of one of them.
    void answer(queue::RecipientResult result);
    /// Our own finding, of a recipient that has no target.
    void find(queue::RecipientResult result);

    /// All that is known.
    [[nodiscard]] std::vector<queue::RecipientResult> known() const;
    /// What is known and was not taken before: whoever takes it records it.
    std::vector<queue::RecipientResult> take();
    /// The same, without those of which the sender has to be told first.
    std::vector<queue::RecipientResult> take_untold(const queue::Envelope& envelope);

private:
    struct Known {
        std::uint32_t silent = 0;  ///< targets that have not answered
        bool taken = false;
        std::optional<queue::RecipientResult> result{};
    };
    static bool is_known(const Known& one);

    std::map<std::uint32_t, Known> recipients_;
};

}  // namespace muster::delivery
