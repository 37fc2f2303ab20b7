#pragma once
// Sorting more rows than fit into memory: sorted runs in temporary files, merged when read.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace muster::state {

/// Rows come out in key order; rows with the same key in the order in which they were added. The
/// files have no name and vanish with the object. One thread.
class SortedRuns {
public:
    SortedRuns(std::filesystem::path folder, std::size_t memory);
    ~SortedRuns();

    Result<> add(std::string_view key, std::string_view value);
    [[nodiscard]] std::uint64_t size() const { return size_; }

    /// Calls `take` for each row and stops at its first error, which it returns. Once only.
    using Take = std::function<Result<>(std::string_view key, std::string_view value)>;
    Result<> merge(const Take& take);

private:
    struct Row {
        std::size_t offset;
        std::uint32_t key;
        std::uint32_t value;
    };
    class Run;

    [[nodiscard]] std::string_view key_of(const Row& row) const;
    void sort();
    Result<> spill();

    std::filesystem::path folder_;
    std::size_t memory_;
    std::uint64_t size_ = 0;
    bool ascending_ = true;
    std::string bytes_;
    std::vector<Row> rows_;
    std::vector<std::unique_ptr<Run>> runs_;
};

}  // namespace muster::state
