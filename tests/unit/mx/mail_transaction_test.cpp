// What a client is told, and which targets are one.

#include "mx/mail_transaction.h"

#include <gtest/gtest.h>

#include <array>

namespace muster::mx {
namespace {

using delivery::Outcome;

cluster::MailRoute route(std::initializer_list<const char*> addresses) {
    cluster::MailRoute made;
    for (const char* address : addresses) {
        made.targets.push_back({.address = address, .home = ServerName("sv1")});
    }
    return made;
}

wire::smtp::Recipient to(const char* local) {
    return {.path = {.local = local, .domain = "example.org"}};
}

TEST(MailTransaction, TheSameFinalAddressIsOneTargetAndAnotherDetailIsAnother) {
    MailTransaction transaction;
    transaction.add(to("info"), route({"kate@example.org", "john@example.org"}));
    transaction.add(to("kate"), route({"kate@example.org"}));
    transaction.add(to("kate+a"), route({"kate+a@example.org"}));
    transaction.add(to("kate+b"), route({"kate+b@example.org"}));
    ASSERT_EQ(transaction.targets.size(), 4U);
    EXPECT_EQ(transaction.recipients[1].targets, std::vector<std::uint32_t>{0});
    EXPECT_EQ(transaction.targets[2].address, "kate+a@example.org");
}

TEST(MailTransaction, KnowsWhomTheClientNamed) {
    MailTransaction transaction;
    transaction.add(to("info"), route({"kate@example.org"}));
    EXPECT_TRUE(transaction.names("info@example.org"));
    EXPECT_FALSE(transaction.names("kate@example.org"));
    EXPECT_FALSE(transaction.in_line_only);
}

TEST(MailTransaction, TheAnswerIsOfAllResults) {
    struct Row {
        std::vector<Outcome> outcomes;
        bool queued;
        int code;
    };
    const std::array rows{
        Row{{Outcome::Delivered}, false, 250},
        Row{{Outcome::Delivered, Outcome::Refused}, false, 250},
        Row{{Outcome::Delivered, Outcome::Deferred}, true, 250},
        Row{{Outcome::Refused, Outcome::Deferred}, true, 250},
        Row{{Outcome::Delivered, Outcome::Deferred}, false, 451},
        Row{{Outcome::Refused, Outcome::Deferred}, false, 451},
        Row{{Outcome::Refused, Outcome::Refused}, false, 552},
    };
    for (const Row& row : rows) {
        MailTransaction transaction;
        for (const Outcome outcome : row.outcomes) {
            Target target{.address = "k@example.org"};
            target.result = delivery::own_result(outcome, 552, {5, 2, 2}, "full");
            transaction.targets.push_back(std::move(target));
        }
        EXPECT_EQ(answer_for(transaction, row.queued, queue::QueueId("id")).code, row.code);
    }
}

}  // namespace
}  // namespace muster::mx
