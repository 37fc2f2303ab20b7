#pragma once
// A message of the queue, or on its way there, as what servers are sent.

#include <memory>

#include "delivery/transaction.h"
#include "queue/body.h"

namespace muster::delivery {

/// Reads from disk on the loop's thread where the message is not in memory: it was just written, or
/// is read ahead by the kernel.
class ContentBody final : public BodySource {
public:
    explicit ContentBody(std::shared_ptr<const queue::Content> content)
        : content_(std::move(content)), reader_(content_) {}

    Task<Result<std::string_view>> next() override;
    [[nodiscard]] std::uint64_t size() const override { return content_->size(); }
    void rewind() override { reader_.rewind(); }

private:
    std::shared_ptr<const queue::Content> content_;
    queue::BodyReader reader_;
};

/// Whether there is more than ASCII before the first empty line.
bool has_utf8_header(const std::shared_ptr<const queue::Content>& content);

}  // namespace muster::delivery
