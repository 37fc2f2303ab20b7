#include "cluster/domain_exceptions.h"

#include <gtest/gtest.h>

namespace muster::cluster {
namespace {

constexpr const char* kRemote = R"({"kind":"remote","newer":{"a":1},"route":["a.example"]})";

std::string patched(const std::string& patch) {
    const auto text = patched_domain("d.org", kRemote, patch);
    return text ? *text : "refused";
}

TEST(DomainExceptions, AreMergePatchesThatKeepWhatTheyDoNotName) {
    EXPECT_EQ(patched("{}"), kRemote);
    EXPECT_EQ(patched(R"({"tls":"verified"})"),
              R"({"kind":"remote","newer":{"a":1},"route":["a.example"],"tls":"verified"})");
    EXPECT_EQ(patched(R"({"route":null,"newer":{"b":2}})"),
              R"({"kind":"remote","newer":{"a":1,"b":2}})");
}

TEST(DomainExceptions, ThatMakeNoDomainOrAnotherOneAreRefused) {
    EXPECT_EQ(patched(R"({"tls":"maybe"})"), "refused");
    EXPECT_EQ(patched(R"({"kind":"shared"})"), "refused");
    EXPECT_EQ(patched(R"({"name":"e.org"})"), "refused");
    EXPECT_EQ(patched(R"({"servers":["sv1"]})"), "refused");  // of a remote domain
    EXPECT_EQ(patched(R"([1])"), "refused");
    EXPECT_EQ(patched("{"), "refused");
}

TEST(DomainExceptions, AreReplacedAsAWhole) {
    DomainExceptions exceptions;
    EXPECT_TRUE(exceptions.current()->empty());
    const auto before = exceptions.current();
    exceptions.replace({{"d.org", "{}"}});
    EXPECT_TRUE(before->empty());  // readers keep theirs
    EXPECT_EQ(exceptions.current()->size(), 1u);
}

}  // namespace
}  // namespace muster::cluster
