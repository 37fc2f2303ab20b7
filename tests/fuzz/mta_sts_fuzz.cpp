// MTA-STS: records, policies (what is read can be written and read again), hosts.
#include "fuzz.h"
#include "wire/ascii.h"
#include "wire/mta_sts.h"

namespace muster::wire::mta_sts {
namespace {

void records(std::string_view text) {
    std::vector<std::string> records;
    while (!text.empty()) records.emplace_back(take_until(text, '\n'));
    auto id = record_id(records);
    MUST(!id || (!id->empty() && id->size() <= 32));
}

std::string write(const Policy& policy) {
    std::string out = "version: STSv1\r\nmode: ";
    out += policy.mode == Mode::Enforce ? "enforce"
           : policy.mode == Mode::None  ? "none"
                                        : "testing";
    out += "\r\nmax_age: " + std::to_string(policy.max_age.count()) + "\r\n";
    for (const auto& pattern : policy.patterns) out += "mx: " + pattern + "\r\n";
    return out;
}

void policy(std::string_view text) {
    auto policy = parse_policy(text);
    if (!policy) return;
    MUST(policy->max_age >= std::chrono::seconds(0) && policy->max_age <= kMaxAge);
    MUST(policy->patterns.size() <= kMaxPatterns);
    MUST(policy->mode == Mode::None || !policy->patterns.empty());
    auto again = parse_policy(write(*policy));
    MUST(again && *again == *policy);
    for (const auto& pattern : policy->patterns) {
        if (pattern.starts_with("*.")) {
            MUST(allows(*policy, "x" + pattern.substr(1)));
        } else {
            MUST(allows(*policy, pattern) && allows(*policy, pattern + "."));
        }
    }
}

}  // namespace
}  // namespace muster::wire::mta_sts

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    auto text = muster::fuzz::text(data, size);
    muster::wire::mta_sts::records(text);
    muster::wire::mta_sts::policy(text);
    return 0;
}
