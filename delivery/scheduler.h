/* Which waiting event is sent next, and which is not worth waiting for (DESIGN §5, "One endpoint among many"). Pure: no clock, no I/O, integers only.
 *
 * A ticket is one event that waits for a slot or holds one; it lives inside the traveller (struct delivery). The scheduler knows endpoints (URL
 * without query: window, rest) and origins (scheme, host, port: connections, blame), makes them on first sight and forgets the idle ones.
 *
 * Promises: at most `max_in_flight` tickets started at once, half of them at endpoints in doubt while others answer (delivery/slots.h); while first attempts or retries
 * hold less than half of the slots, that kind gets the next one; endpoints take turns; none exceeds its window, nor holds more than its share of the
 * queue's places and bytes, unless it drains them within a second (a deferral would take longer); every call costs O(1), whatever the number of
 * endpoints, tickets and origins. */
#ifndef JOBHOOK_DELIVERY_SCHEDULER_H
#define JOBHOOK_DELIVERY_SCHEDULER_H

#include "consumer/base/hash.h"
#include "consumer/base/list.h"
#include "delivery/guard.h"
#include "delivery/verdict.h"

#include <stdbool.h>
#include <stdint.h>

struct scheduler;
struct endpoint;
struct queue;

struct scheduler_options {
    uint32_t max_in_flight;          /* POSTs at once */
    uint32_t endpoint_max_in_flight; /* largest window of one endpoint */
    uint32_t origin_max_connections;
    uint64_t attempt_timeout_ms; /* also: the longest that an event waits for its endpoint before it is deferred */
    uint64_t held_bytes_max;     /* of all queued tickets; one endpoint may hold a quarter of it */
    uint32_t endpoint_queue_max; /* tickets queued for one endpoint. 0: max_in_flight, a quarter of what the intake holds */
    uint64_t give_up_after_ms;
    uint64_t deferral_max_ms; /* the longest delay of a deferral: silent endpoints are remembered for longer than that */
    struct hash_key hash_key; /* random */
};

struct ticket {
    struct link link, age;     /* the scheduler's; zeroed before the first use */
    struct endpoint *endpoint; /* set while queued or in flight */
    uint64_t queued_ms;        /* waits for its endpoint since then */
    uint64_t started_ms;
    uint64_t task;  /* hash of the task_id: tells many tasks from one task tried often */
    uint32_t bytes; /* held by the event */
    bool retry;     /* attempt > 1 or deferred before */
    bool in_flight;
    bool in_doubt;      /* its endpoint was, when it started */
    bool came_in_doubt; /* likewise, when it was queued */
    bool probe;         /* started to try a resting endpoint */
    bool rested;        /* its endpoint did, before or after what the last attempt told */
};

struct scheduler *scheduler_create(const struct scheduler_options *options);
void scheduler_destroy(struct scheduler *scheduler); /* tickets are forgotten */

/* Queues the ticket for the endpoint of `url`. False: do not wait (the endpoint rests, or its queue or byte share is full): defer it. A queue is
 * full when it could not be sent within the attempt timeout, too. While the way out is broken only a full table of endpoints says false. */
MUST_USE bool scheduler_enqueue(struct scheduler *scheduler, struct ticket *ticket, const struct url *url, uint64_t now_ms);
/* The ticket to send now (then in flight), or NULL when none may start. Call again until NULL. */
struct ticket *scheduler_start(struct scheduler *scheduler, uint64_t now_ms);
/* A queued ticket that should be deferred instead of waiting on (its endpoint began to rest, or it waited longer than the attempt timeout);
 * it is off the queue then. NULL: none. Call again until NULL. */
struct ticket *scheduler_overdue(struct scheduler *scheduler, uint64_t now_ms);
/* Takes a queued ticket away (revoked). */
void scheduler_remove(struct scheduler *scheduler, struct ticket *ticket);
/* The attempt of a started ticket is over. `answered`: a status line came in time. `retry_after_s` −1: not asked for. */
struct attempt_end {
    enum blame blame;
    bool delivered; /* 2xx */
    bool answered;
    bool connected;
    bool timed_out; /* the attempt's time, or the name servers', ran out: only this rests an endpoint, a quick failure never does */
    int32_t retry_after_s;
    const struct url *url; /* of an origin that may be asked whether the way out is broken; NULL: not this one */
};
enum attempt_fault {
    ATTEMPT_COUNTS,
    ATTEMPT_WAS_OURS, /* the way out is broken, or BLAME_US: no attempt is used up, the same one is made again */
};
enum attempt_fault scheduler_finish(struct scheduler *scheduler, struct ticket *ticket, const struct attempt_end *end, uint64_t now_ms);
/* The start came to nothing before anything was tried (lease too short, revoked): as if it had never been started or queued. */
void scheduler_unstart(struct scheduler *scheduler, struct ticket *ticket);

/* How long an event for this URL would have to wait, for choosing a deferral's delay. */
uint64_t scheduler_expected_wait_ms(const struct scheduler *scheduler, const struct url *url, uint64_t now_ms);
/* When its rest is over; in the past: a probe may go, or went; 0: it does not rest. */
uint64_t scheduler_rests_until_ms(const struct scheduler *scheduler, const struct url *url);
/* How long this endpoint has given no 2xx although it was tried, ms; 0 when it was never tried or answers. Time in which the way out was broken
 * does not count. */
uint64_t scheduler_silent_ms(const struct scheduler *scheduler, const struct url *url, uint64_t now_ms);
/* The operator holds this URL: that clock stands still until the next attempt. Call for every event that is held. */
void scheduler_hold(struct scheduler *scheduler, const struct url *url, uint64_t now_ms);
/* When scheduler_start, scheduler_overdue or scheduler_ask may have something new without any other call (a rest ends, a wait is over); UINT64_MAX: never. */
uint64_t scheduler_next_ms(const struct scheduler *scheduler, uint64_t now_ms);

/* While the way out is broken and events wait: whom to connect to, without an event, to hear whether it still is (delivery/witnesses.h). NULL: nobody at
 * the moment. When enough were heard it works again, at the latest EGRESS_PROBE_MS after that. */
struct witness *scheduler_ask(struct scheduler *scheduler, uint64_t now_ms);

struct scheduler_counts {
    uint32_t in_flight[2]; /* first attempts, retries */
    size_t queued;
    uint64_t queued_bytes;
    size_t endpoints, origins, resting;
    bool egress_down; /* the way out is broken: see DESIGN §5, "When it is us" */
};
struct scheduler_counts scheduler_counts(const struct scheduler *scheduler);

#endif
