#pragma once
// With what TLS session tickets are sealed and opened.

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

struct ssl_ctx_st;

namespace muster::net {

/// One key: a name of 16 bytes by which tickets say whose they are, a key for AES-256-CBC and one
/// for HMAC-SHA-256 (RFC 5077, 4), all derived from one secret.
struct TicketKey {
    std::string name;
    std::string cipher;
    std::string mac;

    /// Of a secret of any length; the same for the same secret, and nothing of it can be told from
    /// the name.
    static TicketKey from_secret(std::string_view secret);

    friend bool operator==(const TicketKey&, const TicketKey&) = default;
};

/// The keys of a process. New tickets are sealed with the first; those sealed with another are
/// opened, and replaced. Whoever has the same keys resumes the same sessions, for the same choice
/// of certificate. Thread-safe; use() changes what the next handshake does and no running session.
class TicketKeys {
public:
    /// One random key, which nobody else knows.
    TicketKeys();

    /// The first of `keys` is current; there is at least one.
    void use(std::vector<TicketKey> keys);
    [[nodiscard]] std::shared_ptr<const std::vector<TicketKey>> current() const;

private:
    mutable std::mutex mutex_;
    std::shared_ptr<const std::vector<TicketKey>> keys_;
};

/// For tls.cpp: tickets of sessions of `context` are sealed with `keys`, which outlives it.
void seal_tickets(ssl_ctx_st* context, const TicketKeys& keys);

}  // namespace muster::net
