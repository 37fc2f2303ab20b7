#pragma once
// The keys that sign mail, as files for the filter that does so: rspamd, OpenDKIM.

#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/seal.h"
#include "cluster/shared_secret.h"

namespace muster::admin {

/// A folder with `DOMAIN.SELECTOR.key` for each key of the state. Each is written beside its place
/// and renamed, readable by its owner and, if there is a group, by that one. What else is there is
/// none of ours: `.muster-keys` in the folder lists what Muster wrote, and only that is replaced or
/// removed; the owner and mode of a folder that Muster did not make stay. One caller at a time;
/// blocks.
class DkimFolder {
public:
    /// `group`: name of a system group that this process, or the folder's setgid bit, gives to
    /// files; empty: none. Nothing is made or changed before there is a key.
    DkimFolder(std::string path, std::string group);

    /// Makes the folder hold these, and none that Muster wrote before, unless `keeps_others` (there
    /// are keys that cannot be read now). One that cannot be written
    /// keeps no other back and stays as it is; the first such error is the answer: Io, NotFound
    /// (the group), Refused (this process may not give to the group, or cannot open the key),
    /// Conflict (somebody else's file is there), Corrupt.
    Result<> hold(const std::vector<cluster::DkimKey>& keys, const SealSecret& seal,
                  bool keeps_others = false);

private:
    /// What Muster wrote.
    struct Ours {
        bool folder = false;  ///< Muster made it
        std::set<std::string> files{};
    };
    [[nodiscard]] Result<Ours> read_list() const;
    [[nodiscard]] Result<> write_list(const Ours& ours) const;
    Result<> prepare(Ours& ours) const;
    [[nodiscard]] Result<> write(const std::string& name, const std::string& pem,
                                 bool is_ours) const;
    Result<> remove_others(Ours& ours, const std::set<std::string>& wanted) const;
    [[nodiscard]] Result<> give(const std::string& path, unsigned mode) const;

    const std::string path_;
    const std::string group_;
    const std::string list_;
};

/// `SELECTOR._domainkey.DOMAIN. IN TXT ( "…" )`, in pieces of at most 255 characters.
std::string dns_line(const cluster::DkimKey& key);
/// What a private key's record says: `v=DKIM1; k=rsa; p=…` (RFC 6376, 3.6.1; RFC 8463 for Ed25519).
/// Syntax: neither RSA of 1,024 bits or more (RFC 8301) nor Ed25519.
Result<std::string> dkim_record(std::string_view pem);

}  // namespace muster::admin
