#include "delivery/sts_cache.h"

#include <gtest/gtest.h>

#include "unit/net/dns_server.h"

namespace muster::delivery {
namespace {

const std::string kPolicy =
    "version: STSv1\r\nmode: enforce\r\nmx: mx.example\r\nmax_age: 86400\r\n";

class StsCacheTest : public ::testing::Test {
protected:
    void publish(const std::string& domain, const std::string& text) {
        const auto type = static_cast<unsigned>(net::DnsType::Txt);
        dns_.records[{net::wire_name("_mta-sts." + domain), type}] = {
            std::string(1, static_cast<char>(text.size())) + text};
    }
    void start(StsCache::Fetch fetch) {
        dns_.start();
        net::ResolverSettings settings;
        settings.servers = {dns_.name()};
        resolver_ = std::move(*net::Resolver::create(settings));
        cache_ = std::make_unique<StsCache>(*resolver_, pool_, std::move(fetch));
    }
    StsVerdict verdict(const std::string& domain, const std::string& host) {
        net::Loop loop;
        std::optional<wire::mta_sts::Policy> policy;
        loop.tasks().spawn(find(loop, domain, &policy));
        loop.stop_when_idle();
        loop.run();
        return judge(policy, host);
    }
    Task<void> find(net::Loop& loop, std::string domain,
                    std::optional<wire::mta_sts::Policy>* policy) {
        *policy = co_await cache_->find(loop, std::move(domain));
    }

    net::DnsServer dns_;
    std::unique_ptr<net::Resolver> resolver_;
    net::BlockingPool pool_{2};
    std::unique_ptr<StsCache> cache_;
    unsigned fetched_ = 0;
};

TEST_F(StsCacheTest, APolicyIsFetchedOnce) {
    publish("x.example", "v=STSv1; id=1;");
    start([this](const std::string& domain, const std::stop_token&) -> Result<std::string> {
        ++fetched_;
        EXPECT_EQ(domain, "x.example");
        return kPolicy;
    });
    EXPECT_EQ(verdict("x.example", "mx.example"), StsVerdict::Match);
    EXPECT_EQ(verdict("x.example", "evil.example"), StsVerdict::Mismatch);
    EXPECT_EQ(verdict("other.example", "evil.example"), StsVerdict::None);
    EXPECT_EQ(fetched_, 1U);
}

TEST_F(StsCacheTest, AFetchThatFailsIsNotRepeatedAtOnce) {
    publish("x.example", "v=STSv1; id=1;");
    start([this](const std::string&, const std::stop_token&) -> Result<std::string> {
        ++fetched_;
        return fail(ErrorKind::Unavailable, "down");
    });
    EXPECT_EQ(verdict("x.example", "mx.example"), StsVerdict::None);
    EXPECT_EQ(verdict("x.example", "mx.example"), StsVerdict::None);
    EXPECT_EQ(fetched_, 1U);
}

}  // namespace
}  // namespace muster::delivery
