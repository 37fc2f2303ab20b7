#pragma once
// A binary heap of objects that know their place in it, so that any of them can be moved.

#include <cstdint>
#include <utility>
#include <vector>

namespace muster::queue {

/// `T` has `when` (compared with <) and `std::uint32_t place`, which is kOut while it is not in the
/// heap. The heap owns nothing.
template <typename T>
class DueHeap {
public:
    static constexpr std::uint32_t kOut = ~std::uint32_t{0};

    [[nodiscard]] bool empty() const { return items_.empty(); }
    [[nodiscard]] std::size_t size() const { return items_.size(); }
    [[nodiscard]] T* top() const { return items_.front(); }

    /// Puts it in, or to where it belongs after `when` has changed.
    void put(T& item) {
        if (item.place == kOut) {
            item.place = static_cast<std::uint32_t>(items_.size());
            items_.push_back(&item);
        }
        down(up(item.place));
    }
    void take_out(T& item) {
        if (item.place == kOut) return;
        const std::uint32_t place = std::exchange(item.place, kOut);
        T* const last = items_.back();
        items_.pop_back();
        if (last == &item) return;
        set(place, last);
        down(up(place));
    }

private:
    void set(std::uint32_t place, T* item) {
        items_[place] = item;
        item->place = place;
    }
    std::uint32_t up(std::uint32_t place) {
        T* const item = items_[place];
        while (place > 0) {
            const std::uint32_t parent = (place - 1) / 2;
            if (!(item->when < items_[parent]->when)) break;
            set(place, items_[parent]);
            place = parent;
        }
        set(place, item);
        return place;
    }
    void down(std::uint32_t place) {
        T* const item = items_[place];
        const auto count = static_cast<std::uint32_t>(items_.size());
        for (;;) {
            std::uint32_t child = 2 * place + 1;
            if (child >= count) break;
            if (child + 1 < count && items_[child + 1]->when < items_[child]->when) ++child;
            if (!(items_[child]->when < item->when)) break;
            set(place, items_[child]);
            place = child;
        }
        set(place, item);
    }

    std::vector<T*> items_;
};

}  // namespace muster::queue
