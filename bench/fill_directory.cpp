// Makes the directory of a node that serves the fake server's accounts.
//
//   fill_directory --state DIR --server ADDRESS:PORT --domain DOMAIN --accounts N [--front-end DIR]
//                  [--service imap|lmtp|smtp] [--imap PORT] [--mail inline|queue|inline-only]
//                  [--xclient 1]
//
// makes the state folder of a node "bench", its own cluster, with one domain, one server (of IMAP,
// if nothing else is asked for; of IMAP, too, with --imap) and the accounts user0@DOMAIN …, and if
// asked that of a front end "bench-fe" with its copy of all that, whose master does not answer. Its
// mail server is not told for whom a message is, except with --xclient 1. It uses Muster's own
// code: it prepares, and is not measured.

#include <arpa/inet.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "admin/node_identity.h"
#include "cluster/directory_writer.h"
#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"
#include "local_source.h"
#include "options.h"
#include "sockets.h"
#include "state/sqlite_store.h"

namespace muster::bench {
namespace {

[[noreturn]] void give_up(const Error& error) {
    std::fprintf(stderr, "fill_directory: %s\n", error.detail.c_str());
    std::exit(1);
}

template <typename T>
T must(Result<T> result) {
    if (!result) give_up(result.error());
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

std::string text_or(const Options& options, const std::string& name, const char* otherwise) {
    return options.has(name) ? options.text(name) : otherwise;
}

cluster::Server fake_server(const Options& options) {
    const std::string endpoint = options.text("server");
    const auto service = cluster::service_from(text_or(options, "service", "imap"));
    if (!service) die("no such service");
    cluster::Server server;
    server.name = ServerName("fake");
    server.host = endpoint.substr(0, endpoint.rfind(':'));
    cluster::ServiceSettings settings;
    settings.port = ntohs(parse_endpoint(endpoint).sin_port);
    settings.tls = cluster::TlsMode::None;
    server.services[static_cast<std::size_t>(*service)] = settings;
    if (options.has("imap")) {
        settings.port = static_cast<std::uint16_t>(options.number("imap", 0));
        server.services[static_cast<std::size_t>(cluster::Service::Imap)] = settings;
    }
    if (*service == cluster::Service::Imap || options.number("xclient", 0) != 0) return server;
    server.kind = cluster::ServerKind::Foreign;
    server.introduce = cluster::Introduce::None;
    return server;
}

cluster::Domain domain_of(const Options& options) {
    cluster::Domain domain;
    domain.name = DomainName(options.text("domain"));
    domain.servers = {ServerName("fake")};
    const std::string mode = text_or(options, "mail", "inline");
    for (const auto each : {cluster::MailMode::Queue, cluster::MailMode::InLineOnly}) {
        if (mode == cluster::name(each)) domain.mail = each;
    }
    return domain;
}

/// The node becomes the first of a cluster, unless it is one already.
void found_cluster(const std::string& state) {
    if (admin::has_identity(state)) return;
    admin::NodeIdentity identity = admin::new_identity(NodeName("bench"));
    must(admin::found_cluster(identity));
    must(admin::save_identity(state, identity));
}

void make_front_end(const std::string& folder, const admin::NodeIdentity& master,
                    state::Store& directory) {
    std::filesystem::create_directories(folder);
    admin::NodeIdentity identity = admin::new_identity(NodeName("bench-fe"));
    identity.cluster_id = master.cluster_id;
    identity.authority = master.authority;
    identity.secret = master.secret;
    identity.masters = {{NodeName("bench"), "127.0.0.1:1", master.pin}};
    must(admin::save_identity(folder, identity));
    const auto replica = must(state::Replica::of_folder(folder));
    const auto sources = [&] {
        std::vector<std::unique_ptr<state::Source>> made;
        made.push_back(std::make_unique<state::LocalSource>(directory));
        return made;
    };
    state::Follower follower(replica, sources, {.scope = state::Scope::Frontend});
    const std::jthread thread([&](const std::stop_token& stop) { follower.run(stop); });
    while (!replica->filled()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

void add_accounts(state::Store& directory, const std::string& domain, int count) {
    auto load = directory.bulk({});
    for (int number = 0; number < count; ++number) {
        cluster::Account account;
        account.address = AccountAddress("user" + std::to_string(number) + "@" + domain);
        account.id = cluster::new_account_id();
        account.home = ServerName("fake");
        must(load->add(cluster::account_key(account.address), cluster::encode(account)));
    }
    must(load->finish());
}

}  // namespace
}  // namespace muster::bench

int main(int argc, char** argv) {
    using namespace muster;
    using namespace muster::bench;
    const Options options(argc, argv, 1);
    const std::string folder = options.text("state");
    std::filesystem::create_directories(folder);
    found_cluster(folder);
    auto stores = must(state::open_stores(folder));
    must(stores.directory->begin_term());
    cluster::DirectoryWriter writer(*stores.directory);
    must(writer.put(fake_server(options)));
    const cluster::Domain domain = domain_of(options);
    must(writer.put(domain));
    add_accounts(*stores.directory, domain.name.text, options.number("accounts", 100));
    if (options.has("front-end")) {
        make_front_end(options.text("front-end"), must(admin::load_identity(folder)),
                       *stores.directory);
    }
}
