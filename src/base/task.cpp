#include "base/task.h"

#include <array>
#include <cstdlib>
#include <new>

namespace muster {
namespace {

constexpr std::size_t kClassBytes = 64;  // size classes of frames
constexpr std::size_t kClasses = 64;     // up to 4 KiB; larger frames use malloc
constexpr std::size_t kKeepPerClass = 256;

struct FreeFrame {
    FreeFrame* next;
};

struct FrameLists {
    std::array<FreeFrame*, kClasses> heads{};
    std::array<std::size_t, kClasses> lengths{};

    ~FrameLists() {
        for (FreeFrame* head : heads) {
            while (head != nullptr) std::free(std::exchange(head, head->next));
        }
    }
};

thread_local FrameLists frame_lists;

std::size_t class_of(std::size_t size) { return (size + kClassBytes - 1) / kClassBytes - 1; }

}  // namespace

void* allocate_frame(std::size_t size) {
    const std::size_t index = class_of(size);
    if (index < kClasses) {
        if (FreeFrame* frame = frame_lists.heads[index]) {
            frame_lists.heads[index] = frame->next;
            --frame_lists.lengths[index];
            return frame;
        }
        size = (index + 1) * kClassBytes;
    }
    void* memory = std::malloc(size);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}

void free_frame(void* frame, std::size_t size) noexcept {
    const std::size_t index = class_of(size);
    if (index >= kClasses || frame_lists.lengths[index] >= kKeepPerClass) {
        std::free(frame);
        return;
    }
    frame_lists.heads[index] = new (frame) FreeFrame{frame_lists.heads[index]};
    ++frame_lists.lengths[index];
}

void TaskGroup::spawn(Task<void> task) {
    ++running_;
    const auto handle = std::move(task).release();
    handle.promise().group = this;
    handle.resume();
}

void detail::spawned_task_ended(TaskGroup& group, const std::exception_ptr& exception) noexcept {
    if (exception) {
        try {
            std::rethrow_exception(exception);
        } catch (const std::exception& error) {
            bug(std::string("a spawned task let an exception out: ") + error.what(), __FILE__,
                __LINE__);
        } catch (...) {
            bug("a spawned task let an exception out", __FILE__, __LINE__);
        }
    }
    if (--group.running_ == 0 && group.waiter_) std::exchange(group.waiter_, nullptr).resume();
}

}  // namespace muster
