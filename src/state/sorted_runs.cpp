#include "state/sorted_runs.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <queue>
#include <utility>

namespace muster::state {
namespace {

std::unexpected<Error> system_failure(const std::filesystem::path& folder) {
    return fail(ErrorKind::Io, "no room for temporary files",
                "temporary file in " + folder.string() + ": " + std::strerror(errno));
}

}  // namespace

/// One sorted run: written once, then read from the beginning.
class SortedRuns::Run {
public:
    static Result<std::unique_ptr<Run>> create(const std::filesystem::path& folder) {
        std::string path = folder / "sort-XXXXXX";
        const int fd = ::mkostemp(path.data(), O_CLOEXEC);
        if (fd < 0) return system_failure(folder);
        ::unlink(path.c_str());
        auto run = std::make_unique<Run>();
        run->file_.reset(::fdopen(fd, "w+"));
        if (!run->file_) return system_failure(folder);
        std::setvbuf(run->file_.get(), nullptr, _IOFBF, std::size_t{256} << 10);
        return run;
    }

    bool write(std::string_view key, std::string_view value) {
        const std::array<std::uint32_t, 2> sizes{static_cast<std::uint32_t>(key.size()),
                                                 static_cast<std::uint32_t>(value.size())};
        return std::fwrite(sizes.data(), sizeof sizes, 1, file_.get()) == 1 && put(key) &&
               put(value);
    }
    bool rewind() { return std::fflush(file_.get()) == 0 && std::fseek(file_.get(), 0, 0) == 0; }

    /// False at the end, or when reading failed.
    bool next() {
        std::array<std::uint32_t, 2> sizes{};
        if (std::fread(sizes.data(), sizeof sizes, 1, file_.get()) != 1) return false;
        key_.resize(sizes[0]);
        value_.resize(sizes[1]);
        return fill(key_) && fill(value_);
    }
    [[nodiscard]] bool broken() const { return std::ferror(file_.get()) != 0; }
    [[nodiscard]] const std::string& key() const { return key_; }
    [[nodiscard]] const std::string& value() const { return value_; }

private:
    bool put(std::string_view text) {
        return text.empty() || std::fwrite(text.data(), text.size(), 1, file_.get()) == 1;
    }
    bool fill(std::string& text) {
        return text.empty() || std::fread(text.data(), text.size(), 1, file_.get()) == 1;
    }

    struct Close {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };
    std::unique_ptr<std::FILE, Close> file_;
    std::string key_;
    std::string value_;
};

SortedRuns::SortedRuns(std::filesystem::path folder, std::size_t memory)
    : folder_(std::move(folder)), memory_(memory) {}

SortedRuns::~SortedRuns() = default;

Result<> SortedRuns::add(std::string_view key, std::string_view value) {
    if (!rows_.empty() && bytes_.size() + rows_.size() * sizeof(Row) >= memory_) {
        if (auto done = spill(); !done) return done;
    }
    if (!rows_.empty() && key < key_of(rows_.back())) ascending_ = false;
    rows_.push_back({bytes_.size(), static_cast<std::uint32_t>(key.size()),
                     static_cast<std::uint32_t>(value.size())});
    bytes_.append(key).append(value);
    ++size_;
    return {};
}

std::string_view SortedRuns::key_of(const Row& row) const {
    return std::string_view(bytes_).substr(row.offset, row.key);
}

void SortedRuns::sort() {
    if (ascending_) return;
    std::ranges::sort(rows_, [this](const Row& a, const Row& b) {
        const int order = key_of(a).compare(key_of(b));
        return order < 0 || (order == 0 && a.offset < b.offset);
    });
}

Result<> SortedRuns::spill() {
    auto run = Run::create(folder_);
    if (!run) return std::unexpected(run.error());
    sort();
    for (const Row& row : rows_) {
        const auto value = std::string_view(bytes_).substr(row.offset + row.key, row.value);
        if (!(*run)->write(key_of(row), value)) return system_failure(folder_);
    }
    if (!(*run)->rewind()) return system_failure(folder_);
    runs_.push_back(std::move(*run));
    rows_.clear();
    bytes_.clear();
    ascending_ = true;
    return {};
}

Result<> SortedRuns::merge(const Take& take) {
    if (runs_.empty()) {
        sort();
        for (const Row& row : rows_) {
            const auto value = std::string_view(bytes_).substr(row.offset + row.key, row.value);
            if (auto done = take(key_of(row), value); !done) return done;
        }
        return {};
    }
    if (auto done = spill(); !done) return done;
    const auto later = [this](std::size_t a, std::size_t b) {
        const int order = runs_[a]->key().compare(runs_[b]->key());
        return order > 0 || (order == 0 && a > b);
    };
    std::priority_queue<std::size_t, std::vector<std::size_t>, decltype(later)> heads(later);
    for (std::size_t i = 0; i < runs_.size(); ++i) {
        if (runs_[i]->next()) heads.push(i);
    }
    while (!heads.empty()) {
        const std::size_t i = heads.top();
        heads.pop();
        if (auto done = take(runs_[i]->key(), runs_[i]->value()); !done) return done;
        if (runs_[i]->next()) heads.push(i);
        if (runs_[i]->broken()) return system_failure(folder_);
    }
    return {};
}

}  // namespace muster::state
