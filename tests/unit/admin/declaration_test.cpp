#include "admin/declaration.h"

#include <gtest/gtest.h>

namespace muster::admin {
namespace {

using nlohmann::json;

std::string new_id() { return "newnewnewnewnewn"; }

Declaration declared(const json& sections) {
    json root = sections;
    root["muster"] = 1;
    auto read = parse_declaration(root.dump());
    EXPECT_TRUE(read) << read.error().detail;
    return read.value_or(Declaration{});
}

std::string error_of(const std::string& text) {
    const auto read = parse_declaration(text);
    return read ? "" : read.error().detail;
}

std::string summary(const std::vector<Step>& steps) {
    std::string text;
    for (const Step& step : steps) text += std::string(name(step.kind)) + " " + step.key + "\n";
    return text;
}

const Entries kActual{
    {"account/ada@a.dom", {{"id", "aaaaaaaaaaaaaaaa"}, {"home", "sv1"}, {"epoch", 3}}},
    {"account/bob@a.dom", {{"id", "bbbbbbbbbbbbbbbb"}, {"home", "sv1"}}},
    {"domain/a.dom", {{"servers", {"sv1"}}}},
    {"server/sv1", {{"host", "192.0.2.1"}, {"kind", "foreign"}}},
};

TEST(Declaration, NeitherAnEditNorAFileChangesWhoLeads) {
    const auto why = [](const char* key, const json& before, const json& after) {
        return unsettled_leader({Step::Kind::Change, key, before, after}, NodeName("m1"));
    };
    const json leads{{"master", true}, {"scope", "backend"}, {"pin", "a"}};
    const json other{{"scope", "backend"}, {"pin", "b"}};
    const auto with = [](json object, const char* field, const json& value) {
        object[field] = value;
        return object;
    };
    for (const auto& [field, value] : std::map<std::string, json>{
             {"master", false}, {"scope", "relay"}, {"pin", "c"}, {"revoked", true}}) {
        EXPECT_NE(why("node/m1", leads, with(leads, field.c_str(), value)), "") << field;
    }
    EXPECT_NE(why("node/m1", leads, json()), "");
    EXPECT_NE(why("node/m2", other, with(other, "master", true)), "");
    EXPECT_NE(why("node/m2", json(), leads), "");
    EXPECT_NE(why("setting/authority", json(), {{"value", "x"}}), "");
    EXPECT_EQ(why("node/m1", leads, with(leads, "admin", "drain")), "");
    EXPECT_EQ(why("node/m1", json(), leads), "");  // which stood alone until now
    EXPECT_EQ(why("node/m2", leads, json()), "");  // led once
    EXPECT_EQ(why("node/m2", other, with(other, "revoked", true)), "");
}

TEST(Declaration, NothingToDoWhenNothingDiffers) {
    const auto same = declared({{"accounts",
                                 {{"ada@a.dom", kActual.at("account/ada@a.dom")},
                                  {"bob@a.dom", kActual.at("account/bob@a.dom")}}}});
    EXPECT_TRUE(plan(kActual, same, new_id).empty());
}

TEST(Declaration, ASectionThatIsThereIsTheWholeTruthOthersAreLeftAlone) {
    const auto wanted = declared(
        {{"accounts", {{"ada@a.dom", {{"home", "sv1"}}}, {"zoe@a.dom", {{"home", "sv1"}}}}}});
    const auto steps = plan(kActual, wanted, new_id);
    EXPECT_EQ(summary(steps), "create account/zoe@a.dom\ndelete account/bob@a.dom\n");
    EXPECT_EQ(steps[0].after["id"], new_id());
}

TEST(Declaration, AnAccountKeepsItsIdAndEpoch) {
    const auto wanted = declared(
        {{"accounts",
          {{"ada@a.dom", {{"home", "sv2"}}}, {"bob@a.dom", kActual.at("account/bob@a.dom")}}}});
    const auto steps = plan(kActual, wanted, new_id);
    ASSERT_EQ(summary(steps), "change account/ada@a.dom\n");
    EXPECT_EQ(steps[0].after["id"], "aaaaaaaaaaaaaaaa");
    EXPECT_EQ(steps[0].after["epoch"], 3);
}

TEST(Declaration, WhereAFrontEndListensIsForItToSay) {
    const Entries actual{{"node/fe1", {{"scope", "frontend"}, {"smtp", {"192.0.2.1:25"}}}}};
    const auto same = declared({{"nodes", {{"fe1", {{"scope", "frontend"}}}}}});
    EXPECT_TRUE(plan(actual, same, new_id).empty());
    const auto changed = declared({{"nodes", {{"fe1", {{"admin", "drain"}}}}}});
    EXPECT_EQ(plan(actual, changed, new_id).at(0).after["smtp"], json({"192.0.2.1:25"}));
}

TEST(Declaration, NamesReferencesThatWouldBreak) {
    const auto none = declared({{"servers", json::object()}});
    const auto steps = plan(kActual, none, new_id);
    const auto troubles = broken_references(kActual, steps);
    ASSERT_EQ(troubles.size(), 3U);
    EXPECT_EQ(troubles[0], "account/ada@a.dom needs server/sv1, which is not there");
    EXPECT_TRUE(broken_references(kActual, {}).empty());
}

TEST(Declaration, TwoAccountsOfOneIdAreATrouble) {
    const auto same = declared({{"accounts",
                                 {{"ada@a.dom", kActual.at("account/ada@a.dom")},
                                  {"bob@a.dom", kActual.at("account/bob@a.dom")},
                                  {"zoe@a.dom", {{"id", "aaaaaaaaaaaaaaaa"}, {"home", "sv1"}}}}}});
    const auto troubles = broken_references(kActual, plan(kActual, same, new_id));
    ASSERT_EQ(troubles.size(), 1U);
    EXPECT_EQ(troubles[0], "account/zoe@a.dom has the id aaaaaaaaaaaaaaaa of account/ada@a.dom");
    const auto renamed = declared({{"accounts",
                                    {{"zoe@a.dom", kActual.at("account/ada@a.dom")},
                                     {"bob@a.dom", kActual.at("account/bob@a.dom")}}}});
    EXPECT_TRUE(broken_references(kActual, plan(kActual, renamed, new_id)).empty());
}

TEST(Declaration, WhatIsWrittenCanBeRead) {
    std::string text;
    DeclarationWriter writer([&text](std::string_view piece) -> Result<> {
        text += piece;
        return {};
    });
    for (const DeclaredSection& section : declared_sections()) {
        ASSERT_TRUE(writer.begin_section(section));
        for (const auto& [key, value] : kActual) {
            if (!key.starts_with(section.prefix)) continue;
            ASSERT_TRUE(writer.object(key.substr(section.prefix.size()), value.dump()));
        }
    }
    ASSERT_TRUE(writer.finish());
    const auto read = parse_declaration(text);
    ASSERT_TRUE(read) << read.error().detail << text;
    EXPECT_EQ(read->entries, kActual);
    EXPECT_TRUE(plan(kActual, *read, new_id).empty());
    // One object a line.
    EXPECT_NE(text.find("\n\"sv1\": {\"host\""), std::string::npos);
}

TEST(Declaration, RefusesWhatItCannotMean) {
    EXPECT_NE(error_of("[]"), "");
    EXPECT_NE(error_of("{"), "");
    EXPECT_NE(error_of("{}"), "");
    EXPECT_NE(error_of(R"({"muster": 2})"), "");
    EXPECT_EQ(error_of(R"({"muster": 1, "domain": {}})"), "unknown section \"domain\"");
    EXPECT_NE(error_of(R"({"muster": 1, "domains": []})"), "");
    EXPECT_NE(error_of(R"({"muster": 1, "servers": {"sv1": {"kind": 3}}})").find("servers sv1: "),
              std::string::npos);
}

}  // namespace
}  // namespace muster::admin
