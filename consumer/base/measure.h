/* Counters, gauges and histograms that one thread writes and any thread reads.
 *
 * Relaxed atomics with a single writer: a plain load and store on the hot path, no lock prefix. A reader sees every value whole, and may see
 * two values from moments apart. */
#ifndef JOBHOOK_BASE_MEASURE_H
#define JOBHOOK_BASE_MEASURE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct counter {
    _Atomic uint64_t value;
};

static inline void counter_add(struct counter *counter, uint64_t more)
{
    uint64_t value = atomic_load_explicit(&counter->value, memory_order_relaxed);
    atomic_store_explicit(&counter->value, value + more, memory_order_relaxed);
}

static inline uint64_t counter_read(const struct counter *counter)
{
    return atomic_load_explicit(&counter->value, memory_order_relaxed);
}

struct gauge {
    _Atomic int64_t value;
};

static inline void gauge_set(struct gauge *gauge, int64_t value)
{
    atomic_store_explicit(&gauge->value, value, memory_order_relaxed);
}

static inline int64_t gauge_read(const struct gauge *gauge)
{
    return atomic_load_explicit(&gauge->value, memory_order_relaxed);
}

/* Bucket k counts observations of at most histogram_bounds_us[k]; the last one everything above. Not cumulative in memory, cumulative when shown. */
#define HISTOGRAM_BOUNDS 18
extern const uint64_t histogram_bounds_us[HISTOGRAM_BOUNDS]; /* 100 µs … 60 s and beyond; one scale for all */

struct histogram {
    struct counter buckets[HISTOGRAM_BOUNDS + 1];
    struct counter sum_us;
};

void histogram_observe_us(struct histogram *histogram, uint64_t us);

#endif
