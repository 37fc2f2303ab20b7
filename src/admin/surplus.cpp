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

std::string line_of(const state::Change& change) {
    json one{{"key", change.key}, {"revision", change.revision}};
    one["value"] = change.value ? state::parse_json(*change.value) : json();
    return state::json_line(one);
}

}  // namespace

Result<std::string> keep_surplus(state::Store& store, Revision shared, const std::string& leader,
                                 const std::string& folder) {
    const state::History history = store.history();
    if (history.head <= shared) return std::string();
    state::Cursor since = state::History{history.incarnation, history.terms, shared}.cursor();
    bool is_whole = true;
    auto batch = first_batch(store, since, is_whole);
    if (!batch) return std::unexpected(batch.error());
    if (batch->changes.empty() && !batch->more && is_whole) return std::string();
    std::string path = folder + "/" + std::string(kPrefix) + std::to_string(history.cursor().term) +
                       "-" + std::to_string(history.head) + ".json";
    auto file = WholeFile::create(path, 0600);
    if (!file) return std::unexpected(file.error());
    std::string head = state::json_line({{"leader", leader},
                                         {"shared_up_to", shared},
                                         {"up_to", state::format(history.cursor())},
                                         {"complete", is_whole}});
    head.pop_back();
    if (auto done = file->write(head + ",\"changes\":["); !done)
        return std::unexpected(done.error());
    // It may be all of a long log: no more than a page is held.
    const char* between = "\n";
    while (true) {
        for (const state::Change& change : batch->changes) {
            if (auto done = file->write(between + line_of(change)); !done) {
                return std::unexpected(done.error());
            }
            between = ",\n";
        }
        if (!batch->more) break;
        since = batch->next;
        batch = store.changes(since, kPage, state::Scope::All);
        if (!batch) return std::unexpected(batch.error());
    }
    auto done = file->write("]}\n");
    if (done) done = file->finish();
    if (!done) return std::unexpected(done.error());
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
