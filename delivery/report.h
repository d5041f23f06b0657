/* The one log line of a settled event, and where an attempt goes to. Never a body, a secret, or a URL's query. */
#ifndef JOBHOOK_DELIVERY_REPORT_H
#define JOBHOOK_DELIVERY_REPORT_H

#include "delivery/attempt.h"
#include "delivery/event.h"
#include "delivery/guard.h"
#include "delivery/stats.h"

struct report {
    const struct event *event;
    const struct attempt *attempt; /* the one that was settled, error class included */
    const struct url *url;         /* where it goes, when that was judged */
    enum settled settled;
    enum dead_reason reason; /* with SETTLED_DEAD */
    const char *detail;      /* NULL: nothing to say */
    int status;              /* the HTTP status of this attempt; 0: none, or no POST */
    uint32_t attempt_ms;     /* how long the POST took */
    uint64_t delay_ms;       /* scheduled and deferred: until the next attempt */
};

void report_log(const struct report *report);

/* Where the attempt is sent: the replay's URL, else the event's; empty: nowhere. */
struct slice report_url(const struct event *event, const struct attempt *attempt);

#endif
