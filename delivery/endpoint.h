/* One endpoint: a URL without its query, or what an origin's endpoints with few tasks share. Its queue, its window, its rests, and the clock by
 * which it is given up. Pure: no clock, no I/O.
 *
 * What rests an endpoint is time, not errors: ENDPOINT_SILENT_ATTEMPTS in a row, of at least SIGHTINGS_TASKS tasks, whose time ran out, or a
 * Retry-After. It then takes nothing until the rest is over, and after it one probe: whatever ends in time wakes it, another silence doubles the
 * rest. Quick failures never rest it. */
#ifndef JOBHOOK_DELIVERY_ENDPOINT_H
#define JOBHOOK_DELIVERY_ENDPOINT_H

#include "consumer/base/list.h"
#include "delivery/sightings.h"
#include "delivery/window.h"

struct attempt_end;
struct origin;
struct ticket;

enum {
    ENDPOINT_SILENT_ATTEMPTS = 20,
    ENDPOINT_REST_FIRST_MS = 16 * 1000,
    ENDPOINT_REST_MAX_MS = 300 * 1000,
    ENDPOINT_RETRY_AFTER_MAX_S = 300,
    ENDPOINT_SHORT_WAIT_MS = 1000, /* a queue that drains faster than that is no reason to defer: a deferral takes longer */
};

enum endpoint_rest {
    ENDPOINT_AWAKE,
    ENDPOINT_RESTING, /* until rest_until_ms; then the next event is the probe */
    ENDPOINT_PROBING, /* the probe is queued or in flight */
};

/* What was learnt about it; an endpoint that gets a record of its own inherits what its origin's others had learnt together. */
struct endpoint_record {
    struct window window;
    enum endpoint_rest rest;
    bool rest_was_asked_for; /* Retry-After, not silence */
    bool answers;            /* the latest attempt got an answer, and on average they come before slow_ms; else it is in doubt */
    bool timed;              /* duration_x8_ms means something */
    uint32_t rest_ms;        /* length of the last rest after a silence; 0 none yet */
    uint64_t rest_until_ms;
    uint32_t silent_attempts; /* in a row */
    struct task_tally silent_tasks;
    uint32_t duration_x8_ms;       /* moving average of what an attempt takes, times 8 */
    bool without_2xx;              /* its give-up clock runs, from */
    uint64_t without_2xx_since_ms; /* by egress_working_ms */
    uint64_t without_2xx_ms;       /* and what the clock showed when it was last stopped */
};

struct endpoint {
    struct endpoint *next; /* in the directory's bucket */
    uint64_t hash;
    struct origin *origin;
    bool shared; /* it is its origin's, for endpoints with few tasks */

    struct list waiting[2]; /* first attempts, retries */
    uint32_t in_flight[2];
    uint64_t waiting_bytes;
    uint64_t doubt_bytes; /* queued and in flight, that came while it was in doubt (slots.h) */
    uint64_t booked_us;   /* by then all that was turned away could have been sent; 0 nothing was */
    struct endpoint_record record;

    /* The scheduler's lists that it may be on. */
    struct link ready[2];    /* may start one of that kind: waits for a slot */
    struct list *line[2];    /* the list that `ready` is on; NULL: none */
    struct link blocked;     /* waits for a connection of its origin */
    struct link draining;    /* rests, but has a queue */
    struct link crowded;     /* more than its share waits */
    struct link idle;        /* holds no ticket */
    struct list *idle_among; /* the directory's list that `idle` is on */
    uint64_t idle_since_ms;
};

struct endpoint_limits {
    uint32_t queue_max;
    uint64_t bytes_max;
    uint64_t wait_max_ms;
    uint64_t slow_ms;
    uint64_t crowd_wait_ms; /* a queue above its share is put up with while it drains within this */
};

void endpoint_init(struct endpoint *endpoint, struct origin *origin, uint32_t window_max);
/* Takes over what was learnt under another roof; a probe under way there is not ours. */
void endpoint_inherit(struct endpoint *endpoint, const struct endpoint *from);

static inline size_t endpoint_queued(const struct endpoint *endpoint)
{
    return endpoint->waiting[0].length + endpoint->waiting[1].length;
}

static inline uint32_t endpoint_in_flight(const struct endpoint *endpoint)
{
    return endpoint->in_flight[0] + endpoint->in_flight[1];
}

/* Its own rules allow one of the waiting tickets to start. */
bool endpoint_is_open(const struct endpoint *endpoint);
bool endpoint_is_crowded(const struct endpoint *endpoint, const struct endpoint_limits *limits);
/* Whether the ticket should wait here; else it is to be deferred. May make it the probe. */
bool endpoint_admit(struct endpoint *endpoint, struct ticket *ticket, const struct endpoint_limits *limits, uint64_t now_ms);
/* An event was told not to wait, or to wait no longer. */
void endpoint_turn_away(struct endpoint *endpoint, uint64_t now_ms);
void endpoint_queue(struct endpoint *endpoint, struct ticket *ticket);
void endpoint_unqueue(struct endpoint *endpoint, struct ticket *ticket);
/* The queued ticket that waits longest; NULL when none does. */
struct ticket *endpoint_oldest(const struct endpoint *endpoint);

/* `working_ms` is egress_working_ms. */
void endpoint_note_start(struct endpoint *endpoint, struct ticket *ticket, uint64_t working_ms);
/* The attempt is over and says something about the endpoint. The ticket still counts as in flight. */
void endpoint_note_end(struct endpoint *endpoint, const struct ticket *ticket, const struct attempt_end *end, const struct endpoint_limits *limits,
                       uint64_t now_ms);
/* The probe came to nothing before it said anything: the next event is the probe. */
void endpoint_lose_probe(struct endpoint *endpoint, struct ticket *ticket);
/* The give-up clock stands still until the next attempt. */
void endpoint_stop_clock(struct endpoint *endpoint, uint64_t working_ms);

/* How long what is queued now will take. */
uint64_t endpoint_queue_ms(const struct endpoint *endpoint);
/* How long an event that was turned away should stay away. */
uint64_t endpoint_expected_wait_ms(const struct endpoint *endpoint, uint64_t wait_max_ms, uint64_t now_ms);
uint64_t endpoint_silent_ms(const struct endpoint *endpoint, uint64_t working_ms);

#endif
