// Domains, servers, nodes and the other small objects.

#include <array>

#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"
#include "cluster/writer_parts.h"

namespace muster::cluster {
namespace {

template <auto Decode>
auto get_object(state::Store& store, const std::string& key, std::string_view name)
    -> Result<std::optional<typename decltype(Decode({}, {}))::value_type>> {
    const auto entry = store.get(key);
    if (!entry) return std::unexpected(entry.error());
    if (!*entry) return std::nullopt;
    auto object = Decode(name, (*entry)->value);
    if (!object) return std::unexpected(object.error());
    return std::move(*object);
}

/// What the stored object has and this version does not know stays, unless the new one says.
template <auto Decode, typename T>
Result<T> with_unknown_fields(state::Store& store, const std::string& key, std::string_view name,
                              T object) {
    if (!object.unknown.empty()) return object;
    const auto stored = get_object<Decode>(store, key, name);
    if (!stored && stored.error().kind == ErrorKind::Io) return std::unexpected(stored.error());
    if (stored && *stored) object.unknown = (*stored)->unknown;
    return object;
}

bool names_server(const Domain& domain, const ServerName& server) {
    return domain.unknown_server == server ||
           std::ranges::find(domain.servers, server) != domain.servers.end();
}

template <typename T>
bool share_one(const std::vector<T>& a, const std::vector<T>& b) {
    return std::ranges::find_first_of(a, b) != a.end();
}

}  // namespace

Result<> DirectoryWriter::put_object(const std::string& key, const std::string& value,
                                     Expected expected, state::Transaction transaction) {
    if (auto ok = check_entry(key, value); !ok) return ok;
    if (expected) transaction.expect(key, *expected);
    const auto done = store_.commit(transaction.put(key, value));
    if (done) return {};
    if (done.error().kind != ErrorKind::Conflict) return std::unexpected(done.error());
    return fail(ErrorKind::Conflict, "somebody else has changed it meanwhile: read it again");
}

Result<> DirectoryWriter::put(const Domain& domain, Expected expected) {
    const std::string key = domain_key(domain.name);
    if (auto ok = check_entry(key, encode(domain)); !ok) return ok;
    state::Transaction transaction;
    if (auto ok = check_references(domain, transaction); !ok) return ok;
    const auto whole = with_unknown_fields<decode_domain>(store_, key, domain.name.text, domain);
    if (!whole) return std::unexpected(whole.error());
    return put_object(key, encode(*whole), expected, std::move(transaction));
}

/// What the domain names must be there, and still be there when it is written.
Result<> DirectoryWriter::check_references(const Domain& domain, state::Transaction& transaction) {
    std::vector<ServerName> named = domain.servers;
    if (!domain.unknown_server.empty()) named.push_back(domain.unknown_server);
    for (const ServerName& name : named) {
        const auto entry = store_.get(server_key(name));
        if (!entry) return std::unexpected(entry.error());
        if (!*entry) return fail(ErrorKind::NotFound, "no server " + name.text);
        const auto found = decode_server(name.text, (*entry)->value);
        if (!found) return std::unexpected(found.error());
        transaction.expect((*entry)->key, (*entry)->revision);
        if (domain.kind == DomainKind::Local && found->kind == ServerKind::Dovecot &&
            found->node != domain.node) {
            return fail(ErrorKind::Refused, "server " + name.text + " is not on node " +
                                                domain.node.text + ", to which the domain belongs");
        }
    }
    if (domain.addresses.empty() && domain.tls_names.empty()) return {};
    return for_each_entry(store_, kDomainPrefix, [&](const state::Entry& entry) -> Result<bool> {
        const auto other = decode_domain(split_key(entry.key).name, entry.value);
        if (!other || other->name == domain.name) return true;
        if (share_one(domain.addresses, other->addresses) ||
            share_one(domain.tls_names, other->tls_names)) {
            return fail(ErrorKind::Conflict,
                        "an address or TLS name is that of domain " + other->name.text);
        }
        return true;
    });
}

Result<> DirectoryWriter::put(const Server& server, Expected expected) {
    const std::string key = server_key(server.name);
    const auto whole = with_unknown_fields<decode_server>(store_, key, server.name.text, server);
    if (!whole) return std::unexpected(whole.error());
    return put_object(key, encode(*whole), expected);
}

Result<> DirectoryWriter::put(const Node& node, Expected expected) {
    const std::string key = node_key(node.name);
    const auto whole = with_unknown_fields<decode_node>(store_, key, node.name.text, node);
    if (!whole) return std::unexpected(whole.error());
    return put_object(key, encode(*whole), expected);
}

Result<> DirectoryWriter::put(const Setting& setting, Expected expected) {
    const std::string key = setting_key(setting.name);
    const auto whole = with_unknown_fields<decode_setting>(store_, key, setting.name, setting);
    if (!whole) return std::unexpected(whole.error());
    return put_object(key, encode(*whole), expected);
}

Result<> DirectoryWriter::put(const Certificate& certificate, Expected expected) {
    const std::string key = certificate_key(certificate.name);
    const auto whole =
        with_unknown_fields<decode_certificate>(store_, key, certificate.name, certificate);
    if (!whole) return std::unexpected(whole.error());
    return put_object(key, encode(*whole), expected);
}

Result<> DirectoryWriter::put(const Credential& credential, Expected expected) {
    const std::string key = credential_key(credential.server);
    const auto whole =
        with_unknown_fields<decode_credential>(store_, key, credential.server.text, credential);
    if (!whole) return std::unexpected(whole.error());
    return put_object(key, encode(*whole), expected);
}

Result<> DirectoryWriter::put(const DeliveryCredential& credential, Expected expected) {
    const auto entry = store_.get(domain_key(credential.domain));
    if (!entry) return std::unexpected(entry.error());
    if (!*entry) return fail(ErrorKind::NotFound, "no domain " + credential.domain.text);
    const auto domain = decode_domain(credential.domain.text, (*entry)->value);
    if (!domain) return std::unexpected(domain.error());
    if (domain->kind != DomainKind::Remote || domain->route.empty()) {
        return fail(ErrorKind::Refused, credential.domain.text +
                                            " is no remote domain with a route: a login is for the "
                                            "hosts of a route alone");
    }
    state::Transaction transaction;
    transaction.expect((*entry)->key, (*entry)->revision);
    const std::string key = delivery_key(credential.domain);
    const auto whole = with_unknown_fields<decode_delivery_credential>(
        store_, key, credential.domain.text, credential);
    if (!whole) return std::unexpected(whole.error());
    return put_object(key, encode(*whole), expected, std::move(transaction));
}

Result<> DirectoryWriter::put(const Administrator& administrator, Expected expected) {
    const std::string key = admin_key(administrator.name);
    const auto whole =
        with_unknown_fields<decode_administrator>(store_, key, administrator.name, administrator);
    if (!whole) return std::unexpected(whole.error());
    return put_object(key, encode(*whole), expected);
}

Result<std::optional<Domain>> DirectoryWriter::domain(const DomainName& name) {
    return get_object<decode_domain>(store_, domain_key(name), name.text);
}
Result<std::optional<Server>> DirectoryWriter::server(const ServerName& name) {
    return get_object<decode_server>(store_, server_key(name), name.text);
}
Result<std::optional<Node>> DirectoryWriter::node(const NodeName& name) {
    return get_object<decode_node>(store_, node_key(name), name.text);
}

Result<bool> DirectoryWriter::catch_up(state::Cursor& seen, const Judge& judge) {
    constexpr std::size_t kBatch = 1'000;
    for (;;) {
        const auto batch = store_.changes(seen, kBatch, state::Scope::All);
        if (!batch) return std::unexpected(batch.error());
        if (batch->standing != state::Standing::Shared) return false;
        for (const state::Change& change : batch->changes) {
            if (!change.value) continue;
            auto fine = judge({change.key, *change.value, change.revision});
            if (!fine) return std::unexpected(fine.error());
        }
        seen = batch->next;
        if (!batch->more) return true;
    }
}

Result<> DirectoryWriter::delete_unused(const std::string& key,
                                        std::span<const std::string_view> prefixes,
                                        const Judge& judge) {
    constexpr int kTries = 100;  // each looks at a few changes only
    const auto look = [&](const state::Entry& entry) -> Result<bool> {
        if (auto fine = judge(entry); !fine) return std::unexpected(fine.error());
        return true;
    };
    std::optional<state::Cursor> seen;
    for (int i = 0; i < kTries; ++i) {
        if (!seen) {
            seen = store_.head();
            for (const std::string_view prefix : prefixes) {
                if (auto fine = for_each_entry(store_, prefix, look); !fine) return fine;
            }
        }
        const auto caught_up = catch_up(*seen, judge);
        if (!caught_up) return std::unexpected(caught_up.error());
        if (!*caught_up) {
            seen.reset();
            continue;
        }
        state::Transaction transaction;
        if (auto found = must_exist(key, transaction); !found) return found;
        if (key.starts_with(kServerPrefix)) {
            transaction.remove(credential_key(ServerName(split_key(key).name)));
        }
        const auto done = commit(transaction.expect_head(seen->revision).remove(key));
        if (!done) return std::unexpected(done.error());
        if (*done) return {};
    }
    return fail(ErrorKind::Conflict, "others keep changing the state: try again");
}

Result<> DirectoryWriter::delete_domain(const DomainName& name) {
    const std::string suffix = "@" + name.text;
    static constexpr std::array kUsers{kAccountPrefix, kAliasPrefix, kDeliveryPrefix};
    return delete_unused(domain_key(name), kUsers, [&](const state::Entry& entry) -> Result<> {
        const auto [prefix, address] = split_key(entry.key);
        if (std::ranges::find(kUsers, prefix) == kUsers.end()) return {};
        if (entry.key == delivery_key(name)) {
            return fail(ErrorKind::Refused,
                        "the domain still has a credential for delivery: "
                        "remove it first");
        }
        if (!address.ends_with(suffix)) return {};
        return fail(ErrorKind::Refused, "the domain still has " + std::string(address) +
                                            ": delete its accounts and aliases first");
    });
}

Result<> DirectoryWriter::delete_server(const ServerName& name) {
    static constexpr std::array kUsers{kDomainPrefix, kAccountPrefix};
    return delete_unused(server_key(name), kUsers, [&](const state::Entry& entry) -> Result<> {
        const auto [prefix, user] = split_key(entry.key);
        if (prefix == kDomainPrefix) {
            const auto domain = decode_domain(user, entry.value);
            if (!domain || !names_server(*domain, name)) return {};
            return fail(ErrorKind::Refused, "domain " + domain->name.text + " uses the server");
        }
        if (prefix != kAccountPrefix) return {};
        const auto row = decode_account_row(entry.value);
        if (!row || row->home != name.view()) return {};
        return fail(ErrorKind::Refused, "the server is the home of " + std::string(user));
    });
}

Result<> DirectoryWriter::delete_node(const NodeName& name) {
    static constexpr std::array kUsers{kDomainPrefix, kServerPrefix};
    return delete_unused(node_key(name), kUsers, [&](const state::Entry& entry) -> Result<> {
        const auto [prefix, user] = split_key(entry.key);
        if (prefix == kDomainPrefix) {
            const auto domain = decode_domain(user, entry.value);
            if (!domain || domain->node != name) return {};
            return fail(ErrorKind::Refused, "domain " + domain->name.text + " belongs to the node");
        }
        if (prefix != kServerPrefix) return {};
        const auto server = decode_server(user, entry.value);
        if (!server || server->node != name) return {};
        return fail(ErrorKind::Refused, "server " + server->name.text + " stands beside the node");
    });
}

Result<> DirectoryWriter::must_exist(const std::string& key, state::Transaction& transaction) {
    const auto entry = store_.get(key);
    if (!entry) return std::unexpected(entry.error());
    if (!*entry) {
        return fail(ErrorKind::NotFound,
                    "no " + key.substr(0, key.find('/')) + " " + std::string(split_key(key).name));
    }
    transaction.expect(key, (*entry)->revision);
    return {};
}

Result<> DirectoryWriter::delete_entry(std::string_view key) {
    return retry([&, name = std::string(key)]() -> Result<bool> {
        state::Transaction transaction;
        if (auto found = must_exist(name, transaction); !found) {
            return std::unexpected(found.error());
        }
        return commit(transaction.remove(name));
    });
}

}  // namespace muster::cluster
