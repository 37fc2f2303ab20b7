// Header blocks: bounds, and that written fields read as one field each.
#include <algorithm>

#include "fuzz.h"
#include "wire/ascii.h"
#include "wire/message.h"

namespace muster::wire {
namespace {

void header(std::string_view message) {
    HeaderReader reader(message);
    std::size_t size = 0;
    while (auto field = reader.next()) {
        MUST(!field->name.empty() && std::ranges::all_of(field->name, is_graphic));
        MUST(field->whole.data() == message.data() + size && field->whole.ends_with('\n'));
        MUST(fuzz::inside(field->name, field->whole) && fuzz::inside(field->value, field->whole));
        size += field->whole.size();
    }
    MUST(reader.size() >= size && reader.size() <= size + 2 && reader.size() <= message.size());
    auto summary = summarise_header(message);
    MUST(summary.size == reader.size() && summary.complete == reader.complete());
    for (const auto& value : header_values(message, "Delivered-To"))
        MUST(value.size() <= kMaxHeaderLine && !value.contains('\n'));
}

void received(FuzzedDataProvider provider) {
    auto helo = provider.ConsumeRandomLengthString(300);
    auto name = provider.ConsumeRandomLengthString(300);
    auto host = provider.ConsumeRandomLengthString(300);
    auto tls = provider.ConsumeRandomLengthString(300);
    auto id = provider.ConsumeRandomLengthString(300);
    auto address = provider.ConsumeRandomLengthString(300);
    std::chrono::sys_seconds time{std::chrono::seconds(provider.ConsumeIntegral<std::uint32_t>())};
    ReceivedLine line{.helo = helo,
                      .client_name = name,
                      .host = host,
                      .with = {.tls = provider.ConsumeBool(), .utf8 = provider.ConsumeBool()},
                      .tls = tls,
                      .id = id,
                      .for_address = address,
                      .time = time};
    if (provider.ConsumeBool()) line.client = *IpAddress::parse("2001:db8::1");
    auto written = write_received(line);
    auto summary = summarise_header(written + "\r\n");
    MUST(summary.received == 1 && summary.complete && summary.size == written.size() + 2);
    std::string_view rest = written;
    for (unsigned lines = 0; !rest.empty(); ++lines) {
        auto end = rest.find("\r\n");
        MUST(end <= kMaxHeaderLine && fits_a_line(rest.substr(0, end)));
        MUST((lines == 0) == !rest.starts_with('\t'));
        rest.remove_prefix(end + 2);
    }
    auto message_id = write_message_id(time, id, host);
    MUST(std::ranges::all_of(message_id, is_graphic) && message_id.ends_with('>'));
}

}  // namespace
}  // namespace muster::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    muster::wire::header(muster::fuzz::text(data, size));
    muster::wire::received(FuzzedDataProvider(data, size));
    return 0;
}
