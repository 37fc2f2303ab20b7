#include <algorithm>
#include <array>
#include <cstdio>

#include "state/feed.h"
#include "state/json_text.h"

namespace muster::state {
namespace {

constexpr std::size_t kStreamLimit = 2'000;

void append_entry(std::string& out, std::string_view key, std::string_view value,
                  Revision revision) {
    out += R"({"key":)";
    append_json_string(out, key);
    out.append(R"(,"value":)").append(value);
    out.append(R"(,"revision":)").append(std::to_string(revision)).append("}\n");
}

void append_tombstone(std::string& out, std::string_view key, Revision revision) {
    out += R"({"key":)";
    append_json_string(out, key);
    out.append(R"(,"deleted":true,"revision":)").append(std::to_string(revision)).append("}\n");
}

void append_digest(std::string& out, const RangeDigest& digest, std::string_view to) {
    std::array<char, 24> hex{};
    std::snprintf(hex.data(), hex.size(), "%016llx",
                  static_cast<unsigned long long>(digest.value()));
    out.append(R"({"digest":")").append(hex.data());
    out.append(R"(","count":)").append(std::to_string(digest.count())).append(R"(,"to":)");
    append_json_string(out, to);
    out += "}\n";
}

void append_terms(std::string& out, const std::vector<Term>& terms) {
    out += R"({"terms":[)";
    for (const Term& term : terms) {
        if (out.back() != '[') out += ',';
        out += '[' + std::to_string(term.number) + ',' + std::to_string(term.first) + ']';
    }
    out += "]}\n";
}

void append_next(std::string& out, std::string_view key) {
    out += R"({"next":)";
    append_json_string(out, key);
    out += "}\n";
}

/// `as_of` is 0 where more is to come.
void append_mark(std::string& out, const Cursor& cursor, std::chrono::milliseconds as_of) {
    out.append(R"({"cursor":")").append(format(cursor));
    out.append(R"(","time":)").append(std::to_string(as_of.count())).append("}\n");
}

std::size_t within_limits(std::size_t limit) {
    return std::clamp(limit, std::size_t{1}, kFeedPageLimit);
}

/// One that holds something or is the last: where a read ended among entries that the reader may
/// not see, it goes on here, since `next` would name one.
Result<Page> read_page(Store& store, const FeedView& view, std::string_view from,
                       std::string_view to, std::size_t limit) {
    auto page = store.page(from, to, within_limits(limit), view.sight);
    while (page && page->entries.empty() && !page->next.empty()) {
        const std::string next = std::move(page->next);
        page = store.page(next, to, within_limits(limit), view.sight);
    }
    if (!page || !view.rewrite) return page;
    for (Entry& entry : page->entries) view.rewrite(entry.key, entry.value);
    return page;
}

}  // namespace

Result<std::string> copy_page(Store& store, const FeedView& view, std::string_view from,
                              std::string_view to, std::size_t limit) {
    const auto page = read_page(store, view, from, to, limit);
    if (!page) return std::unexpected(page.error());
    std::string out;
    for (const Entry& entry : page->entries) {
        append_entry(out, entry.key, entry.value, entry.revision);
    }
    if (!page->next.empty()) append_next(out, page->next);
    append_mark(out, page->head, store.as_of());
    return out;
}

Result<std::string> digest_page(Store& store, const FeedView& view, std::string_view from,
                                std::size_t limit) {
    const auto page = read_page(store, view, from, "", limit);
    if (!page) return std::unexpected(page.error());
    std::string out;
    RangeDigest digest;
    for (const Entry& entry : page->entries) {
        digest.add(entry.key, entry.value, entry.revision);
        if (digest.count() < kDigestRange && &entry != &page->entries.back()) continue;
        append_digest(out, digest, entry.key);
        digest = {};
    }
    if (!page->next.empty()) append_next(out, page->next);
    append_mark(out, page->head, store.as_of());
    return out;
}

ChangeStream::ChangeStream(Store& store, FeedView view, Cursor since)
    : store_(store), view_(std::move(view)), position_(std::move(since)) {}

Result<std::string> ChangeStream::next() {
    std::string out;
    auto batch = store_.changes(position_, kStreamLimit, view_.sight);
    if (!batch) return std::unexpected(batch.error());
    more_ = batch->more;
    if (batch->standing != Standing::Shared) {
        over_ = true;
        out.append(R"({"error":")").append(name(batch->standing)).append("\"}\n");
        return out;
    }
    const auto terms = store_.history().terms;
    if (terms != terms_) append_terms(out, terms);
    terms_ = terms;
    for (Change& change : batch->changes) {
        if (change.value && view_.rewrite) view_.rewrite(change.key, *change.value);
        if (change.value) {
            append_entry(out, change.key, *change.value, change.revision);
        } else {
            append_tombstone(out, change.key, change.revision);
        }
    }
    position_ = batch->next;
    append_mark(out, position_, more_ ? std::chrono::milliseconds{} : store_.as_of());
    return out;
}

std::string percent_encode(std::string_view text) {
    static constexpr std::string_view kHex = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || std::string_view("-._~").contains(c);
        if (plain) {
            out += c;
        } else {
            const auto byte = static_cast<unsigned char>(c);
            out.append(1, '%').append(1, kHex[byte >> 4]).append(1, kHex[byte & 15]);
        }
    }
    return out;
}

void RangeDigest::mix(std::string_view bytes) {
    for (const char c : bytes) {  // FNV-1a, 64 bits
        state_ ^= static_cast<unsigned char>(c);
        state_ *= 0x100000001b3;
    }
}

void RangeDigest::add(std::string_view key, std::string_view value, Revision revision) {
    mix(key);
    mix(std::string_view("\0", 1));
    mix(value);
    mix(std::string_view("\0", 1));
    mix(std::to_string(revision));
    mix(std::string_view("\0", 1));
    ++count_;
}

}  // namespace muster::state
