#include "consumer/base/measure.h"

const uint64_t histogram_bounds_us[HISTOGRAM_BOUNDS] = {
    100,      250,      500,      /* a pipelined Redis script */
    1000,     2500,     5000,     /* a local receiver */
    10000,    25000,    50000,    /* the same continent */
    100000,   250000,   500000,   /* across the world */
    1000000,  2500000,  5000000,  /* slow receivers */
    10000000, 30000000, 60000000, /* the attempt timeout and beyond */
};

void histogram_observe_us(struct histogram *histogram, uint64_t us)
{
    size_t low = 0, high = HISTOGRAM_BOUNDS; /* the first bound that covers `us` lies in low … high */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (us <= histogram_bounds_us[middle])
            high = middle;
        else
            low = middle + 1;
    }
    counter_add(&histogram->buckets[low], 1);
    counter_add(&histogram->sum_us, us);
}
