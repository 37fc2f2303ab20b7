#include "delivery/sender_rewriting.h"

#include <chrono>
#include <utility>

#include "cluster/address.h"
#include "wire/ascii.h"
#include "wire/srs.h"

namespace muster::delivery {
namespace {

std::uint64_t today() {
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(std::chrono::floor<std::chrono::days>(since).count());
}

/// Of a domain that this cluster answers for: SPF names it already.
bool is_of_ours(const cluster::Topology& topology, std::string_view domain) {
    const auto name = cluster::parse_domain(domain);
    const cluster::Domain* const found = name ? topology.domain(name->text) : nullptr;
    return found != nullptr && found->kind != cluster::DomainKind::Remote;
}

cluster::MailRoute nobodys(cluster::Directory& directory) {
    cluster::MailRoute route;
    route.topology = directory.topology();
    return route;
}

}  // namespace

void SenderRewriting::use(Rules rules) {
    auto fresh = std::make_shared<const Rules>(std::move(rules));
    const std::scoped_lock lock(mutex_);
    rules_ = std::move(fresh);
}

std::shared_ptr<const SenderRewriting::Rules> SenderRewriting::rules() const {
    const std::scoped_lock lock(mutex_);
    return rules_;
}

std::string SenderRewriting::forwarded(const cluster::Topology& topology,
                                       const std::string& sender) const {
    const auto using_rules = rules();
    if (sender.empty() || using_rules->domain.empty() || using_rules->keys.empty()) return sender;
    const auto path = wire::smtp::parse_address(sender);
    if (!path || wire::equal_folded(path->domain, using_rules->domain) ||
        is_of_ours(topology, path->domain)) {
        return sender;
    }
    const auto rewritten =
        wire::srs::forwarded(*path, using_rules->domain, using_rules->keys.front(), today());
    return rewritten ? rewritten->text() : sender;
}

Result<cluster::MailRoute> find_mail_route(cluster::Directory& directory,
                                           const SenderRewriting* rewriting,
                                           const wire::smtp::Path& path,
                                           std::string_view own_domain) {
    const auto as_it_is = [&] {
        return cluster::find_recipient(directory, path.local, path.domain, own_domain);
    };
    if (!is_for_reports(rewriting, path)) return as_it_is();
    const auto rules = rewriting->rules();
    if (rules->keys.empty()) {
        return fail(ErrorKind::Unavailable, "try again later", "the secret srs is not known yet");
    }
    const auto reversed = wire::srs::reversed(path.local, rules->keys, today());
    if (reversed.verdict != wire::srs::Verdict::Good) return nobodys(directory);
    auto route =
        cluster::find_recipient(directory, reversed.path.local, reversed.path.domain, own_domain);
    if (!route || !route->is_outside()) return route;
    route->verdict = cluster::MailVerdict::Accept;
    route->domain = nullptr;
    route->targets.front().address = reversed.path.text();
    return route;
}

bool is_for_reports(const SenderRewriting* rewriting, const wire::smtp::Path& path) {
    if (rewriting == nullptr || !wire::srs::is_rewritten(path.local)) return false;
    const auto rules = rewriting->rules();
    return !rules->domain.empty() && wire::equal_folded(path.domain, rules->domain);
}

bool is_forwarded(const cluster::MailRoute& route, const cluster::MailTarget& target) {
    return route.verdict == cluster::MailVerdict::Accept && target.home.empty() &&
           target.domain == nullptr;
}

}  // namespace muster::delivery
