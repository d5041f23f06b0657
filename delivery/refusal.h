/* Which events are not POSTed at all, and why: too large, too old, or addressed to where nothing may be sent. Pure. */
#ifndef JOBHOOK_DELIVERY_REFUSAL_H
#define JOBHOOK_DELIVERY_REFUSAL_H

#include "delivery/attempt.h"
#include "delivery/event.h"
#include "delivery/guard.h"
#include "delivery/verdict.h"

#include <stdbool.h>

struct refusal_limits {
    const struct guard *guard;
    uint64_t max_event_bytes;
    uint64_t max_event_age_ms;
};

struct refusal {
    enum dead_reason reason; /* 0: it may be sent, or there is nothing to send */
    const char *detail;      /* what exactly, for the dead letter */
    enum guard_rule rule;    /* with DEAD_BLOCKED_URL */
};

struct refusal_request {
    const struct refusal_limits *limits;
    const struct event *event;
    const struct attempt *attempt;
    int64_t now_ms; /* by Redis's clock */
};

/* A record of the input topic is judged by its timestamp, one of a retry topic by how far its due time is past. What may be sent leaves its judged
 * URL in `url`, whose text stays empty when there is nothing to send. */
struct refusal refusal_judge(const struct refusal_request *asked, struct url *url);

#endif
