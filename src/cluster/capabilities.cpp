#include "cluster/capabilities.h"

#include <set>

namespace muster::cluster {
namespace {

std::string upper(std::string_view text) {
    std::string result(text);
    for (char& c : result) {
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - ('a' - 'A'));
    }
    return result;
}

/// What the front end decides by itself, for its own side of the connection.
bool is_front_ends_own(std::string_view item) {
    return item == "STARTTLS" || item == "STLS" || item == "LOGINDISABLED" || item == "SASL" ||
           item.starts_with("SASL ") || item.empty();
}

Announcement announcement_of(const Server& server, const ServiceSettings& service, Service which) {
    const std::vector<std::string> items =
        service.capabilities.empty() ? builtin_capabilities(which, server) : service.capabilities;
    Announcement result;
    for (const std::string& item : items) {
        const std::string wide = upper(item);
        if (wide.starts_with("AUTH=")) {
            result.mechanisms.push_back(wide.substr(5));
        } else if (!is_front_ends_own(wide)) {
            result.capabilities.push_back(item);
        }
    }
    return result;
}

/// Keeps in `mine` what `theirs` has, too, whatever its case.
void keep_common(std::vector<std::string>& mine, const std::vector<std::string>& theirs) {
    std::set<std::string> known;
    for (const std::string& item : theirs) known.insert(upper(item));
    std::erase_if(mine, [&](const std::string& item) { return !known.contains(upper(item)); });
}

std::vector<std::string> known_to_have(Service service, bool dovecot) {
    switch (service) {
        case Service::Imap:
            if (!dovecot) return {"IMAP4rev1"};
            return {"IMAP4rev1", "SASL-IR", "ID", "ENABLE", "IDLE", "LITERAL+"};
        case Service::Pop3:
            if (!dovecot) return {"TOP", "UIDL", "USER"};
            return {"TOP", "UIDL", "RESP-CODES", "PIPELINING", "AUTH-RESP-CODE", "USER", "CAPA"};
        case Service::Sieve:
            if (!dovecot) return {"fileinto", "reject", "envelope"};
            return {"fileinto",
                    "reject",
                    "envelope",
                    "encoded-character",
                    "vacation",
                    "subaddress",
                    "comparator-i;ascii-numeric",
                    "relational",
                    "regex",
                    "imap4flags",
                    "copy",
                    "include",
                    "variables",
                    "body",
                    "enotify",
                    "environment",
                    "mailbox",
                    "date",
                    "index",
                    "ihave",
                    "duplicate",
                    "mime",
                    "foreverypart",
                    "extracttext"};
        case Service::Lmtp:
        case Service::Submission:
        case Service::Smtp: break;
    }
    return {"PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"};
}

}  // namespace

std::vector<std::string> builtin_capabilities(Service service, const Server& server) {
    const bool dovecot = server.kind == ServerKind::Dovecot;
    std::vector<std::string> items = known_to_have(service, dovecot);
    const bool logs_in =
        service != Service::Lmtp && service != Service::Submission && service != Service::Smtp;
    if (!dovecot || !logs_in) return items;
    items.emplace_back("AUTH=PLAIN");
    if (server.node.empty()) return items;
    items.emplace_back("AUTH=SCRAM-SHA-256");
    return items;
}

Announcement common_announcement(std::span<const ServerView* const> servers, Service service) {
    Announcement common;
    bool first = true;
    for (const ServerView* view : servers) {
        const ServiceSettings* settings = view->server.service(service);
        if (!settings) continue;
        Announcement own = announcement_of(view->server, *settings, service);
        if (first) {
            common = std::move(own);
            first = false;
            continue;
        }
        keep_common(common.capabilities, own.capabilities);
        keep_common(common.mechanisms, own.mechanisms);
    }
    if (first) common = announcement_of(Server{}, ServiceSettings{}, service);
    if (std::ranges::find(common.mechanisms, "PLAIN") == common.mechanisms.end()) {
        common.mechanisms.insert(common.mechanisms.begin(), "PLAIN");
    }
    return common;
}

bool map_names(std::span<const ServerView* const> servers, Service service) {
    return std::ranges::all_of(servers, [&](const ServerView* view) {
        const Server& server = view->server;
        return !server.service(service) ||
               (server.kind == ServerKind::Dovecot && server.introduce == Introduce::Xclient &&
                server.login == LoginMode::Own);
    });
}

}  // namespace muster::cluster
