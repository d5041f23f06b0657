/* The world's Kafka and its workers: topics as arrays, offsets committed by the real ledger, records written by the real envelope. A worker here is
 * what consumer/worker.c and consumer/intake.c are in the program, without librdkafka and libuv. */
#include "tests/flow/world.h"

#include "consumer/base/crash.h"
#include "consumer/base/memory.h"
#include "consumer/delay.h"
#include "consumer/envelope.h"
#include "tests/flow/world_heap.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SESSION_MS = 15000, /* a dead worker's partitions go to another after that */
    COMMIT_EVERY_MS = 1000,
    RESTART_MS = 3000,
    FAULTS_UNTIL_MS = 120000,
    END_MS = 4 * 3600 * 1000,
    RECORDS_PER_TURN = 16,
    LEASE_MS = 20000,
    DRAIN_MS = 25000,
    DRAIN_LOOK_MS = 20,
};

struct stored {          /* a record in a topic */
    struct event *event; /* never handed out itself */
};

struct log {
    struct stored *records;
    size_t count, room;
    int64_t committed;
};

struct slot { /* one partition of one topic in the hands of one worker */
    struct delivery_home home;
    struct ledger ledger;
    struct world_worker *worker;
    struct arrival head;
    struct timer due;
    uint32_t topic, partition;
    int64_t position, first_offset;
};

struct world_worker {
    uint32_t life;
    bool alive, frozen, draining;
    uint64_t frozen_until_ms, wake_at_ms, drain_until_ms;
    struct timers *timers;
    struct claims *claims;
    struct lanes *lanes;
    struct scheduler *scheduler;
    struct deliveries *deliveries;
    struct slot *slots[WORLD_PARTITIONS][WORLD_TOPICS_MAX]; /* NULL: not assigned here */
    struct slot *retired[256];                              /* revoked, or of an earlier life */
    size_t retired_count;
};

const struct world_plan *world_plan;
static struct world_worker *at_work; /* whose code runs */
static jmp_buf killed;
static bool killing;
static struct world_worker workers[WORLD_WORKERS_MAX];
static struct log logs[WORLD_TOPICS_MAX][WORLD_PARTITIONS];
static uint64_t topic_delay_ms[WORLD_TOPICS_MAX];
static uint32_t topic_count;
static uint32_t owner[WORLD_PARTITIONS]; /* as the group sees it */
static struct retry_schedule schedule;
static uint64_t start_ms;
static struct guard guard = { .allow_http = true };

enum { INPUT = 0, DLQ = 1, EVENT_BYTES = 256, REPLAYS_AFTER_MS = 60000 };

/* ---- topics ---- */

static void append(uint32_t topic, uint32_t partition, const struct event_record *record)
{
    struct log *log = &logs[topic][partition];
    if (log->count == log->room) {
        log->room = log->room * 2 + 16;
        log->records = memory_resize(log->records, log->room * sizeof(*log->records));
    }
    log->records[log->count++] = (struct stored){ .event = event_create(record) };
}

static struct event_record record_of(const struct event *event)
{
    return (struct event_record){ .has_key = event->has_key,
                                  .has_value = event->has_value,
                                  .key = event->key,
                                  .value = event->value,
                                  .headers = event->headers,
                                  .header_count = event->header_count,
                                  .timestamp_ms = event->timestamp_ms };
}

static size_t write_event(char value[EVENT_BYTES], uint32_t task, bool conflicting)
{
    bool nothing = task % 17 == 3;
    const char *host = world_plan->silent_endpoint && task % 5 == 0 ? "silent" : "h1";
    int length = snprintf(value, EVENT_BYTES,
                          "{\"task_id\":\"t%" PRIu32 "\",\"status\":\"completed\",\"task_type\":\"find_email\",\"result\":{\"c\":%d}%s%s%s}", task,
                          conflicting, nothing ? "" : ",\"webhook_url\":\"https://", nothing ? "" : host, nothing ? "" : ".example.com/x\"");
    return (size_t)length;
}

static void publish_event(uint32_t task, bool conflicting)
{
    char value[EVENT_BYTES], key[16];
    snprintf(key, sizeof(key), "t%" PRIu32, task);
    struct event_record record = { .has_key = true,
                                   .has_value = true,
                                   .key = slice_of(key),
                                   .value = { value, write_event(value, task, conflicting) },
                                   .timestamp_ms = world_redis_ms() };
    oracle_published(task * 2 + conflicting, 0);
    append(INPUT, task % WORLD_PARTITIONS, &record);
}

/* As `dlq replay` and `resend` write it: attempt 1 of the next epoch on the shortest retry topic. */
static void publish_replay(void *context)
{
    uint32_t task = (uint32_t)(uintptr_t)context;
    char value[EVENT_BYTES], key[16];
    snprintf(key, sizeof(key), "t%" PRIu32, task);
    struct event plain = { .has_key = true, .has_value = true, .key = slice_of(key), .value = { value, write_event(value, task, false) } };
    struct attempt attempt = { .number = 1,
                               .epoch = 1,
                               .due_ms = world_redis_ms(),
                               .first_ms = world_redis_ms(),
                               .origin = { slice_of("jobs.completed"), (int32_t)(task % WORLD_PARTITIONS), 0 } };
    struct envelope envelope;
    struct event_header headers[ENVELOPE_OWN_HEADERS_MAX];
    envelope_write(&envelope, &(struct envelope_letter){ .event = &plain, .attempt = &attempt });
    for (size_t i = 0; i < envelope.count; i++)
        headers[i] = (struct event_header){ slice_of(envelope.headers[i].name), envelope.headers[i].value, true };
    struct event_record record = record_of(&plain);
    record.headers = headers;
    record.header_count = envelope.count;
    oracle_published(task * 2, 1);
    append(DLQ + 1, task % WORLD_PARTITIONS, &record);
    envelope_finish(&envelope);
    for (uint32_t i = 0; i < world_plan->workers; i++)
        world_wake(&workers[i]);
}

/* ---- publishing: again until it is acknowledged; an unacknowledged one may have been stored ---- */

struct letter {
    struct world_whose whose;
    struct delivery *delivery;
    struct event *event; /* a copy with its new headers */
    uint32_t topic, partition, account, epoch;
};

static void send(void *context);

static void acknowledged(void *context)
{
    struct letter *letter = context;
    struct world_worker *worker = letter->whose.worker;
    struct delivery *delivery = letter->delivery;
    event_destroy(letter->event);
    free(letter);
    delivery_published(delivery, PUBLISHED_ACKED);
    world_wake(worker);
}

static void stored(void *context)
{
    struct letter *letter = context;
    bool fails = world_chance(world_plan->produce_failures_percent);
    if (!fails || world_chance(50)) {
        struct event_record record = record_of(letter->event);
        record.timestamp_ms = world_redis_ms();
        append(letter->topic, letter->partition, &record);
        if (letter->topic == DLQ)
            oracle_dead(letter->account, letter->epoch, letter->event->value);
        for (size_t i = 0; i < world_plan->workers; i++)
            world_wake(&workers[i]);
    }
    world_at(fails ? 500 + world_random(500) : world_random(5), letter->whose, fails ? send : acknowledged, letter);
}

static void send(void *context)
{
    world_at(world_random(5), NOBODYS, stored, context);
}

static uint32_t topic_of(const struct publication *publication)
{
    if (publication->reason != 0)
        return DLQ;
    for (uint32_t topic = DLQ + 1; topic < topic_count; topic++)
        if (topic_delay_ms[topic] == publication->delay_ms)
            return topic;
    abort();
}

static void publish(void *context, struct delivery *delivery, const struct publication *publication)
{
    struct letter *letter = memory_create(sizeof(*letter));
    struct envelope envelope;
    if (publication->reason == DEAD_ENDPOINT_DOWN)
        oracle_given_up(world_now() - start_ms);
    struct event_header headers[64];
    const struct envelope_letter content = { publication->event, publication->attempt, publication->reason, publication->detail, 0 };
    envelope_write(&envelope, &content);
    for (size_t i = 0; i < envelope.count; i++)
        headers[i] = (struct event_header){ slice_of(envelope.headers[i].name), envelope.headers[i].value, envelope.headers[i].has_value };
    struct event_record record = record_of(publication->event);
    record.headers = headers;
    record.header_count = envelope.count;
    *letter = (struct letter){
        .whose = world_whose(context),
        .delivery = delivery,
        .event = event_create(&record),
        .topic = topic_of(publication),
        .partition = (uint32_t)publication->partition,
        .account = world_account_of(publication->event->value),
        .epoch = publication->attempt->epoch,
    };
    envelope_finish(&envelope);
    send(letter);
}

/* ---- partitions in the hands of workers ---- */

static void release(void *context, struct delivery_home *home, uint64_t number, bool handled)
{
    struct slot *slot = container_of(home, struct slot, home);
    (void)context;
    if (!home->revoked && handled)
        ledger_close(&slot->ledger, number);
}

static bool hold(struct slot *slot, const struct arrival *arrival)
{
    struct delay_clocks now = { world_now(), world_redis_ms() };
    if (slot->topic == INPUT || arrival->unreadable != NULL)
        return false;
    uint64_t until_ms = delay_until_ms(arrival->attempt.due_ms, topic_delay_ms[slot->topic], &now);
    if (until_ms <= now.monotonic_ms)
        return false;
    slot->head = *arrival;
    timers_start(slot->worker->timers, &slot->due, until_ms);
    return true;
}

static void read_record(struct slot *slot)
{
    const struct log *log = &logs[slot->topic][slot->partition];
    struct event_record record = record_of(log->records[slot->position].event);
    struct attempt first = { .number = 1, .origin = { slice_of("jobs.completed"), (int32_t)slot->partition, slot->position } };
    struct arrival arrival = { .event = event_create(&record), .attempt = first, .from_input = slot->topic == INPUT, .home = &slot->home };
    if (slot->topic != INPUT && !envelope_read(arrival.event, &arrival.attempt, &arrival.unreadable))
        oracle_undone("an envelope of our own was unreadable");
    arrival.slot = ledger_open(&slot->ledger, slot->position++);
    if (!hold(slot, &arrival))
        deliveries_take(slot->worker->deliveries, &arrival);
}

static void head_due(struct timer *timer)
{
    struct slot *slot = container_of(timer, struct slot, due);
    struct arrival head = slot->head;
    slot->head.event = NULL;
    deliveries_take(slot->worker->deliveries, &head);
}

static void assign_to(struct world_worker *worker, uint32_t partition)
{
    for (uint32_t topic = 0; topic < topic_count; topic++) {
        if (topic == DLQ)
            continue;
        struct slot *slot = memory_create(sizeof(*slot));
        *slot = (struct slot){ .worker = worker,
                               .topic = topic,
                               .partition = partition,
                               .position = logs[topic][partition].committed,
                               .first_offset = logs[topic][partition].committed };
        slot->due.fire = head_due;
        list_init(&slot->home.deliveries);
        ledger_init(&slot->ledger);
        worker->slots[partition][topic] = slot;
    }
    world_wake(worker);
}

static void commit(struct slot *slot)
{
    int64_t offset = ledger_committable(&slot->ledger);
    if (offset >= 0 && owner[slot->partition] == (uint32_t)(slot->worker - workers)) /* the broker refuses everybody else's */
        logs[slot->topic][slot->partition].committed = offset;
}

static void retire(struct slot *slot)
{
    struct world_worker *worker = slot->worker;
    timers_stop(worker->timers, &slot->due);
    if (slot->head.event != NULL)
        event_destroy(slot->head.event);
    slot->head.event = NULL;
    if (worker->retired_count < COUNT_OF(worker->retired))
        worker->retired[worker->retired_count++] = slot;
}

static void revoke_from(struct world_worker *worker, uint32_t partition)
{
    at_work = worker;
    for (uint32_t topic = 0; topic < topic_count; topic++) {
        struct slot *slot = worker->slots[partition][topic];
        if (slot == NULL)
            continue;
        deliveries_revoke(worker->deliveries, &slot->home);
        commit(slot);
        retire(slot);
        worker->slots[partition][topic] = NULL;
    }
    world_wake(worker);
}

/* ---- a worker's turn ---- */

static void turn(void *context);

static void arm(struct world_worker *worker, uint64_t at_ms)
{
    if (worker->wake_at_ms <= at_ms && worker->wake_at_ms > world_now())
        return;
    worker->wake_at_ms = at_ms;
    world_at(at_ms - world_now(), world_whose(worker), turn, worker);
}

static void turn(void *context)
{
    struct world_worker *worker = context;
    if (world_now() < worker->wake_at_ms)
        return; /* an earlier one was armed since */
    worker->wake_at_ms = UINT64_MAX;
    timers_run(worker->timers, world_now());
    bool more = false;
    for (uint32_t partition = 0; partition < WORLD_PARTITIONS; partition++)
        for (uint32_t topic = 0; topic < topic_count; topic++) {
            struct slot *slot = worker->slots[partition][topic];
            for (int i = 0; !worker->draining && slot != NULL && i < RECORDS_PER_TURN && slot->head.event == NULL &&
                            slot->position < (int64_t)logs[topic][partition].count;
                 i++)
                read_record(slot);
            more = more || (!worker->draining && slot != NULL && slot->head.event == NULL && slot->position < (int64_t)logs[topic][partition].count);
        }
    deliveries_turn(worker->deliveries, world_now());
    uint64_t next_ms = timers_next_ms(worker->timers), scheduler_ms = deliveries_next_ms(worker->deliveries, world_now());
    next_ms = more ? world_now() : scheduler_ms < next_ms ? scheduler_ms : next_ms;
    if (next_ms != UINT64_MAX)
        arm(worker, next_ms > world_now() ? next_ms : world_now() + 1);
}

uint32_t world_number_of(const struct world_worker *worker)
{
    return (uint32_t)(worker - workers);
}

struct world_worker *world_worker_number(uint32_t number)
{
    return &workers[number];
}

struct deliveries *world_deliveries(const struct world_worker *worker)
{
    return worker->alive ? worker->deliveries : NULL;
}

void world_wake(struct world_worker *worker)
{
    if (worker->alive)
        arm(worker, world_now() + 1);
}

static void commit_all(void *context)
{
    struct world_worker *worker = context;
    for (uint32_t partition = 0; partition < WORLD_PARTITIONS; partition++)
        for (uint32_t topic = 0; topic < topic_count; topic++)
            if (worker->slots[partition][topic] != NULL)
                commit(worker->slots[partition][topic]);
    world_at(COMMIT_EVERY_MS, world_whose(worker), commit_all, worker);
}

/* Slots of a ledger are numbered from 0, offsets here have no gaps: together they name the record, and so the task. */
static void oracle_hears(void *context, struct delivery_home *home, uint64_t number, bool handled)
{
    struct slot *slot = container_of(home, struct slot, home);
    const struct log *log = &logs[slot->topic][slot->partition];
    oracle_released(world_account_of(log->records[slot->first_offset + (int64_t)number].event->value), context);
    release(context, home, number, handled);
}

static void birth(struct world_worker *worker)
{
    struct scheduler_options scheduler_options = { .max_in_flight = 64,
                                                   .endpoint_max_in_flight = 32,
                                                   .origin_max_connections = 32,
                                                   .attempt_timeout_ms = 10000,
                                                   .held_bytes_max = 1 << 20,
                                                   .give_up_after_ms = 600000 };
    worker->life++;
    worker->alive = true;
    worker->frozen = false;
    worker->draining = false;
    worker->wake_at_ms = UINT64_MAX;
    worker->timers = timers_create(world_now());
    worker->claims = claims_fake(worker);
    worker->lanes = lanes_fake(worker);
    worker->scheduler = scheduler_create(&scheduler_options);
    struct deliveries_options options = { .claims = worker->claims,
                                          .scheduler = worker->scheduler,
                                          .lanes = worker->lanes,
                                          .timers = worker->timers,
                                          .guard = &guard,
                                          .schedule = &schedule,
                                          .exits = { .context = worker, .retry = publish, .dead = publish, .release = oracle_hears },
                                          .attempt_timeout_ms = 10000,
                                          .lease_ms = LEASE_MS,
                                          .max_event_age_ms = 24 * 3600 * 1000,
                                          .max_event_bytes = 1 << 20,
                                          .give_up_after_ms = 600000,
                                          .redis_wait_ms = 60000,
                                          .redis_down_delivers = true,
                                          .version = "test" };
    worker->deliveries = deliveries_create(&options);
    hold_world_tell(worker);
    world_at(COMMIT_EVERY_MS, world_whose(worker), commit_all, worker);
}

/* Everything in the worker's memory is gone; what is under way outside goes on. */
static void death(struct world_worker *worker)
{
    oracle_crash(worker);
    worker->alive = false;
    worker->life++;
    for (uint32_t partition = 0; partition < WORLD_PARTITIONS; partition++)
        for (uint32_t topic = 0; topic < topic_count; topic++)
            if (worker->slots[partition][topic] != NULL) {
                retire(worker->slots[partition][topic]);
                worker->slots[partition][topic] = NULL;
            }
    deliveries_destroy(worker->deliveries);
    for (size_t i = 0; i < worker->retired_count; i++) {
        ledger_finish(&worker->retired[i]->ledger);
        free(worker->retired[i]);
    }
    worker->retired_count = 0;
    scheduler_destroy(worker->scheduler);
    if (!killing) /* killed from within one of its timers: they are left to themselves */
        timers_destroy(worker->timers);
    lanes_destroy(worker->lanes);
    claims_destroy(worker->claims);
}

/* ---- faults ---- */

/* Alive, and not about to end. */
static struct world_worker *some_worker(void)
{
    size_t start = world_random(world_plan->workers);
    for (size_t i = 0; i < world_plan->workers; i++) {
        struct world_worker *worker = &workers[(start + i) % world_plan->workers];
        if (worker->alive && !worker->draining)
            return worker;
    }
    return NULL;
}

static struct world_worker *some_alive(void)
{
    size_t start = world_random(world_plan->workers);
    for (size_t i = 0; i < world_plan->workers; i++)
        if (workers[(start + i) % world_plan->workers].alive)
            return &workers[(start + i) % world_plan->workers];
    return NULL;
}

static void hand_over(void *context)
{
    uint32_t partition = (uint32_t)(uintptr_t)context;
    struct world_worker *to = some_worker();
    if (to == NULL) {
        world_at(1000, NOBODYS, hand_over, context);
        return;
    }
    owner[partition] = (uint32_t)(to - workers);
    if (to->slots[partition][INPUT] == NULL)
        assign_to(to, partition);
}

static void restart(void *context)
{
    birth(context);
    world_wake(context);
}

static void kill_worker(struct world_worker *worker)
{
    death(worker);
    for (uint32_t partition = 0; partition < WORLD_PARTITIONS; partition++)
        if (owner[partition] == (uint32_t)(worker - workers)) {
            owner[partition] = WORLD_WORKERS_MAX;
            world_at(SESSION_MS, NOBODYS, hand_over, (void *)(uintptr_t)partition);
        }
    world_at(RESTART_MS, NOBODYS, restart, worker);
}

static void crash(void *context)
{
    struct world_worker *worker = some_alive();
    (void)context;
    if (worker != NULL)
        kill_worker(worker);
}

/* Partitions change hands while both sides live: the old owner hears of it first, or (frozen) late. */
static void move(void *context)
{
    uint32_t partition = (uint32_t)world_random(WORLD_PARTITIONS);
    struct world_worker *to = some_worker();
    (void)context;
    if (to == NULL || owner[partition] >= WORLD_WORKERS_MAX || to == &workers[owner[partition]])
        return;
    if (workers[owner[partition]].alive)
        revoke_from(&workers[owner[partition]], partition);
    owner[partition] = (uint32_t)(to - workers);
    if (to->slots[partition][INPUT] == NULL)
        assign_to(to, partition);
}

/* Everything is settled, or the time is over: commits, leaves the group (its partitions go on at once), ends, and is started again. */
static void leave(struct world_worker *worker)
{
    CRASH_POINT("drained", "", "");
    for (uint32_t partition = 0; partition < WORLD_PARTITIONS; partition++) {
        revoke_from(worker, partition);
        if (owner[partition] != (uint32_t)(worker - workers))
            continue;
        owner[partition] = WORLD_WORKERS_MAX;
        world_at(0, NOBODYS, hand_over, (void *)(uintptr_t)partition);
    }
    death(worker);
    world_at(RESTART_MS, NOBODYS, restart, worker);
}

static void look_whether_drained(void *context)
{
    struct world_worker *worker = context;
    struct deliveries_held held = deliveries_held(worker->deliveries);
    if (held.first_attempts + held.retries == 0 || world_now() >= worker->drain_until_ms)
        leave(worker);
    else
        world_at(DRAIN_LOOK_MS, world_whose(worker), look_whether_drained, worker);
}

/* SIGTERM, as consumer/worker.c takes it: nothing more is read, heads stay where they lie, what is unsent is released. */
static void begin_drain(void *context)
{
    struct world_worker *worker = context;
    if (worker->draining)
        return;
    worker->draining = true;
    worker->drain_until_ms = world_now() + DRAIN_MS;
    for (uint32_t partition = 0; partition < WORLD_PARTITIONS; partition++)
        for (uint32_t topic = 0; topic < topic_count; topic++)
            if (worker->slots[partition][topic] != NULL)
                timers_stop(worker->timers, &worker->slots[partition][topic]->due);
    deliveries_drain(worker->deliveries);
    CRASH_POINT("draining", "", "");
    world_wake(worker);
    world_at(DRAIN_LOOK_MS, world_whose(worker), look_whether_drained, worker);
}

static void term(void *context)
{
    struct world_worker *worker = some_worker();
    (void)context;
    if (worker != NULL)
        world_at(0, world_whose(worker), begin_drain, worker);
}

static void late_revoke(void *context)
{
    struct world_worker *worker = context;
    for (uint32_t partition = 0; partition < WORLD_PARTITIONS; partition++)
        if (owner[partition] != (uint32_t)(worker - workers) && worker->slots[partition][INPUT] != NULL)
            revoke_from(worker, partition);
}

/* SIGSTOP beyond the session timeout: its partitions go elsewhere, then it comes back as a zombie and learns of that only a little later. */
static void freeze(void *context)
{
    struct world_worker *worker = some_alive();
    uint64_t length_ms = SESSION_MS + world_random(2 * LEASE_MS);
    (void)context;
    if (worker == NULL)
        return;
    worker->frozen = true;
    worker->frozen_until_ms = world_now() + length_ms;
    for (uint32_t partition = 0; partition < WORLD_PARTITIONS; partition++)
        if (owner[partition] == (uint32_t)(worker - workers)) {
            owner[partition] = WORLD_WORKERS_MAX;
            world_at(SESSION_MS, NOBODYS, hand_over, (void *)(uintptr_t)partition);
        }
    world_at(length_ms + 20, world_whose(worker), late_revoke, worker);
}

static void snapshot(void *context)
{
    (void)context;
    redis_world_snapshot();
}

static void rollback(void *context)
{
    (void)context;
    redis_world_rollback();
    oracle_excuse_all(WORLD_ATTEMPTS_MAX);
}

static void redis_back(void *context)
{
    (void)context;
    redis_world_away(false);
}

static void redis_outage(void *context)
{
    (void)context;
    redis_world_away(true);
    oracle_excuse_all(2);
    world_at(world_random(90000), NOBODYS, redis_back, NULL);
}

static void step_clock(void *context)
{
    (void)context;
    world_step_redis_clock(world_chance(50) ? 3600000 : -3600000);
    oracle_excuse_all(2); /* leases end early */
}

uint64_t world_retry_delay_ms(uint32_t attempt)
{
    return attempt >= 2 && attempt - 2 < schedule.retries.count ? schedule.retries.ms[attempt - 2] : 0;
}

static void plan_faults(void)
{
    const struct {
        uint32_t count;
        happening *what;
    } faults[] = { { world_plan->crashes, crash },
                   { world_plan->freezes, freeze },
                   { world_plan->moves, move },
                   { world_plan->terms, term },
                   { world_plan->redis_rollbacks, snapshot },
                   { world_plan->redis_rollbacks, rollback },
                   { world_plan->redis_outages, redis_outage },
                   { world_plan->redis_clock_steps, step_clock } };
    for (size_t i = 0; i < COUNT_OF(faults); i++)
        for (uint32_t k = 0; k < faults[i].count; k++)
            world_at(world_random(FAULTS_UNTIL_MS), NOBODYS, faults[i].what, NULL);
}

/* ---- the run ---- */

struct world_whose world_whose(struct world_worker *worker)
{
    return (struct world_whose){ worker, worker->life };
}

void world_at(uint64_t delay_ms, struct world_whose whose, happening *what, void *context)
{
    heap_push(delay_ms, (struct heap_entry){ .whose = whose, .what = what, .context = context });
}

static void publish_some(void *context)
{
    uint32_t task = (uint32_t)(uintptr_t)context;
    publish_event(task, false);
    if (world_chance(world_plan->duplicates_percent))
        publish_event(task, false);
    if (world_chance(world_plan->conflicts_percent))
        publish_event(task, true);
    if (world_chance(world_plan->replays_percent))
        world_at(world_random(REPLAYS_AFTER_MS), NOBODYS, publish_replay, (void *)(uintptr_t)task);
    for (uint32_t i = 0; i < world_plan->workers; i++)
        world_wake(&workers[i]);
}

static bool all_committed(void)
{
    for (uint32_t topic = 0; topic < topic_count; topic++)
        for (uint32_t partition = 0; partition < WORLD_PARTITIONS; partition++)
            if (topic != DLQ && logs[topic][partition].committed < (int64_t)logs[topic][partition].count)
                return false;
    return true;
}

static void make_topics(void)
{
    static const uint64_t retries[] = { 1000, 2000, 4000 }, defers[] = { 30000 };
    memset(&schedule, 0, sizeof(schedule));
    topic_count = 2;
    for (size_t i = 0; i < COUNT_OF(retries); i++)
        topic_delay_ms[topic_count++] = schedule.retries.ms[schedule.retries.count++] = retries[i];
    for (size_t i = 0; i < COUNT_OF(defers); i++)
        topic_delay_ms[topic_count++] = schedule.defers.ms[schedule.defers.count++] = defers[i];
}

static void clear(void)
{
    for (uint32_t i = 0; i < WORLD_WORKERS_MAX; i++)
        if (workers[i].alive)
            death(&workers[i]);
    for (uint32_t topic = 0; topic < WORLD_TOPICS_MAX; topic++)
        for (uint32_t partition = 0; partition < WORLD_PARTITIONS; partition++) {
            struct log *log = &logs[topic][partition];
            for (size_t i = 0; i < log->count; i++)
                event_destroy(log->records[i].event);
            free(log->records);
            *log = (struct log){ 0 };
        }
    memset(workers, 0, sizeof(workers));
}

static void begin(const struct world_plan *plan)
{
    world_plan = plan;
    heap_reset(plan->seed);
    oracle_reset(plan);
    redis_world_reset();
    hold_world_reset();
    start_ms = world_now();
    make_topics();
    for (uint32_t i = 0; i < plan->workers; i++)
        birth(&workers[i]);
    for (uint32_t partition = 0; partition < WORLD_PARTITIONS; partition++) {
        owner[partition] = partition % plan->workers;
        assign_to(&workers[owner[partition]], partition);
    }
    for (uint32_t task = 0; task < plan->tasks; task++)
        world_at(world_random(60000), NOBODYS, publish_some, (void *)(uintptr_t)task);
    plan_faults();
    hold_world_begin(FAULTS_UNTIL_MS);
}

static void happen(const struct heap_entry *entry)
{
    struct world_worker *worker = entry->whose.worker;
    if (worker != NULL && entry->whose.life != worker->life)
        return; /* it died meanwhile: its memory is gone, and so is this */
    if (worker != NULL && worker->frozen && world_now() < worker->frozen_until_ms) {
        heap_push(worker->frozen_until_ms - world_now(), *entry);
        return;
    }
    at_work = worker;
    if (setjmp(killed) == 0) {
        entry->what(entry->context);
        return;
    }
    killing = true;
    kill_worker(at_work);
    killing = false;
}

void world_kill(void)
{
    assert(at_work != NULL);
    longjmp(killed, 1);
}

struct world_verdict world_run(const struct world_plan *plan)
{
    struct heap_entry entry;
    begin(plan);
    uint64_t check_ms = start_ms + FAULTS_UNTIL_MS + 60000;
    while (heap_pop(&entry)) {
        happen(&entry);
        if (world_now() < check_ms)
            continue;
        if (all_committed())
            break;
        check_ms = world_now() + 1000;
        if (world_now() > start_ms + END_MS) {
            oracle_undone("offsets are left open");
            break;
        }
    }
    struct world_verdict verdict = oracle_judge();
    clear();
    return verdict;
}
