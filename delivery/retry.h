/* The retry schedule, and the names of the topics that carry it (DESIGN §4). Pure. */
#ifndef JOBHOOK_DELIVERY_RETRY_H
#define JOBHOOK_DELIVERY_RETRY_H

#include "consumer/base/text.h"

#include <stdbool.h>
#include <stdint.h>

enum { RETRY_DELAYS_MAX = 300, RETRY_DELAY_MS_MAX = 7 * 24 * 3600 * 1000 };

struct retry_delays {
    size_t count;
    uint64_t ms[2 * RETRY_DELAYS_MAX]; /* room for the distinct delays of two lists; one list has half of it at most */
};

struct retry_schedule {
    struct retry_delays retries; /* in order: before attempts 2, 3, … */
    struct retry_delays defers;  /* further delays, for deferrals only */
};

/* "1s,2s,500ms": whole numbers with ms, s, m or h, each 1 ms … 7 days; empty text: none. On false `*problem` is a fixed sentence. */
MUST_USE bool retry_delays_parse(struct slice text, struct retry_delays *delays, const char **problem);

/* The wait before attempt `number` + 1 once attempt `number` failed; false when the schedule has none left (also for numbers beyond it). */
MUST_USE bool retry_delay_after(const struct retry_schedule *schedule, uint32_t number, uint64_t *delay_ms);
/* The shortest delay of both lists that covers `wait_ms`, else the longest. At least one delay must exist. */
uint64_t retry_defer_delay(const struct retry_schedule *schedule, uint64_t wait_ms);
/* The distinct delays of both lists, ascending. */
void retry_distinct_delays(const struct retry_schedule *schedule, struct retry_delays *distinct);
uint64_t retry_total_ms(const struct retry_schedule *schedule); /* sum of the retry delays */
uint64_t retry_longest_ms(const struct retry_delays *delays);   /* 0: there is none */

/* Canonical: 60s is 1m, 1500ms stays. */
void retry_delay_write(uint64_t delay_ms, struct text *text);
/* "<topic>.retry.<delay>" and the way back: false when `name` is not a retry topic of `topic` in canonical or any readable form. */
void retry_topic_write(const char *topic, uint64_t delay_ms, struct text *text);
MUST_USE bool retry_topic_read(const char *topic, struct slice name, uint64_t *delay_ms);

#endif
