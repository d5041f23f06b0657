#include "consumer/base/check.h"
#include "consumer/base/measure.h"

#include <criterion/criterion.h>

Test(measure, counters_add_and_gauges_keep_the_last_value)
{
    struct counter counter = { 0 };
    struct gauge gauge = { 0 };
    counter_add(&counter, 2);
    counter_add(&counter, 3);
    gauge_set(&gauge, 7);
    gauge_set(&gauge, -1);
    cr_assert_eq(counter_read(&counter), 5);
    cr_assert_eq(gauge_read(&gauge), -1);
}

Test(measure, bounds_rise_from_100_us_to_60_s)
{
    cr_assert_eq(histogram_bounds_us[0], 100);
    cr_assert_eq(histogram_bounds_us[HISTOGRAM_BOUNDS - 1], 60 * 1000 * 1000);
    for (size_t i = 1; i < HISTOGRAM_BOUNDS; i++)
        cr_assert_gt(histogram_bounds_us[i], histogram_bounds_us[i - 1]);
}

Test(measure, an_observation_falls_into_the_first_bucket_that_covers_it)
{
    for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
        struct histogram histogram = { 0 };
        histogram_observe_us(&histogram, histogram_bounds_us[i]);
        histogram_observe_us(&histogram, histogram_bounds_us[i] + 1);
        cr_assert_eq(counter_read(&histogram.buckets[i]), 1, "bound %zu", i);
        cr_assert_eq(counter_read(&histogram.buckets[i + 1]), 1, "bound %zu", i);
        cr_assert_eq(counter_read(&histogram.sum_us), 2 * histogram_bounds_us[i] + 1);
    }
}

Test(measure, the_ends_of_the_scale_take_everything)
{
    struct histogram histogram = { 0 };
    histogram_observe_us(&histogram, 0);
    histogram_observe_us(&histogram, UINT64_C(1) << 60);
    cr_assert_eq(counter_read(&histogram.buckets[0]), 1);
    cr_assert_eq(counter_read(&histogram.buckets[HISTOGRAM_BOUNDS]), 1);
}
