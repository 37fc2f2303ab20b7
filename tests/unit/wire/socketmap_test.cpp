#include "wire/socketmap.h"

#include <gtest/gtest.h>

namespace muster::wire::socketmap {
namespace {

using namespace std::literals;

TEST(SocketmapNetstring, whole) {
    auto bytes = "17:accounts kate@a.b,0:,"sv;
    auto first = parse_netstring(bytes);
    ASSERT_TRUE(first);
    auto netstring = std::get<Netstring>(*first);
    EXPECT_EQ(netstring.text, "accounts kate@a.b");
    auto second = parse_netstring(bytes.substr(netstring.size));
    EXPECT_EQ(std::get<Netstring>(*second).size, 3);
    for (std::size_t size = 0; size < netstring.size; ++size) {
        auto part = parse_netstring(bytes.substr(0, size));
        ASSERT_TRUE(part) << size;
        auto needed = std::get<NeedMore>(*part).size;
        EXPECT_TRUE(needed > size && needed <= netstring.size) << size;
    }
}

TEST(SocketmapNetstring, refused) {
    for (auto bytes : {":"sv, "a"sv, "-1:"sv, "1 :"sv, "01:a,"sv, "01"sv, "00:,"sv, "1:ab"sv,
                       "1:a;"sv, "0:x"sv, "1\r\n"sv, "\0"sv})
        EXPECT_EQ(parse_netstring(bytes).error().kind, ErrorKind::Syntax) << bytes;
    for (auto bytes :
         {"1025:"sv, "99999"sv, "99999999999999999999999:"sv, "18446744073709551616"sv})
        EXPECT_EQ(parse_netstring(bytes).error().kind, ErrorKind::Limit) << bytes;
    EXPECT_TRUE(parse_netstring("1024:" + std::string(1024, 'x') + ","));
    EXPECT_TRUE(parse_netstring("100000:", kMaxReply));
}

TEST(SocketmapRequest, parts) {
    auto request = parse_request("accounts kate b@domain1.dom");
    ASSERT_TRUE(request);
    EXPECT_EQ(request->name, "accounts");
    EXPECT_EQ(request->key, "kate b@domain1.dom");
    EXPECT_EQ(parse_request("accounts ")->key, "");
    for (auto text : {""sv, "accounts"sv, " key"sv, "a b\nc"sv, "a b\0"sv, "a\r b"sv})
        EXPECT_FALSE(parse_request(text)) << text;
}

std::string reply(Status status, std::string_view text) {
    std::string out;
    append_reply(out, status, text);
    return out;
}

TEST(SocketmapReply, forms) {
    EXPECT_EQ(reply(Status::Ok, "lmtp:[192.0.2.1]:24"), "22:OK lmtp:[192.0.2.1]:24,");
    EXPECT_EQ(reply(Status::NotFound, ""), "9:NOTFOUND ,");
    EXPECT_EQ(reply(Status::Temporary, "no directory"), "17:TEMP no directory,");
    EXPECT_EQ(reply(Status::Timeout, "late"), "12:TIMEOUT late,");
    EXPECT_EQ(reply(Status::Permanent, "a\r\nb"), "9:PERM a  b,");
    EXPECT_EQ(reply(Status::Ok, std::string(kMaxReply, 'x')), "20:PERM answer too long,");
    EXPECT_TRUE(reply(Status::Ok, std::string(kMaxReply - 3, 'x')).starts_with("100000:OK x"));
}

}  // namespace
}  // namespace muster::wire::socketmap
