#pragma once
// Counters, gauges and histograms of the process, exposed in Prometheus' text format.
//
// Registering takes a lock and returns a reference that is good for the life of the process: do it
// once and keep the reference. Counting takes no lock: every thread has its own cache line.

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace muster::metrics {

using Labels = std::vector<std::pair<std::string, std::string>>;

/// A number that only grows, spread over cache lines so that threads do not meet.
class Counter {
public:
    void add(std::uint64_t amount = 1) noexcept;
    [[nodiscard]] std::uint64_t value() const noexcept;

private:
    static constexpr std::size_t kShards = 16;
    struct alignas(64) Shard {
        std::atomic<std::uint64_t> value{0};
    };
    std::array<Shard, kShards> shards_;
};

class Gauge {
public:
    void set(double value) noexcept { value_.store(value, std::memory_order_relaxed); }
    void add(double amount) noexcept { value_.fetch_add(amount, std::memory_order_relaxed); }
    [[nodiscard]] double value() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<double> value_{0};
};

/// Counts observations by upper bounds; a last bucket without bound is always there.
class Histogram {
public:
    explicit Histogram(std::span<const double> bounds);
    void observe(double value) noexcept;
    [[nodiscard]] std::span<const double> bounds() const { return bounds_; }
    /// Observations in bucket `index` alone, not those below it.
    [[nodiscard]] std::uint64_t count(std::size_t index) const;
    [[nodiscard]] double sum() const;

private:
    std::vector<double> bounds_;
    std::vector<Counter> buckets_;
    Counter micros_;  // the sum in millionths, so that it can be a Counter
};

/// Seconds, from a quarter of a millisecond to ten seconds.
std::span<const double> latency_bounds();

/// The metric of that name and labels, made when it is asked for first. A name has one help text
/// and one type; asking for it as another type is a bug.
Counter& counter(const std::string& name, const std::string& help, const Labels& labels = {});
Gauge& gauge(const std::string& name, const std::string& help, const Labels& labels = {});
Histogram& histogram(const std::string& name, const std::string& help, const Labels& labels = {},
                     std::span<const double> bounds = latency_bounds());
/// A gauge that is asked for its value whenever the metrics are read. `read` is called on any
/// thread and must stay callable until `forget(name)`.
void probe(const std::string& name, const std::string& help, std::function<double()> read);
void forget(const std::string& name);
/// Removes one gauge of a name. Only for a gauge whose reference nobody keeps.
void forget_gauge(const std::string& name, const Labels& labels);

/// All metrics of the process (text format 0.0.4).
std::string exposition();

}  // namespace muster::metrics
