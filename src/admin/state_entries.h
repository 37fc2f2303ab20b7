#pragma once
// The store's entries for export, comparison and change. Blocking; masters only.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "admin/declaration.h"
#include "state/store.h"

namespace muster::admin {

struct StoredEntries {
    Entries entries;
    std::map<std::string, Revision> revisions;
};

/// All entries of these sections (by name).
Result<StoredEntries> load_entries(state::Store& store, const std::set<std::string_view>& sections);
/// Writes the whole declaration, page by page. Secret sections only when asked.
Result<> export_entries(state::Store& store, bool with_keys, const DeclarationWriter::Sink& sink);
/// Carries the steps out, each on the condition that its entry is still as planned: in one
/// transaction, or when there are more than a transaction takes, in several. Returns the last
/// revision. Steps that take away what others may have come to refer to (domains, servers, nodes)
/// need the whole state to be as it was at `head`, by which they were planned. Conflict: the state
/// has changed meanwhile; `detail` says how much was done.
Result<Revision> carry_out(state::Store& store, const std::vector<Step>& steps,
                           const std::map<std::string, Revision>& revisions, Revision head);

}  // namespace muster::admin
