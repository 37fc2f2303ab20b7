// Makes the queue of a node "bench" with messages that wait for the accounts of fill_directory.
//
//   fill_queue --queue DIR --domain DOMAIN --accounts N --messages M --size BYTES
//
// It uses Muster's own code: it prepares, and is not measured.

#include <cstdio>
#include <cstdlib>
#include <string>

#include "mail_client.h"
#include "options.h"
#include "queue/spool_files.h"
#include "queue/spool_owner.h"

namespace muster::bench {
namespace {

[[noreturn]] void give_up(const Error& error) {
    std::fprintf(stderr, "fill_queue: %s\n", error.detail.c_str());
    std::exit(1);
}

queue::Envelope envelope_for(const std::string& domain, int account) {
    using std::chrono::days;
    queue::Envelope envelope;
    envelope.sender = "sender@example.org";
    queue::Recipient& recipient = envelope.recipients.emplace_back();
    recipient.address = "user" + std::to_string(account) + "@" + domain;
    envelope.route_class = "mx";
    envelope.client_address = "127.0.0.1";
    envelope.helo = "client.example.org";
    envelope.arrived = queue::now();
    envelope.expires = envelope.arrived + days(5);
    return envelope;
}

std::string message_text(int size) {
    std::string text = make_text(static_cast<std::size_t>(size));
    return text.substr(0, text.size() - 3);  // without the final dot
}

}  // namespace
}  // namespace muster::bench

int main(int argc, char** argv) {
    using namespace muster;
    using namespace muster::bench;
    const Options options(argc, argv, 1);
    const NodeName node("bench");
    const std::string folder = options.text("queue");
    const auto files = queue::SpoolFiles::open(folder);
    if (!files) give_up(files.error());
    const auto owned = queue::write_owner(folder, {.node = node, .generation = 1, .instance = "-"});
    if (!owned) give_up(owned.error());
    queue::QueueIds ids(node);
    const auto content = queue::Content::of(message_text(options.number("size", 4096)));
    const int accounts = options.number("accounts", 100);
    for (int i = 0; i < options.number("messages", 1000); ++i) {
        const auto envelope = envelope_for(options.text("domain"), i % accounts);
        const auto made = files->create(ids.next(), queue::Shelf::Active, envelope, *content);
        if (!made) give_up(made.error());
    }
    if (const auto synced = files->sync(); !synced) give_up(synced.error());
}
