#include "base/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <deque>
#include <mutex>

#include "base/error.h"

namespace muster::metrics {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

std::size_t shard_of_this_thread(std::size_t shards) {
    static std::atomic<std::size_t> next{0};
    thread_local const std::size_t mine = next.fetch_add(1, std::memory_order_relaxed);
    return mine % shards;
}

template <typename Metric>
struct Labelled {
    Labels labels;
    std::unique_ptr<Metric> metric;
};

struct Family {
    std::string help;
    MetricType type;
    std::deque<Labelled<Counter>> counters;
    std::deque<Labelled<Gauge>> gauges;
    std::deque<Labelled<Histogram>> histograms;
    std::function<double()> probe;
};

struct Registry {
    std::mutex mutex;
    std::map<std::string, Family> families;
};

Registry& registry() {
    static auto* const instance = new Registry;  // outlives every thread that still counts
    return *instance;
}

Family& family(Registry& in, const std::string& name, const std::string& help, MetricType type) {
    auto [found, fresh] = in.families.try_emplace(name);
    if (fresh) {
        found->second.help = help;
        found->second.type = type;
    }
    MUSTER_CHECK(found->second.type == type);
    return found->second;
}

template <typename Metric, typename... Arguments>
Metric& labelled(std::deque<Labelled<Metric>>& among, const Labels& labels,
                 Arguments&&... arguments) {
    for (Labelled<Metric>& one : among) {
        if (one.labels == labels) return *one.metric;
    }
    among.push_back({labels, std::make_unique<Metric>(std::forward<Arguments>(arguments)...)});
    return *among.back().metric;
}

ClientMetric with_labels(const Labels& labels) {
    ClientMetric metric;
    for (const auto& [name, value] : labels) metric.label.push_back({name, value});
    return metric;
}

ClientMetric snapshot(const Labelled<Histogram>& one) {
    ClientMetric metric = with_labels(one.labels);
    const auto bounds = one.metric->bounds();
    std::uint64_t below = 0;
    for (std::size_t i = 0; i <= bounds.size(); ++i) {
        below += one.metric->count(i);
        const double bound =
            i < bounds.size() ? bounds[i] : std::numeric_limits<double>::infinity();
        metric.histogram.bucket.push_back({below, bound});
    }
    metric.histogram.sample_count = below;
    metric.histogram.sample_sum = one.metric->sum();
    return metric;
}

MetricFamily snapshot(const std::string& name, const Family& from) {
    MetricFamily into;
    into.name = name;
    into.help = from.help;
    into.type = from.type;
    for (const auto& one : from.counters) {
        into.metric.push_back(with_labels(one.labels));
        into.metric.back().counter.value = static_cast<double>(one.metric->value());
    }
    for (const auto& one : from.gauges) {
        into.metric.push_back(with_labels(one.labels));
        into.metric.back().gauge.value = one.metric->value();
    }
    for (const auto& one : from.histograms) into.metric.push_back(snapshot(one));
    if (from.probe) {
        into.metric.emplace_back();
        into.metric.back().gauge.value = from.probe();
    }
    return into;
}

constexpr double kMillion = 1e6;
constexpr std::array kLatencyBounds{0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                    0.05,    0.1,    0.25,  0.5,    1.0,   2.5,  10.0};

}  // namespace

void Counter::add(std::uint64_t amount) noexcept {
    shards_[shard_of_this_thread(kShards)].value.fetch_add(amount, std::memory_order_relaxed);
}

std::uint64_t Counter::value() const noexcept {
    std::uint64_t total = 0;
    for (const Shard& shard : shards_) total += shard.value.load(std::memory_order_relaxed);
    return total;
}

Histogram::Histogram(std::span<const double> bounds)
    : bounds_(bounds.begin(), bounds.end()), buckets_(bounds.size() + 1) {}

void Histogram::observe(double value) noexcept {
    const auto bucket = std::ranges::lower_bound(bounds_, value) - bounds_.begin();
    buckets_[static_cast<std::size_t>(bucket)].add();
    if (value > 0) micros_.add(static_cast<std::uint64_t>(value * kMillion));
}

std::uint64_t Histogram::count(std::size_t index) const { return buckets_.at(index).value(); }
double Histogram::sum() const { return static_cast<double>(micros_.value()) / kMillion; }

std::span<const double> latency_bounds() { return kLatencyBounds; }

Counter& counter(const std::string& name, const std::string& help, const Labels& labels) {
    Registry& in = registry();
    const std::scoped_lock lock(in.mutex);
    return labelled(family(in, name, help, MetricType::Counter).counters, labels);
}

Gauge& gauge(const std::string& name, const std::string& help, const Labels& labels) {
    Registry& in = registry();
    const std::scoped_lock lock(in.mutex);
    return labelled(family(in, name, help, MetricType::Gauge).gauges, labels);
}

Histogram& histogram(const std::string& name, const std::string& help, const Labels& labels,
                     std::span<const double> bounds) {
    Registry& in = registry();
    const std::scoped_lock lock(in.mutex);
    return labelled(family(in, name, help, MetricType::Histogram).histograms, labels, bounds);
}

void probe(const std::string& name, const std::string& help, std::function<double()> read) {
    Registry& in = registry();
    const std::scoped_lock lock(in.mutex);
    family(in, name, help, MetricType::Gauge).probe = std::move(read);
}

void forget(const std::string& name) {
    Registry& in = registry();
    const std::scoped_lock lock(in.mutex);
    in.families.erase(name);
}

void forget_gauge(const std::string& name, const Labels& labels) {
    Registry& in = registry();
    const std::scoped_lock lock(in.mutex);
    const auto found = in.families.find(name);
    if (found == in.families.end()) return;
    std::erase_if(found->second.gauges,
                  [&labels](const auto& one) { return one.labels == labels; });
    if (found->second.gauges.empty()) in.families.erase(found);
}

std::string exposition() {
    std::vector<MetricFamily> families;
    Registry& in = registry();
    {
        const std::scoped_lock lock(in.mutex);
        for (const auto& [name, one] : in.families) families.push_back(snapshot(name, one));
    }
    return prometheus::TextSerializer().Serialize(families);
}

}  // namespace muster::metrics
