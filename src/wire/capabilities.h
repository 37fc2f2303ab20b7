#pragma once
// What a server can do, as a set of names with values, for IMAP, POP3 and ManageSieve alike.

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace muster::wire {

/// `AUTH=PLAIN` has no value, POP3's `SASL PLAIN LOGIN` has the value "PLAIN LOGIN".
struct Capability {
    std::string name;
    std::string value;

    friend bool operator==(const Capability&, const Capability&) = default;
};

/// Names are compared without case and kept as first written; the order is by name, so equal sets
/// print equally on every node.
class Capabilities {
public:
    Capabilities() = default;
    /// Each line "NAME" or "NAME VALUE", as the server's entry in the state keeps them.
    static Capabilities from_lines(std::span<const std::string> lines);
    [[nodiscard]] std::vector<std::string> lines() const;

    void set(std::string_view name, std::string_view value = {});
    void remove(std::string_view name);
    [[nodiscard]] bool has(std::string_view name) const;
    [[nodiscard]] std::string_view value(std::string_view name) const;
    /// Whether `word` is one of the space-separated words of the value.
    [[nodiscard]] bool has_word(std::string_view name, std::string_view word) const;

    [[nodiscard]] bool empty() const { return entries_.empty(); }
    [[nodiscard]] const std::vector<Capability>& entries() const { return entries_; }
    friend bool operator==(const Capabilities&, const Capabilities&) = default;

private:
    std::vector<Capability> entries_;
};

/// What both can do: names that both have, with the words of the value that both have. A name
/// whose values share no word is dropped.
Capabilities intersect(const Capabilities& a, const Capabilities& b);

/// A listener's state, for the capabilities that are shown before login.
struct Offer {
    bool tls = false;        ///< the connection is encrypted
    bool starttls = false;   ///< a certificate is there, so STARTTLS can be offered
    bool cleartext = false;  ///< passwords are allowed on unencrypted connections
    bool scram = true;       ///< off where names get a default domain (they are signed)

    [[nodiscard]] bool passwords() const { return tls || cleartext; }
};

/// The mechanisms of `words` that can be routed under `offer`, separated by spaces, in a fixed
/// order, LOGIN wherever PLAIN is (it is prompted for here and sent on as PLAIN). Never -PLUS.
std::string routable_mechanisms(std::string_view words, const Offer& offer);

}  // namespace muster::wire
