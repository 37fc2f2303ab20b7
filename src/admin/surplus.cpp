#include "admin/surplus.h"

#include <nlohmann/json.hpp>

#include <filesystem>

#include "admin/files.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;

constexpr std::size_t kPage = 5'000;
constexpr std::string_view kPrefix = "surplus-";

/// The last position of this history that is not after `shared`, or the oldest the log knows.
Result<state::ChangeBatch> first_batch(state::Store& store, state::Cursor& since, bool& is_whole) {
    auto batch = store.changes(since, kPage, state::Scope::All);
    if (!batch || batch->standing == state::Standing::Shared) return batch;
    is_whole = false;
    // The log begins later: what it has is better than nothing.
    const state::History history = store.history();
    for (const state::Term& term : history.terms) {
        if (term.first <= since.revision || term.first == 0) continue;
        since = state::History{history.incarnation, history.terms, term.first}.cursor();
        batch = store.changes(since, kPage, state::Scope::All);
        if (!batch || batch->standing == state::Standing::Shared) return batch;
    }
    return batch;
}

}  // namespace

Result<std::string> keep_surplus(state::Store& store, Revision shared, const std::string& leader,
                                 const std::string& folder) {
    const state::History history = store.history();
    if (history.head <= shared) return std::string();
    state::Cursor since = state::History{history.incarnation, history.terms, shared}.cursor();
    bool is_whole = true;
    json changes = json::array();
    auto batch = first_batch(store, since, is_whole);
    while (true) {
        if (!batch) return std::unexpected(batch.error());
        for (const state::Change& change : batch->changes) {
            json one{{"key", change.key}, {"revision", change.revision}};
            one["value"] = change.value ? state::parse_json(*change.value) : json();
            changes.push_back(std::move(one));
        }
        if (!batch->more) break;
        since = batch->next;
        batch = store.changes(since, kPage, state::Scope::All);
    }
    if (changes.empty() && is_whole) return std::string();
    const json whole{{"leader", leader},
                     {"shared_up_to", shared},
                     {"up_to", state::format(history.cursor())},
                     {"complete", is_whole},
                     {"changes", std::move(changes)}};
    std::string path = folder + "/" + std::string(kPrefix) + std::to_string(history.cursor().term) +
                       "-" + std::to_string(history.head) + ".json";
    if (auto written = write_file(path, state::json_line(whole) + "\n", 0600); !written) {
        return std::unexpected(written.error());
    }
    return path;
}

std::vector<std::string> surplus_files(const std::string& folder) {
    std::vector<std::string> files;
    std::error_code error;
    for (const auto& file : std::filesystem::directory_iterator(folder, error)) {
        const std::string name = file.path().filename().string();
        if (name.starts_with(kPrefix) && name.ends_with(".json")) files.push_back(file.path());
    }
    return files;
}

}  // namespace muster::admin
