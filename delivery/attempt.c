#include "delivery/attempt.h"

#include <string.h>

struct attempt attempt_following(const struct attempt *failed, int64_t due_ms)
{
    struct attempt next = *failed;
    next.number++;
    next.deferral = 0; /* a number left over from this attempt would suppress the next */
    next.deferred_since_ms = 0;
    next.due_ms = due_ms;
    return next;
}

struct attempt attempt_deferred(const struct attempt *attempt, int64_t now_ms, int64_t due_ms)
{
    struct attempt next = *attempt;
    next.deferral++;
    if (next.deferred_since_ms == 0)
        next.deferred_since_ms = now_ms;
    next.due_ms = due_ms;
    if (next.error[0] == '\0')
        memcpy(next.error, "deferred", sizeof("deferred"));
    return next;
}

struct attempt attempt_held(const struct attempt *attempt, int64_t now_ms, int64_t due_ms)
{
    struct attempt next = attempt_deferred(attempt, now_ms, due_ms);
    next.deferred_since_ms += due_ms - now_ms;
    return next;
}
