/* How many records each assigned partition still has before it: replaced whole by the worker about once a second, read by /metrics.
 *
 * A partition whose lag is not known is absent, never 0. Replacing and reading only exchange a pointer under the lock, so that a reader never
 * keeps the worker waiting. */
#ifndef JOBHOOK_CONSUMER_LAG_H
#define JOBHOOK_CONSUMER_LAG_H

#include "consumer/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LAG_PARTITIONS_MAX = 20000 }; /* in one table; what is beyond is left out and counted */

struct lag_row {
    struct slice topic;
    int32_t partition;
    int64_t lag;     /* records; LAG_UNKNOWN: only retry_records asks for such a row */
    int64_t not_due; /* of them, in a retry topic */
    bool is_retry;
};

enum { LAG_UNKNOWN = -1, LAG_STALE_MS = 30000 };

struct lag_surveyed {   /* what the broker said about a partition (consumer/survey.h) */
    uint64_t at_ms;     /* monotonic, when it was asked; 0: never answered */
    int64_t end;        /* the last stable offset */
    int64_t undue_from; /* of a retry topic: the first record written less than the topic's delay before that moment; the end when there is none */
};

struct lag_view { /* of one partition */
    struct lag_surveyed surveyed;
    uint64_t now_ms;
    uint64_t delay_ms;   /* of a retry topic */
    int64_t committable; /* what is not finished begins here; −1 unknown */
    int64_t position;    /* what is read next */
    int64_t undue_head;  /* a record that was read and is not due yet; −1 none */
    int64_t fetched_end; /* what the last fetch said, which may be long ago; −1 unknown */
};

/* How many records are unfinished, and how many of these are not due: known exactly while the head of the partition waits to be due, because due
 * times of one topic never go backwards. Else by the records' timestamps as of the last survey: off by what was written since then, at most.
 * LAG_UNKNOWN when no broker has answered for LAG_STALE_MS. Offsets that hold no record (transaction markers, compaction) count. */
void lag_count(const struct lag_view *view, struct lag_row *row);

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
