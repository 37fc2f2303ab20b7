#include "delivery/sts_cache.h"

#include <gtest/gtest.h>

#include "unit/net/dns_server.h"
#include "unit/queue/folder.h"

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
        if (!resolver_) {
            dns_.start();
            net::ResolverSettings settings;
            settings.servers = {dns_.name()};
            resolver_ = std::move(*net::Resolver::create(settings));
        }
        cache_ = std::make_unique<StsCache>(*resolver_, pool_, file_, std::move(fetch));
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

    std::string file_;
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

TEST_F(StsCacheTest, APolicyOutlivesTheProcess) {
    const queue::TestFolder folder;
    file_ = folder / "mta-sts";
    publish("x.example", "v=STSv1; id=1;");
    start(
        [](const std::string&, const std::stop_token&) -> Result<std::string> { return kPolicy; });
    EXPECT_EQ(verdict("x.example", "evil.example"), StsVerdict::Mismatch);
    start([this](const std::string&, const std::stop_token&) -> Result<std::string> {
        ++fetched_;
        return fail(ErrorKind::Unavailable, "down");
    });
    EXPECT_EQ(verdict("x.example", "evil.example"), StsVerdict::Mismatch);
    EXPECT_EQ(verdict("x.example", "mx.example"), StsVerdict::Match);
    EXPECT_EQ(fetched_, 0U);
}

TEST(StsFile, HoldsTheLatestInForce) {
    const queue::TestFolder folder;
    const std::string path = folder / "mta-sts";
    const std::chrono::sys_seconds now(std::chrono::seconds(1'000));
    const KeptPolicy first{"x.example", "1", now + std::chrono::seconds(10), "one\r\n"};
    const KeptPolicy second{"x.example", "2", now + std::chrono::seconds(20), "two\r\n"};
    const KeptPolicy other{"y.example", "1", now + std::chrono::seconds(5), "y"};
    for (const KeptPolicy& each : {first, second, other}) {
        ASSERT_TRUE(StsFile(path).add(each, now));
    }
    EXPECT_EQ(StsFile(path).load(now), (std::vector{second, other}));
    EXPECT_EQ(StsFile(path).load(now + std::chrono::seconds(5)), std::vector{second});
    queue::put_file(path, queue::file_text(path) + "y.example 2 99999 !\nx\n\ny.exa");
    EXPECT_EQ(StsFile(path).load(now), std::vector{second});
    EXPECT_TRUE(StsFile(folder / "none").load(now).empty());
}

TEST(StsFile, DoesNotGrowWithoutBound) {
    const queue::TestFolder folder;
    const std::string path = folder / "mta-sts";
    const std::chrono::sys_seconds now(std::chrono::seconds(1'000));
    StsFile file(path);
    for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(file.add({"x.example", std::to_string(i), now + std::chrono::seconds(9),
                              std::string(4'000, 'x')},
                             now));
    }
    EXPECT_LT(queue::file_text(path).size(), std::size_t{100} * 1024);
    EXPECT_EQ(file.load(now).front().id, "99");
}

}  // namespace
}  // namespace muster::delivery
