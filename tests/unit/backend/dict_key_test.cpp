#include "backend/dict_key.h"

#include <gtest/gtest.h>

namespace muster::backend {
namespace {

TEST(DictKey, Passdb) {
    const auto parsed = [](std::string_view key, std::string_view user) {
        return parse_dict_key(key, user);
    };
    EXPECT_EQ(parsed("shared/passdb/PLAIN/ada@d/", "ada@d"),
              DictQuery(PassdbQuery{"PLAIN", "ada@d", ""}));
    EXPECT_EQ(parsed("shared/passdb/SCRAM-SHA-256/ada/ada@d", "ada"),
              DictQuery(PassdbQuery{"SCRAM-SHA-256", "ada", "ada@d"}));
    EXPECT_EQ(parsed("shared/passdb//ada/", "ada"), DictQuery(PassdbQuery{"", "ada", ""}));
    EXPECT_EQ(parsed("shared/passdb/PLAIN/a/b/eve@d", "a/b"),
              DictQuery(PassdbQuery{"PLAIN", "a/b", "eve@d"}))
        << "a slash in the name must not move the border";
    EXPECT_EQ(parsed("shared/passdb/PLAIN/ada@d/", ""),
              DictQuery(PassdbQuery{"PLAIN", "ada@d", ""}));
    EXPECT_EQ(parsed("shared/passdb/PLAIN/ada@d/", "bob@d"), std::nullopt);
    EXPECT_EQ(parsed("shared/passdb/PLAIN", "ada"), std::nullopt);
}

TEST(DictKey, PassdbWithClientAndSession) {
    const auto parsed = [](std::string_view key, std::string_view user) {
        return parse_dict_key(key, user);
    };
    EXPECT_EQ(parsed("shared/passdb/PLAIN/ada@d//192.0.2.1/s1", "ada@d"),
              DictQuery(PassdbQuery{"PLAIN", "ada@d", "", "192.0.2.1", "s1"}));
    EXPECT_EQ(parsed("shared/passdb/PLAIN/ada/ada@d/2001:db8::1/a/b/", "ada"),
              DictQuery(PassdbQuery{"PLAIN", "ada", "ada@d", "2001:db8::1", "a/b/"}))
        << "Dovecot's own session ids are base64";
    EXPECT_EQ(parsed("shared/passdb/PLAIN/a/b/x/y@d/192.0.2.1/s", "a/b"),
              DictQuery(PassdbQuery{"PLAIN", "a/b", "x/y@d", "192.0.2.1", "s"}));
    EXPECT_EQ(parsed("shared/passdb/PLAIN/ada///", "ada"),
              DictQuery(PassdbQuery{"PLAIN", "ada", "", "", ""}))
        << "an internal login has neither";
    EXPECT_EQ(parsed("shared/passdb/PLAIN/ada/x/y@d", "ada"),
              DictQuery(PassdbQuery{"PLAIN", "ada", "x/y@d"}));
    EXPECT_EQ(parsed("shared/passdb/PLAIN/ada/ada@d/192.0.2.1", "ada"),
              DictQuery(PassdbQuery{"PLAIN", "ada", "ada@d/192.0.2.1"}));
}

TEST(DictKey, UserdbTokenAndLastLogin) {
    EXPECT_EQ(parse_dict_key("shared/userdb/a/b@d", ""), DictQuery(UserdbQuery{"a/b@d"}));
    EXPECT_EQ(parse_dict_key("shared/userdb/", ""), DictQuery(UserdbQuery{""}));
    EXPECT_EQ(parse_dict_key("shared/token/id/imap/a/b@d", ""),
              DictQuery(TokenQuery{"id", "imap", "a/b@d"}));
    EXPECT_EQ(parse_dict_key("shared/token/id", ""), std::nullopt);
    EXPECT_EQ(parse_dict_key("shared/last-login/ada@d", ""), DictQuery(LastLoginQuery{}));
}

TEST(DictKey, SharedBoxes) {
    EXPECT_EQ(parse_dict_key("shared/shared-boxes/user/bob@d/ada@d", ""),
              DictQuery(SharedQuery{"bob@d", "ada@d"}));
    EXPECT_EQ(parse_dict_key("shared/shared-boxes/user/bob@d/", ""),
              DictQuery(SharedQuery{"bob@d", ""}));
    EXPECT_EQ(parse_dict_key("shared/shared-boxes/", ""), DictQuery(SharedQuery{}));
    EXPECT_EQ(parse_dict_key("shared/shared-boxes/anyone/ada@d", ""),
              DictQuery(SharedQuery{"anyone", "ada@d"}));
    EXPECT_EQ(parse_dict_key("shared/shared-boxes/user/b\\|b@d/a\\\\a@d", ""),
              DictQuery(SharedQuery{"b/b@d", "a\\a@d"}));
    EXPECT_EQ(shared_box_key("b/b@d", "a\\a@d"), "shared/shared-boxes/user/b\\|b@d/a\\\\a@d");
    EXPECT_EQ(shared_box_key("anyone", "ada@d"), "shared/shared-boxes/anyone/ada@d");
}

TEST(DictKey, WhatWeDoNotKnow) {
    for (std::string_view key : {"", "shared/", "passdb/PLAIN/a/", "priv/userdb/a",
                                 "shared/shared-boxes/group/x/ada@d", "shared/quota/a"})
        EXPECT_EQ(parse_dict_key(key, "a"), std::nullopt) << key;
}

}  // namespace
}  // namespace muster::backend
