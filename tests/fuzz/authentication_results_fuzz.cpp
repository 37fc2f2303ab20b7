// Authentication-Results: what is written is one field of ours, and nothing of ours is left behind.
#include "fuzz.h"
#include "wire/authentication_results.h"
#include "wire/message.h"

namespace muster::wire {
namespace {

constexpr std::string_view kOurs = "mx.example.org";

void removed(std::string_view header) {
    const auto kept = without_results_of(header, kOurs);
    if (!kept) return;
    MUST(kept->size() < header.size());
    MUST(!without_results_of(*kept, kOurs));
}

void written(FuzzedDataProvider provider) {
    const auto name = provider.ConsumeRandomLengthString(300);
    const auto login = provider.ConsumeRandomLengthString(300);
    AuthenticationResults results{.authserv_id = kOurs,
                                  .client_name = name,
                                  .authenticated = provider.ConsumeBool(),
                                  .login = login};
    if (provider.ConsumeBool()) results.iprev = "pass";
    if (provider.ConsumeBool()) results.client = *IpAddress::parse("2001:db8::1");
    const auto field = write_authentication_results(results);
    if (field.empty()) return;
    HeaderReader reader(field);
    MUST(reader.next().has_value() && !reader.next().has_value());
    MUST(without_results_of(field, kOurs) == "");
}

}  // namespace
}  // namespace muster::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    muster::wire::removed(muster::fuzz::text(data, size));
    muster::wire::written(FuzzedDataProvider(data, size));
    return 0;
}
