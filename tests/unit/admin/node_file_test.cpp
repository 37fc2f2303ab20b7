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
    EXPECT_NE(error_of("[node]\nname = \"..\"\n"), "");
    for (const std::string name : {".", "..", ".hq"}) {
        const std::string follow = "[[follow]]\nhost = \"hq\"\nname = \"" + name + "\"\n";
        EXPECT_NE(error_of("[node]\nname = \"m\"\n" + follow).find("needs a name"),
                  std::string::npos)
            << name;
    }
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

std::string with_follow(std::string_view text) {
    return "[node]\nname=\"fe1\"\n[[follow]]\nname=\"hq\"\nhost=\"hq.dom\"\n" + std::string(text);
}

TEST(NodeFile, ReadsWhomTheNodeFollows) {
    const auto config = parse_node_file(
        with_follow(
            "user=\"root\"\npassword_file=\"/p\"\nupdate_interval=5\n[[follow]]\nname=\"b\"\n"
            "host=\"fd00::1\"\nport=7701\nencryption=false\nmode=\"mirror\"\n"
            "hand_to=\"master\"\nnode_name=\"branch-1\"\ninactivity_timeout=7\n"),
        "f.toml");
    ASSERT_TRUE(config) << config.error().detail;
    ASSERT_EQ(config->follows.size(), 2U);
    const FollowSettings& hq = config->follows[0];
    EXPECT_EQ(hq.name, "hq");
    EXPECT_EQ(hq.address(), "hq.dom:7700");
    EXPECT_EQ(hq.user, "root");
    EXPECT_EQ(hq.password_file, "/p");
    EXPECT_EQ(hq.node_name, "fe1");
    EXPECT_EQ(hq.update_interval, std::chrono::seconds(5));
    EXPECT_EQ(hq.inactivity_timeout, std::chrono::seconds(30));
    EXPECT_TRUE(hq.encryption);
    EXPECT_EQ(hq.mode, "relay");
    EXPECT_EQ(hq.hand_to, "home");
    EXPECT_TRUE(hq.domains.empty());
    EXPECT_FALSE(hq.default_for);
    const FollowSettings& branch = config->follows[1];
    EXPECT_EQ(branch.address(), "[fd00::1]:7701");
    EXPECT_FALSE(branch.encryption);
    EXPECT_EQ(branch.mode, "mirror");
    EXPECT_EQ(branch.hand_to, "master");
    EXPECT_EQ(branch.node_name, "branch-1");
    EXPECT_EQ(branch.inactivity_timeout, std::chrono::seconds(7));
}

TEST(NodeFile, SaysWhatIsWrongWithWhomTheNodeFollows) {
    const auto says = [](std::string_view text, std::string_view expected) {
        EXPECT_NE(error_of(with_follow(text)).find(expected), std::string::npos)
            << text << ": " << error_of(with_follow(text));
    };
    says("[[follow]]\nname=\"hq\"\nhost=\"other\"\n", "[[follow]] hq stands twice");
    says("[[follow]]\nname=\"b\"\nhost=\"hq.dom\"\n", "hq.dom:7700, which is followed already");
    says("domains=[\"*.hq.dom\", \"a*.dom\"]\n", "domains: \"a*.dom\" is no domain");
    says("[[follow]]\nname=\"b\"\n", "[[follow]] b has no host");
    says("[[follow]]\nhost=\"b\"\n", "needs a name");
    says("[[follow]]\nname=\"../x\"\nhost=\"b\"\n", "needs a name");
    says("[[follow]]\nname=\"b\"\nhost=\"b:7700\"\n", "port an option of its own");
    says("user=\"root\"\n", "user and password_file belong together");
    says("node_name=\"A B\"\n", "node_name is no name");
    says("mode=\"frontend\"\n", "\"mode\" wants a text (relay|mirror)");
    says("port=0\n", "\"port\" wants a number");
    says("[[follow]]\nname=\"b\"\nhost=\"192.0.2.1\"\nencryption=false\n",
         "encryption = false is for private addresses only");
    EXPECT_EQ(
        error_of(with_follow("[[follow]]\nname=\"b\"\nhost=\"10.1.2.3\"\nencryption=false\n")), "");
}

TEST(NodeFile, TheClearListenerIsForPrivateNetworks) {
    const auto error = [](std::string_view text) {
        return error_of("[node]\nname=\"m\"\nroles=[\"master\"]\n[cluster]\n" + std::string(text));
    };
    constexpr std::string_view kBoth = "listen=\"0.0.0.0:7700\"\nclear_listen=\"0.0.0.0:7701\"\n";
    const auto from = [&](std::string_view networks) {
        return error(std::string(kBoth) + "clear_from=" + std::string(networks) + "\n");
    };
    EXPECT_NE(error("clear_listen=\"0.0.0.0:7701\"\n"), "");
    EXPECT_NE(error(kBoth), "");
    EXPECT_NE(from("[\"0.0.0.0/0\"]"), "");
    EXPECT_NE(from("[\"10.0.0.0/7\"]"), "");
    EXPECT_NE(from("[\"192.0.2.0/24\"]"), "");
    EXPECT_NE(from("[\"10.0.0.0/8\", \"2001:db8::/32\"]"), "");
    EXPECT_NE(from("[\"nowhere\"]"), "");
    EXPECT_EQ(from("[\"10.1.0.0/16\", \"fd12::/16\", \"127.0.0.1\", \"172.31.0.0/16\"]"), "");
    EXPECT_NE(error("password_file=\"/p\"\n"), "");
    EXPECT_EQ(error("password_file=\"/p\"\nuser=\"root\"\nmasters=[\"m:7700\"]\n"), "");
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
        if (line == "host = \"\"") line = "host = \"h\"";
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
