#pragma once
// The keys that sign mail, as files for the filter that does so: rspamd, OpenDKIM.

#include <mutex>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/seal.h"
#include "cluster/shared_secret.h"

namespace muster::admin {

/// A folder that is Muster's own: it holds `DOMAIN.SELECTOR.key` for each key of the state and no
/// other `.key` file. Each is written beside its place and renamed, readable by its owner and, if
/// there is a group, by that one. Thread-safe; blocks.
class DkimFolder {
public:
    /// `group`: name of a system group that this process, or the folder's setgid bit, gives to
    /// files; empty: none. Nothing is made before
    /// there is a key.
    DkimFolder(std::string path, std::string group);

    /// Makes the folder hold exactly these. A key that cannot be opened is logged and left as it
    /// stands. Errors: Io, NotFound (the group), Refused (this process may not give to the group).
    Result<> hold(const std::vector<cluster::DkimKey>& keys, const SealSecret& seal);

private:
    Result<> write(const std::string& name, const std::string& pem) const;
    Result<> prepare() const;
    [[nodiscard]] Result<> give(const std::string& path, unsigned mode) const;

    const std::string path_;
    const std::string group_;
    std::mutex mutex_;
};

/// `SELECTOR._domainkey.DOMAIN. IN TXT ( "…" )`, in pieces of at most 255 characters.
std::string dns_line(const cluster::DkimKey& key);
/// What a private key's record says: `v=DKIM1; k=rsa; p=…` (RFC 6376, 3.6.1; RFC 8463 for Ed25519).
/// Syntax: neither RSA of 1,024 bits or more (RFC 8301) nor Ed25519.
Result<std::string> dkim_record(std::string_view pem);

}  // namespace muster::admin
