/* Receivers, events and the scheduler between them, in simulated time. A thousand seconds pass in an instant, and the same seed gives the same run.
 *
 * What surrounds the scheduler is modelled as the worker does it: an intake that stops at what may be held, retries after 1, 2, 4, 8, 16 s,
 * deferrals to the shortest delay that covers the expected wait. */
#ifndef JOBHOOK_TESTS_SIMULATION_H
#define JOBHOOK_TESTS_SIMULATION_H

#include "delivery/scheduler.h"

struct simulation;
struct site;

struct reply { /* what the receiver will do with an attempt */
    uint64_t after_ms;
    struct attempt_end end;
};
typedef struct reply receiver(struct simulation *simulation, struct site *site);

struct site { /* one endpoint, or a host whose paths differ for every task */
    receiver *receive;
    uint64_t latency_ms;
    uint32_t limit;             /* requests at once, for limiting receivers */
    uint32_t permille;          /* of noise */
    uint64_t from_ms, until_ms; /* dead in between; both 0: never */
    uint64_t every_ms;          /* one event each so many ms; 0 none by itself */
    bool path_per_task;
    char path[64], host[64];

    uint32_t active; /* attempts that the receiver works on */
    uint32_t active_max;
    uint64_t attempts, refused, delivered, dead, deferrals, ours, events;
    uint64_t late_ms_max;   /* how late a retry or first attempt started that was never deferred */
    uint64_t *latencies_ms; /* of delivered events, since they were produced */
    uint64_t last_delivered_ms;
};

struct simulation_options {
    struct scheduler_options scheduler;
    uint64_t seed;
    uint64_t produce_until_ms;
    uint32_t event_bytes; /* 0: 1000 */
};

struct simulation {
    struct simulation_options options;
    struct scheduler *scheduler;
    struct site *sites;
    size_t site_count;
    uint64_t now_ms;
    uint64_t random;
    uint64_t broken_from_ms, broken_until_ms;
    uint64_t tripped_ms, mended_ms;    /* when the breaker was seen to act; 0 never */
    uint64_t attempts_used_while_down; /* attempts that counted as failed while the breaker said down */
    struct occasion *occasions;
    size_t occasion_count, occasion_capacity;
    struct job *backlog[2], *backlog_end[2]; /* first attempts, retries: what the intake has not taken yet */
    size_t held[2];
    size_t held_max;
    uint64_t held_bytes[2];
    uint32_t in_flight_max;
    uint64_t turns, deferrals;
    uint64_t tasks;
};

receiver receive_well;            /* 2xx after latency_ms */
receiver receive_never;           /* connects, never answers */
receiver receive_nothing;         /* no connection within the timeout */
receiver receive_refusal;         /* connection refused, at once */
receiver receive_500;             /* after latency_ms */
receiver receive_limited;         /* 429 after 1 ms when `limit` are worked on */
receiver receive_limited_slowly;  /* 429 after latency_ms */
receiver receive_noisy;           /* `permille` of the attempts get 503 after latency_ms */
receiver receive_noisy_timeouts;  /* or no answer at all */
receiver receive_asking_for_rest; /* 429, Retry-After: 30 */

void simulation_init(struct simulation *simulation, const struct simulation_options *options, struct site *sites, size_t count);
/* Produces events for the site at this moment. */
void simulation_produce(struct simulation *simulation, struct site *site, size_t count);
/* Runs until that time, or until nothing is left to happen. */
void simulation_run(struct simulation *simulation, uint64_t until_ms);
void simulation_finish(struct simulation *simulation);
bool simulation_dice(struct simulation *simulation, uint32_t permille);
uint64_t site_latency_ms(const struct site *site, uint32_t percent);

#endif
