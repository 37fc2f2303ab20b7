#include "admin/node_file.h"

#include <gtest/gtest.h>

#include "admin/options.h"

namespace muster::admin {
namespace {

std::string error_of(std::string_view text) {
    const auto config = parse_node_file(text, "f.toml");
    return config ? "" : config.error().detail;
}

TEST(NodeFile, FillsDefaultsFromTheTable) {
    const auto config = parse_node_file("[node]\nname = \"fe1\"\nstate_dir = \"/x\"\n", "f.toml");
    ASSERT_TRUE(config) << config.error().detail;
    EXPECT_TRUE(config->node.roles.frontend);
    EXPECT_TRUE(config->node.roles.backend);
    EXPECT_FALSE(config->node.roles.master);
    EXPECT_EQ(config->admin.socket, "/x/admin.sock");
    EXPECT_EQ(config->limits.idle_pop3, std::chrono::minutes(10));
    EXPECT_EQ(config->backend.server.text, "fe1");
    EXPECT_GE(config->node.workers, 1U);
}

TEST(NodeFile, ReadsRepeatedSections) {
    const auto config = parse_node_file(
        "[node]\nname=\"fe1\"\n[[listener]]\naddress=\"127.0.0.1:143\"\nproxy_from=[\"10.0.0.0/8\"]"
        "\n[[listener]]\nprotocol=\"pop3\"\naddress=\"[::]:995\"\ntls=\"implicit\"\n",
        "f.toml");
    ASSERT_TRUE(config) << config.error().detail;
    ASSERT_EQ(config->listeners.size(), 2U);
    EXPECT_EQ(config->listeners[0].protocol, "imap");
    EXPECT_EQ(config->listeners[0].proxy_from.at(0), "10.0.0.0/8");
    EXPECT_EQ(config->listeners[1].tls, "implicit");
}

TEST(NodeFile, NamesLineAndNearestNameOfAnUnknownKey) {
    EXPECT_EQ(error_of("[node]\nname = \"a\"\nstatedir = \"/x\"\n"),
              "f.toml:3: unknown option \"statedir\", did you mean \"state_dir\"? (in [node])");
    EXPECT_EQ(error_of("[nod]\n"), "f.toml:1: unknown section \"nod\", did you mean \"node\"?");
    EXPECT_EQ(error_of("\n[zzzzzzzzz]\n"), "f.toml:2: unknown section \"zzzzzzzzz\"");
    EXPECT_EQ(error_of("[[listener]]\nadress = \"x\"\n"),
              "f.toml:2: unknown option \"adress\", did you mean \"address\"? (in [listener])");
}

TEST(NodeFile, RefusesValuesThatDoNotFit) {
    EXPECT_EQ(error_of("[node]\nworkers = \"two\"\n"),
              "f.toml:2: \"workers\" wants a number (0..256)");
    EXPECT_EQ(error_of("[node]\nworkers = 257\n"), "f.toml:2: \"workers\" wants a number (0..256)");
    EXPECT_NE(error_of("[node]\nroles = [\"boss\"]\n"), "");
    EXPECT_NE(error_of("[node]\nname = \"UPPER\"\n"), "");
    EXPECT_NE(error_of("[node]\nname = \"a\"\nroles = []\n"), "");
    EXPECT_NE(error_of("[listener]\naddress = \"x\"\n"), "");
    EXPECT_NE(error_of("node = 3\n"), "");
    for (const char* open_to_all : {"0.0.0.0:2525", "192.0.2.1:2525", "2525"}) {
        const std::string backend = std::string("[backend]\nmail_out_listen=\"") + open_to_all;
        EXPECT_NE(error_of("[node]\nname=\"m\"\n" + backend + "\"\n"), "") << open_to_all;
    }
    EXPECT_NE(error_of("[node\n").find("f.toml:1: "), std::string::npos);
    EXPECT_NE(error_of("[node]\nname=\"m\"\nroles=[\"master\"]\n[[listener]]\naddress=\"x:1\"\n"),
              "");
}

TEST(Options, EveryOptionBelongsToASectionAndHasItsTextOnce) {
    for (const Option& option : options()) {
        EXPECT_NE(find_section(option.section), nullptr) << option.name;
        EXPECT_EQ(find_option(option.section, option.name), &option) << option.name;
        EXPECT_FALSE(option.text.empty()) << option.name;
        EXPECT_EQ(option.text.back(), '.') << option.name;
    }
}

/// The sample with its comment marks removed is a file in which every default passes its own check.
TEST(Options, SampleFileIsValidWhenUncommented) {
    std::string uncommented;
    std::istringstream lines(sample_file());
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("# name = \"\"")) line = "# name = \"a\"";
        const bool value = line.starts_with("# ") && line.find(" = ") != std::string::npos &&
                           line.find(' ', 2) == line.find(" = ");
        if (value || line.starts_with("# [[")) line = line.substr(2);
        if (line == "address = \"\"") line = "address = \"127.0.0.1:1\"";
        if (line == "chain = \"\"") line = "chain = \"c\"";
        if (line == "key = \"\"") line = "key = \"k\"";
        uncommented += line + "\n";
    }
    const auto config = parse_node_file(uncommented, "sample");
    EXPECT_TRUE(config) << config.error().detail;
    EXPECT_EQ(config->listeners.size(), 1U);
}

TEST(Options, PagesNameEveryOption) {
    const std::string reference = reference_page();
    const std::string manual = manual_page();
    for (const Option& option : options()) {
        EXPECT_NE(reference.find("| `" + std::string(option.name) + "` |"), std::string::npos);
        EXPECT_NE(manual.find(".B " + std::string(option.name)), std::string::npos);
    }
}

}  // namespace
}  // namespace muster::admin
