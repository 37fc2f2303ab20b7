#include "state/store.h"

#include <utility>

#include "state/json_text.h"

namespace muster::state {

Transaction& Transaction::expect(std::string key, Revision revision) {
    conditions.push_back({std::move(key), revision});
    return *this;
}

Transaction& Transaction::expect_head(Revision revision) {
    head = revision;
    return *this;
}

Transaction& Transaction::put(std::string key, std::string value) {
    writes.push_back({std::move(key), std::move(value)});
    return *this;
}

Transaction& Transaction::remove(std::string key) {
    writes.push_back({std::move(key), std::nullopt});
    return *this;
}

std::chrono::milliseconds Store::as_of() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::system_clock::now().time_since_epoch());
}

std::string prefix_end(std::string_view prefix) {
    std::string end(prefix);
    while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xFF) end.pop_back();
    if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
    return end;
}

std::string after(std::string_view key) {
    std::string next(key);
    next += '\x01';  // below every byte a key may hold
    return next;
}

Result<> check_key(std::string_view key) {
    if (key.empty()) return fail(ErrorKind::Syntax, "an empty key");
    if (key.size() > kMaxKey) return fail(ErrorKind::Limit, "a key of more than 1024 bytes");
    for (std::size_t at = 0; at < key.size();) {
        const std::size_t length = utf8_length(key.substr(at));
        const auto byte = static_cast<unsigned char>(key[at]);
        if (length == 0 || byte < 0x20 || byte == 0x7F) {
            return fail(ErrorKind::Syntax, "a key that is not printable UTF-8");
        }
        at += length;
    }
    return {};
}

Result<> check_value(std::string_view value) {
    if (value.size() > kMaxValue) return fail(ErrorKind::Limit, "a value of more than 256 KiB");
    if (value.empty() || json_length(value) != value.size()) {
        return fail(ErrorKind::Syntax, "a value that is not one line of JSON");
    }
    return {};
}

}  // namespace muster::state
