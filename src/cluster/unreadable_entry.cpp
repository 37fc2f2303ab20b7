#include "cluster/unreadable_entry.h"

#include <string>

#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"

namespace muster::cluster {

std::unexpected<Error> unreadable_entry(state::ReplicaReader& reader, std::string_view key,
                                        std::string_view value, std::string_view reason) {
    reader.replica()->report_unreadable(key, value, reason);
    return fail(ErrorKind::Unavailable, "try again later",
                "the entry " + std::string(key) + " cannot be read: " + std::string(reason));
}

std::unexpected<Error> unreadable_domain() {
    return fail(ErrorKind::Unavailable, "try again later", "domain-unreadable");
}

std::unexpected<Error> unreadable_account(state::ReplicaReader& reader, std::string_view key,
                                          std::string_view value) {
    const auto account = decode_account(key.substr(kAccountPrefix.size()), value);
    return unreadable_entry(reader, key, value,
                            account ? "its form is unusual" : account.error().detail);
}

}  // namespace muster::cluster
