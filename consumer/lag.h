/* How many records each assigned partition still has before it: replaced whole by the worker about once a second, read by /metrics.
 *
 * A partition whose lag is not known is absent, never 0. Replacing and reading only exchange a pointer under the lock, so that a reader never
 * keeps the worker waiting. */
#ifndef JOBHOOK_CONSUMER_LAG_H
#define JOBHOOK_CONSUMER_LAG_H

#include "consumer/base/text.h"

#include <stddef.h>
#include <stdint.h>

enum { LAG_PARTITIONS_MAX = 20000 }; /* in one table; what is beyond is left out and counted */

struct lag_row {
    struct slice topic;
    int32_t partition;
    int64_t lag; /* records */
};

struct lag_snapshot { /* never changes */
    size_t count;
    size_t left_out;
    struct lag_row *rows;
};

struct lag_table;

struct lag_table *lag_create(void);
void lag_destroy(struct lag_table *table); /* snapshots still held stay good until they are given back */

/* The rows are copied. */
void lag_replace(struct lag_table *table, const struct lag_row *rows, size_t count);

/* The last rows; give them back. Any thread. */
const struct lag_snapshot *lag_take(struct lag_table *table);
void lag_give_back(const struct lag_snapshot *snapshot);

#endif
