#include "delivery/sts_cache.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "net/http_client.h"
#include "wire/ascii.h"

namespace muster::delivery {

namespace mta_sts = wire::mta_sts;

namespace {

constexpr std::chrono::minutes kAfterFailure{5};  // RFC 8461, 3.3

StsCache::Time now() { return std::chrono::system_clock::now(); }

}  // namespace

StsVerdict judge(const std::optional<mta_sts::Policy>& policy, std::string_view host) {
    if (!policy || policy->mode == mta_sts::Mode::None) return StsVerdict::None;
    if (policy->mode == mta_sts::Mode::Testing) return StsVerdict::Testing;
    return mta_sts::allows(*policy, host) ? StsVerdict::Match : StsVerdict::Mismatch;
}

Result<std::string> fetch_sts_policy(const std::string& domain, const std::stop_token& stop) {
    net::HttpTarget target;
    target.origin = "https://mta-sts." + domain;
    target.total_time = std::chrono::minutes(1);
    target.reply_limit = mta_sts::kMaxPolicy;
    net::HttpClient client(std::move(target));
    const std::stop_callback cancelling(stop, [&client] { client.cancel(); });
    net::HttpCall call;
    call.path = "/.well-known/mta-sts.txt";
    auto reply = client.call(call);
    if (!reply) return std::unexpected(reply.error());
    constexpr int kOk = 200;
    if (reply->status != kOk || !wire::starts_folded(reply->content_type, "text/plain")) {
        return fail(ErrorKind::Unavailable, "no MTA-STS policy of " + domain + ": status " +
                                                std::to_string(reply->status) + ", type " +
                                                reply->content_type.substr(0, 100));
    }
    return std::move(reply->body);
}

StsCache::StsCache(net::Resolver& resolver, net::BlockingPool& pool, std::string file, Fetch fetch)
    : resolver_(resolver), pool_(pool), fetch_(std::move(fetch)), file_(std::move(file)) {
    for (KeptPolicy& kept : file_.load(std::chrono::floor<std::chrono::seconds>(now()))) {
        auto policy = mta_sts::parse_policy(kept.text);
        if (policy) keep(kept.domain, {kept.id, std::move(*policy), kept.until, {}});
    }
}

Result<mta_sts::Policy> StsCache::fetch(const std::string& domain, const std::string& id) {
    auto text = fetch_(domain, stop_.get_token());
    if (!text) return std::unexpected(text.error());
    auto policy = mta_sts::parse_policy(*text);
    if (!policy) return policy;
    const auto time = std::chrono::floor<std::chrono::seconds>(now());
    const auto kept = file_.add({domain, id, time + policy->max_age, std::move(*text)}, time);
    if (!kept) log::warning("mta-sts-not-kept", {{"reason", kept.error().detail}});
    return policy;
}

StsCache::Known StsCache::look(const std::string& domain) {
    const std::scoped_lock lock(mutex_);
    const auto found = known_.find(domain);
    if (found == known_.end()) return {};
    Known known = found->second;
    if (known.until <= now()) known.policy.reset();
    return known;
}

void StsCache::keep(const std::string& domain, Known known) {
    const std::scoped_lock lock(mutex_);
    if (known_.size() >= kMost && !known_.contains(domain)) {
        const auto first =
            std::ranges::min_element(known_, {}, [](const auto& one) { return one.second.until; });
        known_.erase(first);
    }
    known_[domain] = std::move(known);
}

// The caller's loop outlives its task.
// NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters)
Task<std::optional<mta_sts::Policy>> StsCache::find(net::Loop& loop, std::string domain) {
    const auto answer = co_await resolver_.ask(loop, "_mta-sts." + domain, net::DnsType::Txt);
    Known known = look(domain);
    const auto id = mta_sts::record_id(answer.texts);
    const bool current = known.policy && id == known.id;
    if (!id || current || now() < known.not_before || pool_.full()) co_return known.policy;
    const auto fetching = [this, &domain, &id] { return fetch(domain, *id); };
    auto policy = co_await net::Blocking(loop, pool_, fetching);
    if (policy) {
        known = {*id, std::move(*policy), {}, {}};
        known.until = now() + known.policy->max_age;
    } else {
        known.not_before = now() + kAfterFailure;
    }
    keep(domain, known);
    co_return known.policy;
}

}  // namespace muster::delivery
