#include "admin/reload.h"

#include <gtest/gtest.h>

#include "admin/options.h"

namespace muster::admin {
namespace {

using Names = std::vector<std::string>;

NodeConfig config_of(const std::string& rest) {
    auto config = parse_node_file("[node]\nname = \"fe1\"\n" + rest, "f.toml");
    EXPECT_TRUE(config) << config.error().detail;
    return *config;
}

TEST(Reload, AFileThatSaysTheSameOtherwiseChangesNothing) {
    const auto plan = plan_reload(
        config_of(""), config_of("log_level = \"info\"\nworkers = 0\n[limits]\nline = 8192\n"));
    EXPECT_EQ(plan.taken_over, Names{});
    EXPECT_EQ(plan.need_restart, Names{});
}

TEST(Reload, NamesWhatItTakesOverAndWhatNeedsARestart) {
    const auto plan = plan_reload(config_of("[[listener]]\naddress = \"127.0.0.1:143\"\n"),
                                  config_of("log_level = \"debug\"\ndrain_time = 5\nworkers = 3\n"
                                            "[limits]\nline = 1000\n[tls]\nminimum = \"1.3\"\n"
                                            "[[listener]]\naddress = \"127.0.0.1:143\"\n"
                                            "[[listener]]\naddress = \"127.0.0.1:993\"\n"
                                            "[[certificate]]\nchain = \"/a\"\nkey = \"/b\"\n"));
    EXPECT_EQ(plan.taken_over,
              (Names{"certificate", "node.drain_time", "node.log_level", "tls.minimum"}));
    EXPECT_EQ(plan.need_restart, (Names{"limits.line", "listener", "node.workers"}));
}

TEST(Reload, WhatWaitsForARestartIsNamedAgainWhatWasTakenOverIsNot) {
    auto running = config_of("");
    const auto fresh = config_of("log_level = \"error\"\n[limits]\nline = 1000\n");
    take_over(running, fresh);
    EXPECT_EQ(running.node.log_level, log::Level::Error);
    const auto plan = plan_reload(running, fresh);
    EXPECT_EQ(plan.taken_over, Names{});
    EXPECT_EQ(plan.need_restart, Names{"limits.line"});
}

TEST(Reload, EveryOptionIsCompared) {
    const auto config = config_of("");
    for (const Option& option : options()) {
        const std::string section(option.section);
        const std::string name =
            find_section(section)->repeated ? section : section + "." + std::string(option.name);
        EXPECT_TRUE(config.values.contains(name)) << name;
    }
    EXPECT_EQ(listed({}), "none");
}

}  // namespace
}  // namespace muster::admin
