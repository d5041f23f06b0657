/* A small world around the real deliveries, scheduler, ledger, envelope and delay: simulated Kafka, Redis, receivers and clock, driven by one seed.
 *
 * Everything that happens is an event on one heap, ordered by time; the same seed gives the same run. Workers crash, freeze, lose their partitions;
 * Redis answers late, goes away, falls back to an older copy; Kafka's acknowledgements get lost; receivers fail. The oracle keeps the journals and
 * says what was lost, doubled without an excuse, early, altered, or left undone. */
#ifndef JOBHOOK_TESTS_FLOW_WORLD_H
#define JOBHOOK_TESTS_FLOW_WORLD_H

#include "consumer/ledger.h"
#include "dedupe/claims.h"
#include "delivery/delivery.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    WORLD_TASKS_MAX = 400,
    WORLD_WORKERS_MAX = 3,
    WORLD_PARTITIONS = 3,
    WORLD_TOPICS_MAX = 8, /* input, retries, deferrals, dead letters */
    WORLD_ATTEMPTS_MAX = 8,
};

struct world_plan { /* what kind of a run */
    uint64_t seed;
    uint32_t tasks, workers;
    uint32_t crashes, freezes, moves; /* of workers; partitions that change hands */
    uint32_t terms;                   /* workers told to end (SIGTERM) */
    uint32_t redis_rollbacks, redis_outages;
    uint32_t redis_clock_steps;                         /* of an hour, forward or back */
    uint32_t produce_failures_percent;                  /* half of them stored nevertheless */
    uint32_t late_replies_percent;                      /* of Redis: lost, executed or not */
    uint32_t duplicates_percent;                        /* events published twice */
    uint32_t replays_percent;                           /* events replayed later, whatever became of them */
    uint32_t strange_verdicts_percent;                  /* of failures resumed: recorded by a version that knows other reasons */
    uint32_t conflicts_percent;                         /* another event under the same id */
    uint32_t failing_percent;                           /* of POSTs */
    bool silent_endpoint;                               /* one endpoint never answers */
    uint32_t holds;                                     /* changes of the hold file; it is empty in the end */
    uint64_t hold_silent_from_ms, hold_silent_until_ms; /* the silent endpoint is held in between; 0: never */
};

struct world_verdict {
    uint32_t lost, doubled, early, altered, undone; /* crimes */
    uint32_t posts, delivered, dead, deferred, excused;
    uint64_t given_up_ms; /* when the first event was given up because of its endpoint, since the start; 0 none was */
    char first[200];      /* the first crime, in words */
};

/* Ends the worker at work as SIGKILL would; does not return. Only from a crash point. */
void world_kill(void) __attribute__((noreturn));

/* Runs a whole world to its end and judges it. */
struct world_verdict world_run(const struct world_plan *plan);

/* ---- between the parts of the world ---- */

struct world_worker;
typedef void happening(void *context);

struct world_whose { /* a worker in one of its lives; worker NULL: nobody's, survives every crash */
    struct world_worker *worker;
    uint32_t life;
};
#define NOBODYS ((struct world_whose){ 0 })
struct world_whose world_whose(struct world_worker *worker); /* in its present life */
void world_at(uint64_t delay_ms, struct world_whose whose, happening *what, void *context);
uint64_t world_random(uint64_t limit);
bool world_chance(uint32_t percent);
uint64_t world_now(void);
int64_t world_redis_ms(void);
void world_step_redis_clock(int64_t by_ms);
uint64_t world_retry_delay_ms(uint32_t attempt); /* before this attempt, by the schedule */

uint32_t world_number_of(const struct world_worker *worker);
struct world_worker *world_worker_number(uint32_t number);
struct deliveries *world_deliveries(const struct world_worker *worker); /* NULL: it is dead */
struct world_worker *world_worker_of_claims(const struct claims *claims);
struct world_worker *world_worker_of_lanes(const struct lanes *lanes);
void world_wake(struct world_worker *worker);

/* Journals of the oracle. An account is one event: twice the number in "t<number>", plus one for a different event under the same id. */
void oracle_reset(const struct world_plan *plan);
void oracle_published(uint32_t account, uint32_t epoch);
void oracle_post(uint32_t account, uint32_t epoch, uint32_t attempt, const struct world_worker *worker);
void oracle_answered_2xx(uint32_t account, uint32_t epoch);
void oracle_released(uint32_t account, const struct world_worker *worker);
void oracle_crash(const struct world_worker *worker);
void oracle_excuse(uint32_t task, uint32_t posts); /* of either event under this id */
void oracle_excuse_all(uint32_t posts);
void oracle_dead(uint32_t account, uint32_t epoch, struct slice value);
void oracle_given_up(uint64_t after_ms);
void oracle_recorded(uint32_t task); /* D stands in Redis */
void oracle_undone(const char *what);
struct world_verdict oracle_judge(void);
uint32_t world_task_of(struct slice task_id);
uint32_t world_account_of(struct slice value); /* of an event, or of the body it becomes */

/* Redis. */
void redis_world_reset(void);
void redis_world_snapshot(void);
void redis_world_rollback(void);
void redis_world_away(bool away);

/* The hold file. */
void hold_world_reset(void);
void hold_world_begin(uint64_t faults_until_ms);
void hold_world_tell(struct world_worker *worker);
void hold_world_note_post(const struct world_worker *worker, const struct url *url);

struct claims *claims_fake(struct world_worker *worker);
struct lanes *lanes_fake(struct world_worker *worker);
extern const struct world_plan *world_plan;

#endif
