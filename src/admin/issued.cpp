#include "admin/issued.h"

#include <nlohmann/json.hpp>

#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr std::string_view kPrefix = "issued/";
constexpr std::size_t kMost = 10'000;

std::string key_of(const std::string& name) { return std::string(kPrefix) + name; }

}  // namespace

Result<> note_issued(state::Store& directory, const IssuedCertificate& certificate) {
    const auto end = std::chrono::duration_cast<milliseconds>(certificate.end.time_since_epoch());
    state::Transaction transaction;
    transaction.put(key_of(certificate.name),
                    state::json_line(json{{"names", certificate.names}, {"end", end.count()}}));
    const auto committed = directory.commit(transaction);
    if (!committed) return std::unexpected(committed.error());
    return {};
}

Result<> forget_issued(state::Store& directory, const std::string& name) {
    const auto entry = directory.get(key_of(name));
    if (!entry) return std::unexpected(entry.error());
    if (!*entry) return fail(ErrorKind::NotFound, "no certificate was issued for " + name);
    state::Transaction transaction;
    transaction.expect(key_of(name), (*entry)->revision).remove(key_of(name));
    const auto committed = directory.commit(transaction);
    if (!committed) return std::unexpected(committed.error());
    return {};
}

std::vector<IssuedCertificate> issued_certificates(state::Store& directory) {
    std::vector<IssuedCertificate> found;
    const auto rows = directory.range(kPrefix, state::prefix_end(kPrefix), kMost);
    if (!rows) return found;
    for (const state::Entry& entry : *rows) {
        const json row = state::parse_json(entry.value);
        if (!row.is_object() || !row.contains("end") || !row["end"].is_number_integer()) continue;
        IssuedCertificate& one = found.emplace_back();
        one.name = entry.key.substr(kPrefix.size());
        one.end = WallTime(milliseconds(row["end"].get<std::int64_t>()));
        if (!row.contains("names") || !row["names"].is_array()) continue;
        for (const json& name : row["names"]) {
            if (name.is_string()) one.names.push_back(name.get<std::string>());
        }
    }
    return found;
}

}  // namespace muster::admin
