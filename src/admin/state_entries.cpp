#include "admin/state_entries.h"

#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;

constexpr std::size_t kPage = 5'000;

template <typename Use>
Result<> for_each_entry(state::Store& store, std::string_view prefix, Use use) {
    std::string from(prefix);
    const std::string end = state::prefix_end(prefix);
    for (;;) {
        const auto page = store.range(from, end, kPage);
        if (!page) return std::unexpected(page.error());
        for (const state::Entry& entry : *page) {
            if (auto used = use(entry); !used) return used;
        }
        if (page->size() < kPage) return {};
        from = state::after(page->back().key);
    }
}

}  // namespace

Result<StoredEntries> load_entries(state::Store& store,
                                   const std::set<std::string_view>& sections) {
    StoredEntries stored;
    for (const DeclaredSection& section : declared_sections()) {
        if (!sections.contains(section.name)) continue;
        auto loaded = for_each_entry(store, section.prefix, [&stored](const auto& entry) {
            stored.entries.emplace(entry.key, state::parse_json(entry.value));
            stored.revisions.emplace(entry.key, entry.revision);
            return Result<>{};
        });
        if (!loaded) return std::unexpected(loaded.error());
    }
    return stored;
}

Result<> export_entries(state::Store& store, bool with_keys, const DeclarationWriter::Sink& sink) {
    DeclarationWriter writer(sink);
    for (const DeclaredSection& section : declared_sections()) {
        if (section.secret && !with_keys) continue;
        if (auto begun = writer.begin_section(section); !begun) return begun;
        auto written =
            for_each_entry(store, section.prefix, [&](const state::Entry& entry) -> Result<> {
                return writer.object(std::string_view(entry.key).substr(section.prefix.size()),
                                     entry.value);
            });
        if (!written) return written;
    }
    return writer.finish();
}

Result<Revision> carry_out(state::Store& store, const std::vector<Step>& steps,
                           const std::map<std::string, Revision>& revisions, Revision head) {
    const bool alone = std::ranges::any_of(steps, [](const Step& step) {
        const std::string& key = step.key;
        return step.kind == Step::Kind::Delete &&
               (key.starts_with("domain/") || key.starts_with("server/") ||
                key.starts_with("node/"));
    });
    Revision last = head;
    for (std::size_t begin = 0; begin < steps.size(); begin += state::kMaxTransaction) {
        state::Transaction transaction;
        if (alone) transaction.expect_head(last);
        const std::size_t end = std::min(steps.size(), begin + state::kMaxTransaction);
        for (std::size_t i = begin; i < end; ++i) {
            const Step& step = steps[i];
            const auto known = revisions.find(step.key);
            transaction.expect(step.key, known == revisions.end() ? 0 : known->second);
            if (step.after.is_null()) {
                transaction.remove(step.key);
            } else {
                transaction.put(step.key, state::json_line(step.after));
            }
        }
        const auto committed = store.commit(transaction);
        if (!committed) {
            Error error = committed.error();
            error.detail += "; " + std::to_string(begin) + " of " + std::to_string(steps.size()) +
                            " steps were done";
            return std::unexpected(std::move(error));
        }
        last = *committed;
    }
    return last;
}

}  // namespace muster::admin
