// Fetches a domain's MTA-STS policy as the program does, keeps it in a file, and prints what a
// process that begins with that file knows: for tests with a real HTTPS server. Arguments: domain,
// file.

#include <iostream>

#include "delivery/sts_cache.h"

int main(int argc, char** argv) {
    using namespace muster;
    constexpr int kArguments = 3;
    if (argc != kArguments) return 2;
    const std::string domain = argv[1];
    const auto text = delivery::fetch_sts_policy(domain, {});
    if (!text) {
        std::cerr << text.error().detail << '\n';
        return 1;
    }
    const auto policy = wire::mta_sts::parse_policy(*text);
    if (!policy) return 1;
    const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    if (!delivery::StsFile(argv[2]).add({domain, "1", now + policy->max_age, *text}, now)) return 1;
    for (const auto& kept : delivery::StsFile(argv[2]).load(now)) std::cout << kept.text;
    return 0;
}
