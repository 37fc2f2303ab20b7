#include "admin/system_user.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "unit/state/temporary_folder.h"

namespace muster::admin {
namespace {

namespace fs = std::filesystem;

/// Root gives things to somebody, everybody else to himself.
SystemUser user() { return {"user", ::getuid() == 0 ? 8 : ::getuid(), ::getgid()}; }

uid_t owner(const fs::path& path) {
    struct stat status{};
    return ::lstat(path.c_str(), &status) == 0 ? status.st_uid : uid_t(-1);
}

class StateFolder : public testing::Test {
protected:
    void SetUp() override {
        fs::create_directories(state_ / "networks" / "hq");
        fs::create_directories(outside_);
        std::ofstream(outside_ / "secret") << "x";
        std::ofstream(state_ / "node.key") << "x";
        std::ofstream(state_ / "networks" / "hq" / "cluster.json") << "x";
    }
    void expect_refused(const fs::path& link) {
        const auto given = give_state(user(), state_.string());
        ASSERT_FALSE(given) << link;
        EXPECT_NE(given.error().detail.find(link.string()), std::string::npos)
            << given.error().detail;
        EXPECT_EQ(owner(outside_), ::getuid());
        EXPECT_EQ(owner(outside_ / "secret"), ::getuid());
        fs::remove(link);
    }

    state::TemporaryFolder folder_;
    fs::path state_ = folder_.file("state");
    fs::path outside_ = folder_.file("outside");
};

TEST_F(StateFolder, IsGivenWithTheNetworksInIt) {
    ASSERT_TRUE(give_state(user(), state_.string()));
    for (const char* path : {"", "node.key", "networks", "networks/hq/cluster.json"}) {
        EXPECT_EQ(owner(state_ / path), user().uid) << path;
    }
    EXPECT_TRUE(check_owner(user(), state_.string()));
}

TEST_F(StateFolder, LinksLeadNowhere) {
    for (const char* link : {"networks/x", "networks/hq/x", "x"}) {
        fs::create_directory_symlink(outside_, state_ / link);
        expect_refused(state_ / link);
    }
    fs::remove_all(state_ / "networks");
    fs::create_directory_symlink(outside_, state_ / "networks");
    expect_refused(state_ / "networks");
}

TEST_F(StateFolder, AFileWithASecondNameElsewhereIsNotGiven) {
    if (::getuid() != 0) GTEST_SKIP() << "the file must be somebody else's";
    fs::create_hard_link(outside_ / "secret", state_ / "x");
    expect_refused(state_ / "x");
}

}  // namespace
}  // namespace muster::admin
