#include "admin/password_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "admin/join.h"
#include "base/password.h"
#include "base/seal.h"

namespace muster::admin {
namespace {

class PasswordFile : public ::testing::Test {
protected:
    PasswordFile()
        : folder_(std::filesystem::temp_directory_path() / ("muster-pw-" + random_name(8))) {
        std::filesystem::create_directory(folder_);
    }
    ~PasswordFile() override { std::filesystem::remove_all(folder_); }

    std::string file(const std::string& text, unsigned mode = 0600) {
        const std::string path = (folder_ / random_name(6)).string();
        std::ofstream(path, std::ios::binary) << text;
        ::chmod(path.c_str(), mode);
        return path;
    }

    std::filesystem::path folder_;
};

TEST_F(PasswordFile, IsItsFirstLine) {
    EXPECT_EQ(read_password_file(file("secret\nmore\n")), "secret");
    EXPECT_EQ(read_password_file(file("secret")), "secret");
    EXPECT_EQ(read_password_file(file(" two words \r\n")), " two words ");
    const std::string longest(kMaxPassword, 'x');
    EXPECT_EQ(read_password_file(file(longest + "\n")), longest);
}

TEST_F(PasswordFile, IsRefusedUnlessItIsTheOwnersAlone) {
    const auto kind = [](const std::string& path) {
        const auto read = read_password_file(path);
        return read ? ErrorKind::Conflict : read.error().kind;
    };
    for (const unsigned mode : {0640U, 0604U, 0610U, 0602U}) {
        EXPECT_EQ(kind(file("secret", mode)), ErrorKind::Refused) << mode;
    }
    EXPECT_EQ(kind((folder_ / "none").string()), ErrorKind::NotFound);
    EXPECT_EQ(kind(folder_.string()), ErrorKind::Refused);
    const std::string link = (folder_ / "link").string();
    std::filesystem::create_symlink(file("secret"), link);
    EXPECT_EQ(kind(link), ErrorKind::Refused);
    const std::string pipe = (folder_ / "pipe").string();
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    EXPECT_EQ(kind(pipe), ErrorKind::Refused);
    EXPECT_EQ(kind(file("")), ErrorKind::Refused);
    EXPECT_EQ(kind(file("\nsecond")), ErrorKind::Refused);
    EXPECT_EQ(kind(file(std::string(kMaxPassword + 1, 'x'))), ErrorKind::Refused);
}

TEST_F(PasswordFile, IsGoneAfterwards) {
    const std::string path = file("secret");
    remove_password_file(path);
    EXPECT_FALSE(std::filesystem::exists(path));
    remove_password_file(path);  // and again
}

TEST_F(PasswordFile, IsGoneWhenTheJoinWasMadeOtherwise) {
    NodeConfig config;
    config.node.state_dir = (folder_ / "state").string();
    FollowSettings& follow = config.follows.emplace_back();
    follow.name = "hq";
    follow.password_file = config.cluster.password_file = file("secret");
    const auto join = [](const std::string& folder) {
        std::filesystem::create_directories(folder);
        std::ofstream(folder + "/cluster.json") << "{}";
    };
    const auto is_there = [&] { return std::filesystem::exists(follow.password_file); };
    remove_used_password(config, follow.password_file);
    EXPECT_TRUE(is_there()) << "nothing is joined yet";
    join(config.node.state_dir);
    ASSERT_TRUE(join_by_file(config));  // as at each start
    EXPECT_TRUE(is_there()) << "the other join needs it";
    join(network_folder(config, "hq"));
    ::chmod(follow.password_file.c_str(), 0644);
    ASSERT_TRUE(join_by_file(config));
    EXPECT_TRUE(is_there()) << "it may be something else";
    ::chmod(follow.password_file.c_str(), 0600);
    ASSERT_TRUE(join_by_file(config));
    EXPECT_FALSE(is_there());
}

}  // namespace
}  // namespace muster::admin
