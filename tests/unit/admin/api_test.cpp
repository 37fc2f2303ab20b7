#include "admin/api.h"

#include <gtest/gtest.h>

namespace muster::admin {
namespace {

TEST(ApiRoutes, FindsHandlersByMethodAndPath) {
    std::vector<std::string> names;
    const auto locate = find_route("GET", "/v1/accounts/kate%40domain1.dom/locate", names);
    ASSERT_TRUE(locate);
    EXPECT_EQ((*locate)->pattern, "/v1/accounts/{}/locate");
    EXPECT_EQ(names, std::vector<std::string>{"kate@domain1.dom"});
    ASSERT_TRUE(find_route("DELETE", "/v1/servers/sv1", names));
    EXPECT_EQ(names, std::vector<std::string>{"sv1"});
}

TEST(ApiRoutes, TellsAnUnknownPathFromAnUnknownMethod) {
    std::vector<std::string> names;
    EXPECT_EQ(find_route("GET", "/v1/nothing", names).error().kind, ErrorKind::NotFound);
    EXPECT_EQ(find_route("GET", "/v1/accounts/", names).error().kind, ErrorKind::NotFound);
    EXPECT_EQ(find_route("GET", "/v1/accounts/a/b/c", names).error().kind, ErrorKind::NotFound);
    EXPECT_EQ(find_route("GET", "/v1/accounts/%00", names).error().kind, ErrorKind::NotFound);
    EXPECT_EQ(find_route("BREW", "/v1/accounts", names).error().kind, ErrorKind::Refused);
}

/// What changes the cluster must need rights and stand in the audit log.
TEST(ApiRoutes, EveryCallThatIsNoReadingIsNamedOrKnownToBeHarmless) {
    const std::vector<std::string_view> harmless{
        "/v1/servers/{}/check", "/v1/cluster/diff", "/v1/administrators/verify", "/v1/kick",
        "/v1/end-account",      "/v1/authenticate", "/v1/account-processes"};
    for (const auto routes : {object_routes(), account_routes(), session_routes(), queue_routes(),
                              cluster_routes(), node_routes()}) {
        for (const ApiRoute& route : routes) {
            const bool reads = route.method == "GET" ||
                               std::ranges::find(harmless, route.pattern) != harmless.end();
            EXPECT_EQ(route.action.empty(), reads) << route.method << " " << route.pattern;
        }
    }
}

TEST(ApiFields, TellsMissingFromWrong) {
    const nlohmann::json body{{"name", "x"}, {"number", 3}, {"nothing", nullptr}};
    EXPECT_EQ(text_field(body, "name").value_or("?"), "x");
    EXPECT_EQ(text_field(body, "absent").value_or("?"), "");
    EXPECT_EQ(text_field(body, "nothing").value_or("?"), "");
    EXPECT_FALSE(text_field(body, "number"));
}

TEST(ApiFields, BoundsNumbersOfTheQuery) {
    ApiCall call;
    call.query = "limit=50&big=99999999999&bad=x";
    EXPECT_EQ(query_number(call, "limit", 10, 100), 50U);
    EXPECT_EQ(query_number(call, "limit", 10, 20), 20U);
    EXPECT_EQ(query_number(call, "big", 10, 100), 10U);
    EXPECT_EQ(query_number(call, "bad", 10, 100), 10U);
    EXPECT_EQ(query_number(call, "none", 10, 100), 10U);
}

}  // namespace
}  // namespace muster::admin
