#include "wire/dovecot_dict.h"

#include <gtest/gtest.h>

namespace muster::wire::dovecot_dict {
namespace {

using namespace std::literals;

template <typename T>
T parsed(std::string_view line, unsigned major = 3) {
    auto command = parse_command(line, major);
    EXPECT_TRUE(command && std::holds_alternative<T>(*command)) << line;
    return command && std::holds_alternative<T>(*command) ? std::get<T>(*command) : T{};
}

// The lines below were recorded from Dovecot 2.3.19's doveadm dict and auth.
TEST(DovecotDict, hello) {
    auto hello = parsed<Hello>("H3\t2\t0\t\tname");
    EXPECT_EQ(hello.major, 3U);
    EXPECT_EQ(hello.minor, 2U);
    EXPECT_EQ(hello.user, "");
    EXPECT_EQ(hello.dict, "name");
    EXPECT_EQ(parsed<Hello>("H2\t1\t0\tkate\tname").user, "kate");
}

TEST(DovecotDict, lookups) {
    auto lookup = parsed<Lookup>("Lshared/passdb/kate@domain1.dom\tkate@domain1.dom");
    EXPECT_EQ(lookup.key, "shared/passdb/kate@domain1.dom");
    EXPECT_EQ(lookup.user, "kate@domain1.dom");
    EXPECT_EQ(parsed<Lookup>("Lpriv/a\001tb", 2).key, "priv/a\tb");
    auto iterate = parsed<Iterate>("I9\t0\tshared/\tkate");
    EXPECT_EQ(iterate.flags, Iterate::Recurse | Iterate::NoValue);
    EXPECT_EQ(iterate.max_rows, 0U);
    EXPECT_EQ(iterate.path, "shared/");
    EXPECT_EQ(iterate.user, "kate");
    EXPECT_EQ(parsed<Iterate>("I0\t5\tshared/", 2).max_rows, 5U);
}

TEST(DovecotDict, transactions) {
    EXPECT_EQ(parsed<Begin>("B1\tkate").user, "kate");
    EXPECT_EQ(parsed<Begin>("B7").id, 7U);
    auto set = parsed<Set>("S1\tshared/a\001tb\tv\001nx");
    EXPECT_EQ(set.key, "shared/a\tb");
    EXPECT_EQ(set.value, "v\nx");
    EXPECT_EQ(parsed<Set>("S1\tk\t").value, "");
    EXPECT_EQ(parsed<Unset>("U1\tshared/k").key, "shared/k");
    EXPECT_EQ(parsed<AtomicInc>("A1\tshared/k\t-5").difference, -5);
    EXPECT_EQ(parsed<Timestamp>("T1\t1700000000\t5").seconds, 1700000000);
    EXPECT_FALSE(parsed<Commit>("C1").async);
    EXPECT_TRUE(parsed<Commit>("D4294967295").async);
    EXPECT_EQ(parsed<Rollback>("R3").id, 3U);
    EXPECT_TRUE(parsed<HideLogValues>("V3\t1").hide);
}

TEST(DovecotDict, refused) {
    for (const auto& line : {""s,
                             "H"s,
                             "H3\t2\t0"s,
                             "Hx\t2\t0\t\tname"s,
                             "L"s,
                             "L\tkate"s,
                             "I0\t0"s,
                             "Ix\t0\tp"s,
                             "I0\t-1\tp"s,
                             "B"s,
                             "Bx"s,
                             "B4294967296"s,
                             "B-1"s,
                             "S1\tk"s,
                             "S"s,
                             "U1"s,
                             "A1\tk"s,
                             "A1\tk\tx"s,
                             "A1\tk\t99999999999999999999"s,
                             "T1\t1"s,
                             "T1\t1\t1000000000"s,
                             "Q1"s,
                             "Lk\0x"s,
                             "Lk\nx"s,
                             "L" + std::string(kMaxLine, 'x')})
        EXPECT_FALSE(parse_command(line)) << line.substr(0, 80);
    EXPECT_FALSE(parse_command("I0\t0\ta\tb", 2));
}

TEST(DovecotDict, answers) {
    EXPECT_EQ(write_found("{\"a\":\"b\tc\"}"), "O{\"a\":\"b\001tc\"}\n");
    EXPECT_EQ(write_found("v", 5), "+5\tOv\n");
    EXPECT_EQ(write_not_found(), "N\n");
    EXPECT_EQ(write_failure("not\nnow", 6), "+6\tFnot\001nnow\n");
    EXPECT_EQ(write_row("k\t", "v"), "Ok\001t\tv\n");
    EXPECT_EQ(write_end_of_rows(), "\n");
    EXPECT_EQ(write_end_of_rows(7), "+7\t\n");
    EXPECT_EQ(write_async_id(7), "*7\n");
    EXPECT_EQ(write_commit({.id = 1}, CommitResult::Ok), "O1\n");
    EXPECT_EQ(write_commit({.id = 1, .async = true}, CommitResult::NotFound), "AN1\n");
    EXPECT_EQ(write_commit({.id = 1}, CommitResult::Failed, "a\tb", 2), "+2\tF1\ta\001tb\n");
    EXPECT_EQ(write_commit({.id = 1}, CommitResult::Uncertain, "x"), "W1\tx\n");
}

}  // namespace
}  // namespace muster::wire::dovecot_dict
