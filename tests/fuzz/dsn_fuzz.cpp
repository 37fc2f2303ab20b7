// Delivery reports: whatever goes in, lines end with CRLF, the header is ours and the parts are
// three.
#include "fuzz.h"
#include "wire/dsn.h"
#include "wire/message.h"
#include "wire/smtp_data.h"

namespace muster::wire::dsn {
namespace {

RecipientStatus recipient(FuzzedDataProvider& provider) {
    RecipientStatus status{.final_recipient = provider.ConsumeRandomLengthString(300),
                           .action = static_cast<Action>(provider.ConsumeIntegralInRange(0, 4)),
                           .status = provider.ConsumeRandomLengthString(20),
                           .remote_mta = provider.ConsumeRandomLengthString(300),
                           .diagnostic = provider.ConsumeRandomLengthString(1200)};
    if (provider.ConsumeBool()) status.orcpt = provider.ConsumeRandomLengthString(600);
    if (provider.ConsumeBool()) status.retry_until.emplace(std::chrono::seconds(1'900'000'000));
    return status;
}

std::size_t count(std::string_view text, std::string_view wanted) {
    std::size_t found = 0;
    for (auto at = text.find(wanted); at != std::string_view::npos; at = text.find(wanted, at + 1))
        ++found;
    return found;
}

void report(FuzzedDataProvider provider) {
    Report report{.reporting_mta = provider.ConsumeRandomLengthString(300),
                  .sender = provider.ConsumeRandomLengthString(300),
                  .unique = provider.ConsumeRandomLengthString(60)};
    if (provider.ConsumeBool()) report.envid = provider.ConsumeRandomLengthString(120);
    auto recipients = provider.ConsumeIntegralInRange(0, 3);
    for (int i = 0; i < recipients; ++i) report.recipients.push_back(recipient(provider));
    report.text = provider.ConsumeRandomLengthString(1200);
    report.return_full = provider.ConsumeBool();
    auto original = provider.ConsumeRemainingBytesAsString();
    report.original = original;

    auto written = write(report);
    smtp::BareCheck check;
    check.add(written);
    check.finish();
    MUST(!check.findings().bare() && written.ends_with("--\r\n"));
    auto header = summarise_header(written);
    MUST(header.complete && header.from && header.to && header.subject && header.date);
    auto type = header_values(written, "Content-Type");
    MUST(type.size() == 1);
    auto quote = type[0].find('"');
    auto boundary = "--" + type[0].substr(quote + 1, type[0].size() - quote - 2);
    MUST(boundary.size() > 4 && boundary.size() <= 72);
    MUST(count(written, "\r\n" + boundary + "\r\n") == 3);
    auto body = std::string_view(written).substr(header.size);
    MUST(count(body, boundary) == 4 && body.ends_with("\r\n" + boundary + "--\r\n"));
}

}  // namespace
}  // namespace muster::wire::dsn

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    muster::wire::dsn::report(FuzzedDataProvider(data, size));
    return 0;
}
