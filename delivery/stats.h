/* What deliveries count, for /metrics. Written by the worker's loop, read by any thread (consumer/base/measure.h). */
#ifndef JOBHOOK_DELIVERY_STATS_H
#define JOBHOOK_DELIVERY_STATS_H

#include "consumer/base/measure.h"
#include "delivery/guard.h"
#include "delivery/verdict.h"

/* How an event was settled: each event that was taken ends in exactly one of these, or is dropped by a revocation (then another copy has it). */
enum settled {
    SETTLED_DELIVERED,
    SETTLED_SCHEDULED,
    SETTLED_DEFERRED,
    SETTLED_DEAD,
    SETTLED_SKIPPED,
    SETTLED_NOTHING_TO_SEND,
    SETTLED_KINDS,
};
const char *settled_name(enum settled settled);

/* Where a delivery is: see the steps in delivery.c. */
enum delivery_state {
    DELIVERY_TAKEN,
    DELIVERY_CLAIMING,
    DELIVERY_WAITING,
    DELIVERY_POSTING,
    DELIVERY_FAILING,
    DELIVERY_PUBLISHING,
    DELIVERY_RECORDING,
    DELIVERY_RELEASED,
    DELIVERY_STATES,
};
const char *delivery_state_name(enum delivery_state state);

/* Why an event is held in memory: what it waits for. Every event that was taken and is not settled or dropped waits for exactly one of these. */
enum held {
    HELD_CLAIM,  /* Redis's answer to its claim */
    HELD_LEASE,  /* the end of another copy's lease */
    HELD_SLOT,   /* its turn: the endpoint's window, the origin's connections, JOBHOOK_MAX_IN_FLIGHT */
    HELD_EGRESS, /* the way out, which is broken */
    HELD_ANSWER, /* the receiver: it is being POSTed */
    HELD_RECORD, /* Redis's answer to what became of it */
    HELD_REDIS,  /* Redis, which is away: one of the two */
    HELD_KAFKA,  /* Kafka, which has not acknowledged its retry, deferral or dead letter */
    HELD_KINDS,
};
const char *held_name(enum held held);

enum { STATS_ANSWERED_LABELS = 7 }; /* 2xx, 3xx, 4xx, 429, 5xx, 503, other: see outcome_label */

struct delivery_stats {
    struct counter events_input, events_retry; /* taken */
    struct counter dropped;                    /* released unsent by a revocation or the shutdown */
    struct counter settled[SETTLED_KINDS];
    struct counter dead[DEAD_REASONS];
    struct counter attempts[STATS_ANSWERED_LABELS + OUTCOME_KINDS]; /* by stats_attempt_slot */
    struct counter blocked[GUARD_RULES];
    struct counter busy;               /* claims answered BUSY */
    struct counter foreign;            /* Redis had another event's record: nothing was changed there */
    struct counter unclaimed;          /* POSTs without a claim: Redis was away for longer than JOBHOOK_REDIS_WAIT */
    struct counter unfailed;           /* published without F: Redis was away */
    struct counter unsettled;          /* offsets that went without the settle: Redis was away */
    struct histogram attempt_duration; /* the POST */
    struct histogram delivery_latency; /* record timestamp → 2xx */
    struct histogram retry_lateness;   /* due → POST */
    struct gauge held[HELD_KINDS];
    struct gauge held_bytes;
    struct gauge in_flight;
    struct gauge endpoints, endpoints_resting;
    struct gauge egress_up;
    struct gauge redis_clock_ahead_s; /* Redis's clock less ours; 0 while Redis's is not known */
};

/* The slot of `attempts` for an outcome, and the label of a slot: a bounded set. */
size_t stats_attempt_slot(const struct outcome *outcome);
const char *stats_attempt_label(size_t slot);

#endif
