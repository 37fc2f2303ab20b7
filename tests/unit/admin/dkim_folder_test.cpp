#include "admin/dkim_folder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "admin/files.h"
#include "cluster/credential_seal.h"
#include "net/pki.h"
#include "unit/state/temporary_folder.h"

namespace muster::admin {
namespace {

namespace fs = std::filesystem;

const SealSecret kSeal = SealSecret::key(std::string(kSealKeyBytes, 'k'));
const SealSecret kOther = SealSecret::key(std::string(kSealKeyBytes, 'o'));

cluster::DkimKey key(const char* domain, const char* selector, const std::string& pem,
                     const SealSecret& seal = kSeal) {
    return {DomainName(domain), selector, cluster::sealed_password(pem, seal), "", {}};
}

unsigned mode_of(const fs::path& path) {
    struct stat facts{};
    EXPECT_EQ(::stat(path.c_str(), &facts), 0);
    return facts.st_mode & 0777U;
}

class DkimFolderTest : public testing::Test {
protected:
    const state::TemporaryFolder folder_;
    const fs::path place_ = fs::path(folder_.path()) / "dkim";
    DkimFolder keys_{place_.string(), ""};
};

TEST_F(DkimFolderTest, HoldsExactlyTheKeysThatThereAre) {
    ASSERT_TRUE(keys_.hold({}, kSeal));
    EXPECT_FALSE(fs::exists(place_)) << "nothing is made before there is a key";
    ASSERT_TRUE(keys_.hold({key("a.test", "s1", "one"), key("b.test", "s2", "two")}, kSeal));
    EXPECT_EQ(read_file(place_ / "a.test.s1.key").value(), "one");
    EXPECT_EQ(read_file(place_ / "b.test.s2.key").value(), "two");
    EXPECT_EQ(mode_of(place_), 0700u);
    EXPECT_EQ(mode_of(place_ / "a.test.s1.key"), 0600u);
    std::ofstream(place_ / "README") << "kept";
    ASSERT_TRUE(keys_.hold({key("a.test", "s1", "new")}, kSeal, true));
    EXPECT_TRUE(fs::exists(place_ / "b.test.s2.key")) << "its entry may be one that is not read";
    ASSERT_TRUE(keys_.hold({key("a.test", "s1", "new")}, kSeal));
    EXPECT_EQ(read_file(place_ / "a.test.s1.key").value(), "new");
    EXPECT_FALSE(fs::exists(place_ / "b.test.s2.key"));
    EXPECT_TRUE(fs::exists(place_ / "README"));
    ASSERT_TRUE(keys_.hold({}, kSeal));
    EXPECT_FALSE(fs::exists(place_ / "a.test.s1.key"));
}

TEST_F(DkimFolderTest, AKeyThatCannotBeOpenedTakesNoOtherAwayAndKeepsItsFile) {
    ASSERT_TRUE(keys_.hold({key("a.test", "s1", "one")}, kSeal));
    const auto held =
        keys_.hold({key("a.test", "s1", "other", kOther), key("b.test", "s1", "two")}, kSeal);
    ASSERT_FALSE(held) << "it is said";
    EXPECT_TRUE(held.error().detail.starts_with("a.test.s1.key: ")) << held.error().detail;
    EXPECT_EQ(read_file(place_ / "a.test.s1.key").value(), "one");
    EXPECT_EQ(read_file(place_ / "b.test.s1.key").value(), "two");
}

TEST_F(DkimFolderTest, WhoeverLoosenedAFileHasItPutRight) {
    const std::vector keys{key("a.test", "s1", "one")};
    ASSERT_TRUE(keys_.hold(keys, kSeal));
    ASSERT_EQ(::chmod((place_ / "a.test.s1.key").c_str(), 0644), 0);
    ASSERT_TRUE(keys_.hold(keys, kSeal));
    EXPECT_EQ(mode_of(place_ / "a.test.s1.key"), 0600u);
}

TEST_F(DkimFolderTest, WhatSomebodyElsePutThereStays) {
    fs::create_directory(place_);
    ASSERT_EQ(::chmod(place_.c_str(), 0751), 0);
    std::ofstream(place_ / "mail.key") << "the operator's";
    std::ofstream(place_ / "a.test.s1.key") << "also";
    std::ofstream(place_ / "c.test.s1.key") << "three";
    ASSERT_TRUE(keys_.hold({}, kSeal));
    EXPECT_EQ(std::distance(fs::directory_iterator(place_), {}), 3) << "untouched without keys";
    const auto held = keys_.hold(
        {key("a.test", "s1", "one"), key("b.test", "s1", "two"), key("c.test", "s1", "three")},
        kSeal);
    ASSERT_FALSE(held);
    EXPECT_EQ(held.error().kind, ErrorKind::Conflict);
    EXPECT_EQ(read_file(place_ / "a.test.s1.key").value(), "also");
    EXPECT_EQ(read_file(place_ / "b.test.s1.key").value(), "two");
    EXPECT_EQ(mode_of(place_), 0751u);
    // After a restart, too, and when there are no keys any more.
    ASSERT_TRUE(DkimFolder(place_.string(), "").hold({}, kSeal));
    EXPECT_EQ(read_file(place_ / "mail.key").value(), "the operator's");
    EXPECT_EQ(read_file(place_ / "a.test.s1.key").value(), "also");
    EXPECT_EQ(read_file(place_ / "c.test.s1.key").value(), "three");
    EXPECT_FALSE(fs::exists(place_ / "b.test.s1.key"));
    EXPECT_EQ(mode_of(place_), 0751u);
}

TEST_F(DkimFolderTest, AListThatSomebodyWroteNamesNothingOutsideTheFolder) {
    ASSERT_TRUE(keys_.hold({key("a.test", "s1", "one")}, kSeal));
    std::ofstream(folder_.file("other.key")) << "kept";
    std::ofstream(place_ / ".muster-keys") << R"({"files":["../other.key", "README", 7]})";
    std::ofstream(place_ / "README") << "kept";
    ASSERT_TRUE(keys_.hold({}, kSeal));
    EXPECT_TRUE(fs::exists(folder_.file("other.key")));
    EXPECT_TRUE(fs::exists(place_ / "README"));
    std::ofstream(place_ / ".muster-keys") << "?";
    EXPECT_EQ(keys_.hold({}, kSeal).error().kind, ErrorKind::Corrupt);
}

TEST_F(DkimFolderTest, AGroupThatIsNotThereLeavesNothingReadable) {
    DkimFolder keys(place_.string(), "no-such-group");
    const auto held = keys.hold({key("a.test", "s1", "one")}, kSeal);
    EXPECT_EQ(held.error().kind, ErrorKind::NotFound);
    EXPECT_FALSE(fs::exists(place_ / "a.test.s1.key"));
}

TEST(DkimRecord, SaysThePublicHalf) {
    const std::string rsa = dkim_record(net::make_signing_key(net::SigningAlgorithm::Rsa)).value();
    EXPECT_TRUE(rsa.starts_with("v=DKIM1; k=rsa; p=MII")) << rsa;
    const std::string ed =
        dkim_record(net::make_signing_key(net::SigningAlgorithm::Ed25519)).value();
    EXPECT_EQ(ed.size(), std::string("v=DKIM1; k=ed25519; p=").size() + 44) << ed;
    EXPECT_EQ(dkim_record(net::make_key()).error().kind, ErrorKind::Syntax);
    EXPECT_EQ(dkim_record(net::make_rsa_key(768)).error().kind, ErrorKind::Syntax);
    EXPECT_EQ(dkim_record("-----BEGIN").error().kind, ErrorKind::Corrupt);
}

TEST(DkimRecord, IsWrittenInPiecesThatDnsTakes) {
    cluster::DkimKey long_one = key("a.test", "s1", "x");
    long_one.record = std::string(600, 'p');
    const std::string line = dns_line(long_one);
    EXPECT_TRUE(line.starts_with("s1._domainkey.a.test. IN TXT ( \"ppp"));
    EXPECT_TRUE(line.contains("\"" + std::string(255, 'p') + "\" \"" + std::string(255, 'p') +
                              "\" \"" + std::string(90, 'p') + "\" )"));
}

}  // namespace
}  // namespace muster::admin
