#include "backend/agent_calls.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace muster::backend {
namespace {

using nlohmann::json;

TEST(AuthenticateRequest, ReadsWhatItNeeds) {
    const auto request = authenticate_request({{"mechanism", "PLAIN"},
                                               {"service", "smtp"},
                                               {"initial", "AGEAYg=="},
                                               {"client", "203.0.113.7:99"},
                                               {"session", "s1"}});
    ASSERT_TRUE(request);
    EXPECT_EQ(request->mechanism, "PLAIN");
    EXPECT_EQ(request->initial, std::string("\0a\0b", 4));
    EXPECT_EQ(request->client->text(), "203.0.113.7:99");
    EXPECT_EQ(request->session_id, "s1");
    EXPECT_FALSE(authenticate_request({{"mechanism", "X"}, {"service", "smtp"}})->initial);
}

TEST(AuthenticateRequest, RefusesTheRest) {
    for (const json& bad :
         {json::object(), json{{"mechanism", "PLAIN"}}, json{{"mechanism", 1}, {"service", "smtp"}},
          json{{"mechanism", "P"}, {"service", "s"}, {"initial", "!"}},
          json{{"mechanism", "P"}, {"service", "s"}, {"client", "nowhere"}},
          json{{"mechanism", std::string(300, 'x')}, {"service", "s"}}})
        EXPECT_FALSE(authenticate_request(bad)) << bad;
}

TEST(AuthStep, AsJson) {
    EXPECT_EQ(to_json(AuthChallenge{"e1", "hi"}),
              (json{{"state", "challenge"}, {"exchange", "e1"}, {"data", "aGk="}}));
    EXPECT_EQ(to_json(AuthAccepted{"ada@d", ""}),
              (json{{"state", "accepted"}, {"account", "ada@d"}, {"data", ""}}));
    EXPECT_EQ(to_json(AuthRefused{true}), (json{{"state", "refused"}, {"temporary", true}}));
}

}  // namespace
}  // namespace muster::backend
