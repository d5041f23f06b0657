/* A Redis looked at once, for a diagnosis: who answers, how fast, with which clock, and whether scripts run there. Waits for the answers, on a loop of
 * its own; writes one key, which lasts a millisecond. */
#ifndef JOBHOOK_DEDUPE_REDIS_EXAM_H
#define JOBHOOK_DEDUPE_REDIS_EXAM_H

#include "consumer/base/text.h"
#include "dedupe/redis.h"

enum { REDIS_EXAM_PINGS = 20, REDIS_EXAM_WHY_MAX = 256 };

struct redis_exam {
    bool answered;                /* INFO was read; else `why`, and the rest holds nothing */
    char why[REDIS_EXAM_WHY_MAX]; /* it was not; or why scripts do not run; "" all is well */
    const char *cure;             /* of `why`; NULL: none known */
    struct text info;
    bool has_clock;
    int64_t clock_ahead_ms; /* Redis's clock less ours */
    size_t pings;
    uint64_t ping_us[REDIS_EXAM_PINGS]; /* the quickest first */
    bool scripts_run;
};

/* `key` is one that jobhook could write. Takes at most `wait_ms`, and what the system's name lookup may take. */
void redis_examine(const struct redis_address *address, struct slice key, uint64_t wait_ms, struct redis_exam *exam);
void redis_exam_finish(struct redis_exam *exam);

#endif
