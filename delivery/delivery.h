/* What happens to one event: the traveller, its states, and the order of effects (DESIGN §5). The only file that knows the order.
 *
 *   taken ─► claiming ─► waiting ─► posting ─► failing ─► publishing ─► recording ─► released
 *
 * A delivery has one state, and is on the list of that state; delivery.c changes it in one function against a table of legal moves. It leaves the
 * process by one of three exits, which the consumer provides: retry, dead, release. An offset is released only after a 2xx, after the next record
 * was acknowledged, or because the record in Redis proves that one of these happened.
 *
 * One event loop; nothing here blocks, and no exit is called before the call that led to it has returned, deliveries_turn and deliveries_revoke
 * excepted. */
#ifndef JOBHOOK_DELIVERY_DELIVERY_H
#define JOBHOOK_DELIVERY_DELIVERY_H

#include "consumer/base/list.h"
#include "consumer/base/timers.h"
#include "dedupe/claims.h"
#include "delivery/attempt.h"
#include "delivery/event.h"
#include "delivery/guard.h"
#include "delivery/hold_list.h"
#include "delivery/lanes.h"
#include "delivery/outcome.h"
#include "delivery/retry.h"
#include "delivery/scheduler.h"
#include "delivery/signature.h"
#include "delivery/span.h"
#include "delivery/stats.h"
#include "delivery/verdict.h"

struct delivery;
struct deliveries;

/* Where an event came from, embedded by the consumer's partition. Lives until its list is empty. */
struct delivery_home {
    struct list deliveries;
    bool revoked;           /* its offsets are somebody else's now */
    uint64_t busy_until_ms; /* when the lease ends that one of them was last seen to wait for, monotonic; 0 none */
};

/* When the oldest event that came from here and is not over was taken up or written, ms since 1970; 0: there is none. */
int64_t delivery_home_oldest_ms(const struct delivery_home *home);

/* A record to be written: on the retry topic of `delay_ms`, or on the dead-letter topic. Valid during the exit's call, the event until published. */
struct publication {
    const struct event *event;
    const struct attempt *attempt; /* what the record asks for; of a dead letter the last one */
    uint64_t delay_ms;             /* retries and deferrals */
    enum dead_reason reason;       /* dead letters */
    const char *detail;
    int32_t partition; /* of the origin: the record goes to the same one */
};

/* An attempt that ended; everything is valid during the call only. */
struct attempted {
    const struct event *event;
    const struct attempt *attempt; /* its error class is this attempt's */
    const struct url *url;
    const struct outcome *outcome;
    const struct span *span; /* NULL: not to be recorded */
};

struct delivery_exits {
    void *context;
    /* Both answer with delivery_published, exactly once, later. */
    void (*retry)(void *context, struct delivery *delivery, const struct publication *publication);
    void (*dead)(void *context, struct delivery *delivery, const struct publication *publication);
    /* The delivery is over. `handled`: its offset may go; else it was dropped unsent (revoked, draining) and must be read again by somebody. */
    void (*release)(void *context, struct delivery_home *home, uint64_t slot, bool handled);
    /* Told about every attempt that ended, for the log of attempts; nothing waits for it. NULL: nobody wants to know. */
    void (*attempted)(void *context, const struct attempted *attempted);
};

enum published {
    PUBLISHED_ACKED,
    PUBLISHED_REFUSED, /* for good: too large for the topic */
};
void delivery_published(struct delivery *delivery, enum published published);

struct deliveries_options { /* everything pointed to outlives the deliveries */
    struct claims *claims;
    struct scheduler *scheduler;
    struct lanes *lanes;
    struct timers *timers;
    const struct guard *guard;
    const struct retry_schedule *schedule;
    struct signature *signature; /* NULL: requests are not signed */
    struct delivery_exits exits;
    struct verdict_policy policy;
    uint64_t attempt_timeout_ms;
    uint64_t lease_ms;
    uint64_t max_event_age_ms;
    uint64_t max_event_bytes;
    uint64_t give_up_after_ms;
    uint64_t redis_wait_ms;
    bool redis_down_delivers; /* JOBHOOK_REDIS_DOWN=deliver */
    bool pass_tracestate;
    bool tracing; /* each attempt is a span: its receiver is told so, and so is who listens to `attempted` */
    const char *version;
};

struct deliveries *deliveries_create(const struct deliveries_options *options);
void deliveries_destroy(struct deliveries *deliveries); /* what is left is forgotten, no exit is called */

struct arrival {         /* one record as it was read */
    struct event *event; /* taken over */
    struct attempt attempt;
    bool from_input;
    const char *unreadable; /* what is wrong with its jobhook headers; NULL: nothing */
    bool condemned;         /* it ends the program: a dead letter as it is, nothing of it is looked at */
    struct delivery_home *home;
    uint64_t slot; /* handed back by release */
};
void deliveries_take(struct deliveries *deliveries, const struct arrival *arrival);

/* Once per turn of the loop: starts what may be sent, defers what should not wait, frees what is over. */
void deliveries_turn(struct deliveries *deliveries, uint64_t now_ms);
/* When deliveries_turn should run again at the latest although nothing else happens; UINT64_MAX: not needed. */
uint64_t deliveries_next_ms(const struct deliveries *deliveries, uint64_t now_ms);

/* From now on the operator's holds are these (taken over; NULL none), also for what waits already. What is being sent ends as it may. */
void deliveries_hold(struct deliveries *deliveries, struct hold_list *holds);

/* The home's partition is somebody else's: everything unsent is released and dropped at once, what was sent finishes and settles. */
void deliveries_revoke(struct deliveries *deliveries, struct delivery_home *home);
/* The process ends: the same for every home, which keep their offsets. */
void deliveries_drain(struct deliveries *deliveries);

struct deliveries_held {
    size_t first_attempts, retries; /* deliveries not yet over */
    uint64_t first_attempt_bytes, retry_bytes;
};
struct deliveries_held deliveries_held(const struct deliveries *deliveries);
const struct delivery_stats *deliveries_stats(const struct deliveries *deliveries);
/* Which endpoints give trouble lately; goes with the deliveries. */
struct troubles;
struct troubles *deliveries_troubles(struct deliveries *deliveries);

#endif
