#include "cluster/entries.h"

namespace muster::cluster {

std::string_view name(Service service) {
    switch (service) {
        case Service::Imap: return "imap";
        case Service::Pop3: return "pop3";
        case Service::Sieve: return "sieve";
        case Service::Lmtp: return "lmtp";
        case Service::Submission: return "submission";
        case Service::Smtp: return "smtp";
    }
    return "unknown";
}

std::optional<Service> service_from(std::string_view text) {
    for (const Service service : kServices) {
        if (name(service) == text) return service;
    }
    return std::nullopt;
}

std::string_view name(TlsMode mode) {
    switch (mode) {
        case TlsMode::None: return "none";
        case TlsMode::StartTls: return "starttls";
        case TlsMode::Implicit: return "implicit";
    }
    return "unknown";
}

std::string_view name(ServerKind kind) {
    return kind == ServerKind::Dovecot ? "dovecot" : "foreign";
}

std::string_view name(AdminState state) {
    switch (state) {
        case AdminState::Up: return "up";
        case AdminState::Drain: return "drain";
        case AdminState::Down: return "down";
    }
    return "unknown";
}

std::string_view name(Introduce introduce) {
    switch (introduce) {
        case Introduce::Xclient: return "xclient";
        case Introduce::Proxy: return "proxy";
        case Introduce::None: return "none";
    }
    return "unknown";
}

std::string_view name(LoginMode login) {
    switch (login) {
        case LoginMode::Own: return "own";
        case LoginMode::Master: return "master";
        case LoginMode::Token: return "token";
    }
    return "unknown";
}

std::string_view name(NodeScope scope) {
    switch (scope) {
        case NodeScope::Mirror: return "mirror";
        case NodeScope::Relay: return "relay";
        case NodeScope::Frontend: return "frontend";
        case NodeScope::Backend: return "backend";
    }
    return "unknown";
}

std::string_view name(DomainKind kind) {
    switch (kind) {
        case DomainKind::Shared: return "shared";
        case DomainKind::Local: return "local";
        case DomainKind::Remote: return "remote";
    }
    return "unknown";
}

std::string_view name(MailMode mode) {
    switch (mode) {
        case MailMode::InLine: return "inline";
        case MailMode::Queue: return "queue";
        case MailMode::InLineOnly: return "inline-only";
    }
    return "unknown";
}

std::string_view name(OutgoingTls tls) {
    switch (tls) {
        case OutgoingTls::Automatic: return "automatic";
        case OutgoingTls::None: return "none";
        case OutgoingTls::Opportunistic: return "opportunistic";
        case OutgoingTls::Encrypted: return "encrypted";
        case OutgoingTls::Verified: return "verified";
    }
    return "unknown";
}

}  // namespace muster::cluster
