#include "queue/queue_id.h"

#include <array>
#include <random>
#include <string>

#include "queue/derived_id.h"

namespace muster::queue {
namespace {

constexpr std::string_view kDigits = "0123456789abcdefghjkmnpqrstvwxyz";  // Crockford's base32
constexpr std::size_t kTimeLength = 10;
constexpr std::size_t kNodeLength = 4;
constexpr std::uint64_t kCounterMask = (std::uint64_t{1} << 30) - 1;

constexpr std::array<std::int8_t, 256> kValues = [] {
    std::array<std::int8_t, 256> values{};
    values.fill(-1);
    for (std::size_t i = 0; i < kDigits.size(); ++i) {
        values[static_cast<unsigned char>(kDigits[i])] = static_cast<std::int8_t>(i);
    }
    return values;
}();

void put(char* out, std::size_t length, std::uint64_t value) {
    for (std::size_t i = length; i-- > 0; value >>= 5) out[i] = kDigits[value & 31];
}

std::uint64_t number_in(std::string_view digits) {
    std::uint64_t value = 0;
    for (const char c : digits) {
        value = value << 5 | static_cast<std::uint64_t>(kValues[static_cast<unsigned char>(c)]);
    }
    return value;
}

/// FNV-1a.
std::uint64_t hash_of(std::string_view text) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return hash;
}

/// Folded to the 20 bits that stand in an id.
std::uint64_t node_number(std::string_view name) {
    const std::uint64_t hash = hash_of(name);
    return (hash ^ hash >> 20 ^ hash >> 40) & 0xfffff;
}

}  // namespace

QueueIds::QueueIds(const NodeName& node)
    : node_(node_number(node.view())),
      first_(std::random_device{}() & kCounterMask),
      began_(now()),
      counter_(0) {}

QueueId QueueIds::next(Time time) {
    std::array<char, kQueueIdLength> text{};
    put(text.data(), kTimeLength, static_cast<std::uint64_t>(time.time_since_epoch().count()));
    put(text.data() + kTimeLength, kNodeLength, node_);
    put(text.data() + kTimeLength + kNodeLength, kQueueIdLength - kTimeLength - kNodeLength,
        first_ + counter_.fetch_add(1, std::memory_order_relaxed));
    return QueueId(std::string_view(text.data(), text.size()));
}

QueueId derived_id(const QueueId& of, std::string_view what) {
    const std::uint64_t hash = hash_of(of.text + std::string(what));
    std::string text = of.text;
    put(text.data() + kTimeLength + kNodeLength, kQueueIdLength - kTimeLength - kNodeLength,
        (hash ^ hash >> 30) & kCounterMask);
    if (text == of.text) text.back() = text.back() == kDigits[0] ? kDigits[1] : kDigits[0];
    return QueueId(std::move(text));
}

bool QueueIds::gave(const QueueId& id) const {
    if (!is_queue_id(id.view()) || time_of(id) < began_) return false;
    if (number_in(id.view().substr(kTimeLength, kNodeLength)) != node_) return false;
    const std::uint64_t count = number_in(id.view().substr(kTimeLength + kNodeLength));
    return ((count - first_) & kCounterMask) < counter_.load(std::memory_order_relaxed);
}

bool is_queue_id(std::string_view text) {
    if (text.size() != kQueueIdLength) return false;
    for (const char c : text) {
        if (kValues[static_cast<unsigned char>(c)] < 0) return false;
    }
    return true;
}

Result<QueueId> parse_queue_id(std::string_view text) {
    if (!is_queue_id(text)) return fail(ErrorKind::Syntax, "not a queue id");
    return QueueId(text);
}

Time time_of(const QueueId& id) {
    return Time(std::chrono::milliseconds(number_in(id.view().substr(0, kTimeLength))));
}

QueueId first_id_at(Time time) {
    std::string text(kQueueIdLength, kDigits[0]);
    put(text.data(), kTimeLength, static_cast<std::uint64_t>(time.time_since_epoch().count()));
    return QueueId(std::move(text));
}

}  // namespace muster::queue
