// A queue file of any bytes is read or refused; what is read says the same when it is written
// again.
#include "fuzz.h"
#include "queue/message_file.h"

namespace {

using namespace muster::queue;

void use(std::string_view file) {
    const auto layout = parse_layout(file);
    if (!layout || file.size() < layout->tail() || layout->tail() < layout->size) return;
    const auto read = parse_file(file.substr(0, layout->head), file.substr(layout->tail()));
    if (!read) {
        MUST(!read.error().detail.empty());
        return;
    }
    MUST(read->states.size() == read->envelope.recipients.size());
    MUST(read->whole <= file.size() - layout->tail());
    for (const std::size_t length : {std::size_t{0}, std::size_t{4096}}) {
        const FileText text =
            render(layout->id, read->envelope, layout->size, layout->checksum, length);
        MUST(length == 0 || text.head.size() == length);
        const auto again = parse_file(text.head, text.tail);
        MUST(again);
        MUST(again->envelope == read->envelope);
        MUST(again->open_recipients() == read->envelope.recipients.size());
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes = muster::fuzz::text(data, size);
    use(bytes);
    // Most inputs would not get past the first lines: the rest of them behind right ones.
    FuzzedDataProvider input(data, size);
    const std::string fields = input.ConsumeRandomLengthString();
    const std::string tail = input.ConsumeRemainingBytesAsString();
    Envelope envelope;
    envelope.recipients = {{.address = "x@example.net"}};
    FileText text = render(QueueId("01k3xq0m2v7f3b9a1c2d"), envelope, 0, 0);
    use(text.head + text.tail + tail);
    std::string head = text.head;
    head.insert(head.find("recipients "), fields);
    const std::string size_digits = std::to_string(head.size());
    head.replace(head.find(" head ") + 6, 8,
                 std::string(8 - size_digits.size(), '0') + size_digits);
    use(head + text.tail + tail);
    return 0;
}
