#include "admin/demo_layout.h"

#include <unistd.h>

#include "admin/files.h"
#include "admin/node_identity.h"
#include "base/endpoint.h"
#include "cluster/capabilities.h"
#include "cluster/directory_writer.h"
#include "net/pki.h"
#include "state/sqlite_store.h"

namespace muster::admin {
namespace {

/// Keys and certificates: the cluster's authority signs those of Dovecot and of the front ends.
Result<> write_certificate(const NodeIdentity& master, const std::string& path,
                           const std::string& name, const std::vector<std::string>& names) {
    const std::string key = net::make_key();
    auto certificate = issue_certificate(master, key, name, names);
    if (!certificate) return std::unexpected(certificate.error());
    if (auto saved = write_file(path + ".crt", *certificate); !saved) return saved;
    return write_file(path + ".key", key, 0600);
}

std::string host_of(const std::string& endpoint) {
    return Endpoint::parse(endpoint)->address.text();
}

Result<> write_front_end(const DemoPlan& plan, const DemoFrontEnd& front_end,
                         const NodeIdentity& master) {
    if (auto made = make_folder(front_end.folder); !made) return made;
    auto certified = write_certificate(
        master, front_end.folder + "/mail", kDemoHost,
        {kDemoHost, "mail.domain2.dom", "localhost", host_of(front_end.endpoints.at("imap"))});
    if (!certified) return certified;
    return write_file(front_end.folder + "/muster.toml", front_end_file(plan, front_end));
}

Result<> write_server(const DemoPlan& plan, const DemoServer& server, const NodeIdentity& master) {
    if (auto made = make_folder(server.folder); !made) return made;
    auto certified = write_certificate(master, server.folder + "/dovecot", server.name,
                                       {server.name + ".domain1.dom", server.address});
    if (!certified) return certified;
    const DemoMailUser mail = demo_mail_user();
    for (const char* folder : {"/mail", "/dovecot", "/run", "/dovecot-state"}) {
        if (auto made = make_folder(server.folder + folder); !made) return made;
    }
    if (geteuid() == 0 && chown((server.folder + "/mail").c_str(), mail.uid, mail.gid) != 0) {
        return fail(ErrorKind::Io, "cannot give " + server.folder + "/mail to " + mail.user);
    }
    for (const auto& file : backend::dovecot_files(dovecot_input(plan, server))) {
        auto saved = write_file(server.folder + "/dovecot/" + file.name, file.text,
                                file.secret ? 0600 : 0644);
        if (!saved) return saved;
    }
    return write_file(server.folder + "/muster.toml", server_file(plan, server));
}

cluster::Server server_entry(const DemoServer& from, const NodeIdentity& master) {
    cluster::Server server;
    server.name = ServerName(from.name);
    server.node = NodeName(from.name);
    server.host = from.address;
    server.tls_name = from.name + ".domain1.dom";
    server.ca = master.authority;
    for (const auto service : {cluster::Service::Imap, cluster::Service::Pop3,
                               cluster::Service::Sieve, cluster::Service::Lmtp}) {
        cluster::ServiceSettings settings;
        settings.port = from.ports.at(std::string(cluster::name(service)));
        settings.tls = cluster::TlsMode::StartTls;
        server.services[static_cast<std::size_t>(service)] = settings;
    }
    return server;
}

Result<> write_directory(const DemoPlan& plan, const NodeIdentity& master,
                         const std::vector<cluster::Node>& nodes) {
    const std::string folder = plan.servers.front().folder + "/state";
    auto stores = state::open_stores(folder);
    if (!stores) return std::unexpected(stores.error());
    if (auto begun = stores->directory->begin_term(); !begun) return begun;
    cluster::DirectoryWriter writer(*stores->directory);
    for (const cluster::Node& node : nodes) {
        if (auto put = writer.put(node); !put) return put;
    }
    std::vector<ServerName> names;
    for (const DemoServer& server : plan.servers) {
        if (auto put = writer.put(server_entry(server, master)); !put) return put;
        names.emplace_back(server.name);
    }
    for (const char* name : kDemoDomains) {
        cluster::Domain domain;
        domain.name = DomainName(name);
        domain.servers = names;
        domain.tls_names = {DomainName("mail." + std::string(name))};
        if (auto put = writer.put(domain); !put) return put;
    }
    for (const DemoAccount& account : plan.accounts) {
        auto made = writer.create_account({.address = account.address,
                                           .id = {},
                                           .home = ServerName(account.home),
                                           .password = account.password,
                                           .keys = {}});
        if (!made) return std::unexpected(made.error());
    }
    return {};
}

cluster::Node node_entry(const std::string& name, cluster::NodeScope scope, bool is_master,
                         const std::string& endpoint, const NodeIdentity& identity) {
    cluster::Node node;
    node.name = NodeName(name);
    node.scope = scope;
    node.master = is_master;
    node.cluster = endpoint;
    node.pin = identity.pin;
    return node;
}

/// A member's identity as joining would leave it.
NodeIdentity member_identity(const std::string& name, const NodeIdentity& master,
                             const PeerAddress& master_address) {
    NodeIdentity identity = new_identity(NodeName(name));
    identity.cluster_id = master.cluster_id;
    identity.authority = master.authority;
    identity.secret = master.secret;
    identity.masters = {master_address};
    return identity;
}

}  // namespace

Result<> lay_out(const DemoPlan& plan) {
    const DemoServer& first = plan.servers.front();
    NodeIdentity master = new_identity(NodeName(first.name));
    if (auto founded = found_cluster(master); !founded) return founded;
    if (auto saved = save_identity(first.folder + "/state", master); !saved) return saved;
    if (auto saved = write_file(plan.certificate_authority(), master.authority); !saved) {
        return saved;
    }
    const auto endpoint_of = [](const DemoServer& server) {
        return server.address + ":" + std::to_string(server.ports.at("cluster"));
    };
    const PeerAddress master_address{NodeName(first.name), endpoint_of(first), master.pin};
    std::vector<cluster::Node> nodes;
    for (const DemoServer& server : plan.servers) {
        if (auto written = write_server(plan, server, master); !written) return written;
        const bool is_master = &server == &first;
        const NodeIdentity identity =
            is_master ? master : member_identity(server.name, master, master_address);
        if (auto saved = save_identity(server.folder + "/state", identity); !saved) return saved;
        nodes.push_back(node_entry(server.name, cluster::NodeScope::Backend, is_master,
                                   endpoint_of(server), identity));
    }
    for (const DemoFrontEnd& front_end : plan.front_ends) {
        if (auto written = write_front_end(plan, front_end, master); !written) return written;
        const NodeIdentity identity = member_identity(front_end.name, master, master_address);
        if (auto saved = save_identity(front_end.folder + "/state", identity); !saved) return saved;
        nodes.push_back(node_entry(front_end.name, cluster::NodeScope::Frontend, false,
                                   front_end.endpoints.at("cluster"), identity));
    }
    return write_directory(plan, master, nodes);
}

}  // namespace muster::admin
