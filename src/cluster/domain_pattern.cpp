#include "cluster/domain_pattern.h"

#include <algorithm>

#include "cluster/address.h"

namespace muster::cluster {

Result<std::string> parse_domain_pattern(std::string_view text) {
    if (text == "*") return "*";
    const bool is_below = text.starts_with("*.");
    const auto domain = parse_domain(is_below ? text.substr(2) : text);
    if (!domain) return std::unexpected(domain.error());
    return (is_below ? "*." : "") + domain->text;
}

bool is_among(std::span<const std::string> patterns, std::string_view domain) {
    return std::ranges::any_of(patterns, [domain](std::string_view pattern) {
        if (pattern == "*") return true;
        if (!pattern.starts_with("*.")) return pattern == domain;
        const std::string_view above = pattern.substr(1);
        return domain.size() > above.size() && domain.ends_with(above);
    });
}

}  // namespace muster::cluster
