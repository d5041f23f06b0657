/* Claims against a real Redis: every stored state × every operation, held against the tables of the design written down once more in C. */
#include "consumer/base/clock.h"
#include "consumer/base/random.h"
#include "dedupe/claims.h"
#include "tests/edge/redis_server.h"

#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

enum {
    WAIT_MS = 20000, /* for anything that must happen */
    LEASE_MS = 20000,
    STATE_TTL_MS = 7200000, /* what every write renews */
    STORED_TTL_MS = 3600000,
};

#define PREFIX "jobhook:jobhook:"

static struct redis_server server;
static struct redisContext *side; /* blocking, on the side */
static uv_loop_t loop;

struct worker {
    struct redis_address address;
    struct redis *redis;
    struct claims *claims;
};
static struct worker one, two;

static void start_worker(struct worker *worker, uint64_t lease_ms)
{
    const char *problem = NULL;
    cr_assert(redis_address_parse(slice_of(server.url), &worker->address, &problem));
    worker->redis = redis_create(&loop, &(struct redis_options){ .address = &worker->address, .command_timeout_ms = WAIT_MS });
    worker->claims = claims_create(worker->redis, &(struct claims_options){ .prefix = PREFIX, .lease_ms = lease_ms, .state_ttl_ms = STATE_TTL_MS });
    uint64_t until_ms = clock_monotonic_ms() + WAIT_MS;
    while (!claims_reached(worker->claims) && clock_monotonic_ms() < until_ms)
        uv_run(&loop, UV_RUN_ONCE);
    cr_assert(claims_reached(worker->claims));
    cr_assert_eq(claims_away_since_ms(worker->claims), 0);
}

static void stop_worker(struct worker *worker)
{
    claims_destroy(worker->claims);
    redis_destroy(worker->redis);
    redis_address_finish(&worker->address);
}

static void start(void)
{
    redis_server_start(&server, NULL);
    side = redis_server_dial(&server);
    uv_loop_init(&loop);
    start_worker(&one, LEASE_MS);
}

static void stop(void)
{
    stop_worker(&one);
    if (two.redis != NULL)
        stop_worker(&two);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&loop), 0);
    redisFree(side);
    redis_server_stop(&server);
}

TestSuite(claims, .init = start, .fini = stop, .timeout = 240);

/* --- the side --- */

static long long side_number(const char *command)
{
    redisReply *reply = redisCommand(side, command);
    cr_assert_not_null(reply);
    long long number = reply->integer;
    freeReplyObject(reply);
    return number;
}

static int64_t redis_now_ms(void)
{
    redisReply *reply = redisCommand(side, "TIME");
    cr_assert(reply != NULL && reply->elements == 2);
    int64_t ms = strtoll(reply->element[0]->str, NULL, 10) * 1000 + strtoll(reply->element[1]->str, NULL, 10) / 1000;
    freeReplyObject(reply);
    return ms;
}

struct stored {
    size_t length; /* 0: no such key, or not a string */
    char bytes[256];
    long long ttl_ms;
};

static void store(const char *key, const char *bytes, size_t length)
{
    redisReply *reply = redisCommand(side, "SET %s %b PX %d", key, bytes, length, STORED_TTL_MS);
    cr_assert(reply != NULL && reply->type == REDIS_REPLY_STATUS);
    freeReplyObject(reply);
}

static void fetch(const char *key, struct stored *stored)
{
    *stored = (struct stored){ 0 };
    redisReply *reply = redisCommand(side, "GET %s", key);
    cr_assert_not_null(reply);
    if (reply->type == REDIS_REPLY_STRING) {
        cr_assert_leq(reply->len, sizeof stored->bytes);
        memcpy(stored->bytes, reply->str, reply->len);
        stored->length = reply->len;
    }
    freeReplyObject(reply);
    reply = redisCommand(side, "PTTL %s", key);
    cr_assert_not_null(reply);
    stored->ttl_ms = reply->integer;
    freeReplyObject(reply);
}

static void forget(const char *key)
{
    redisReply *reply = redisCommand(side, "DEL %s", key);
    cr_assert_not_null(reply);
    freeReplyObject(reply);
}

/* --- asking and waiting --- */

struct heard {
    size_t count;
    struct claims_answer answer;
};

static void hear(void *context, const struct claims_answer *answer)
{
    struct heard *heard = context;
    heard->count++;
    heard->answer = *answer;
}

static void wait_for(const struct heard *heard)
{
    uint64_t until_ms = clock_monotonic_ms() + WAIT_MS;
    while (heard->count == 0 && clock_monotonic_ms() < until_ms)
        uv_run(&loop, UV_RUN_ONCE);
    cr_assert_eq(heard->count, 1, "no answer, or more than one");
}

enum operation { CLAIM, FAIL, SCHEDULE, BURY, DELIVER, DEFER, RELEASE, OPERATIONS };
static const char *const operation_names[] = { "claim", "fail", "settle S", "settle X", "settle D", "defer", "release" };

enum { NEXT = 7 };
static const int64_t due_ms = 1800000000123;

static struct claims_answer operate(struct worker *worker, enum operation operation, const struct claim *claim)
{
    struct heard heard = { 0 };
    switch (operation) {
    case CLAIM:
        claims_claim(worker->claims, claim, hear, &heard);
        break;
    case FAIL:
        claims_fail(worker->claims, claim, NEXT, hear, &heard);
        break;
    case SCHEDULE:
        claims_settle(worker->claims, claim, CLAIMS_SCHEDULED, due_ms, hear, &heard);
        break;
    case BURY:
        claims_settle(worker->claims, claim, CLAIMS_DEAD, 0, hear, &heard);
        break;
    case DELIVER:
        claims_settle(worker->claims, claim, CLAIMS_DELIVERED, 0, hear, &heard);
        break;
    case DEFER:
        claims_defer(worker->claims, claim, due_ms, hear, &heard);
        break;
    case RELEASE: { /* nobody waits for it: a call behind it on the same connection does */
        claims_release(worker->claims, claim);
        const struct claim other = { .task_id = SLICE("behind"), .attempt = 1, .partition = -1 };
        claims_claim(worker->claims, &other, hear, &heard);
        wait_for(&heard);
        return (struct claims_answer){ .result = CLAIMS_OK };
    }
    case OPERATIONS:
        break;
    }
    cr_assert_eq(heard.count, 0, "an answer before the call returned");
    wait_for(&heard);
    return heard.answer;
}

/* --- the tables of the design, once more --- */

enum lease { NO_LEASE, OWN_RUNNING, OWN_OVER, OTHER_RUNNING, OTHER_OVER, OTHER_TOO_LONG };

struct state {
    bool exists;
    struct record record;
    enum lease lease;
    bool same_digest;
};

enum new_lease { LEASE_NONE, LEASE_OURS, LEASE_KEPT, LEASE_CLAMPED };

struct expected {
    enum claims_result result;
    uint8_t next;
    bool written;
    struct record record; /* if written; of a lease only what `lease` says */
    enum new_lease lease;
};

static bool knows_another_event(const struct state *state, const struct claim *claim)
{
    return state->exists && state->record.rank > 0 && !state->same_digest && rank_epoch(state->record.rank) >= claim->epoch;
}

static bool is_at(const struct state *state, uint64_t rank)
{
    return state->exists && state->record.rank == rank;
}

static bool is_busy(const struct state *state, const struct claim *claim)
{
    return is_at(state, rank_claimed(claim->epoch, claim->attempt)) && (state->lease == OTHER_RUNNING || state->lease == OTHER_TOO_LONG);
}

/* The record that a write of (rank, deferral) leaves: digest and place are the claim's, the place only where it is known. */
static struct expected writes(const struct state *state, const struct claim *claim, uint64_t rank, uint32_t deferral)
{
    struct expected expected = { .result = CLAIMS_OK, .written = true, .record = { .rank = rank, .deferral = deferral, .digest = claim->digest } };
    bool known = claim->partition >= 0, kept = !known && state->exists;
    expected.record.partition = known ? claim->partition : kept ? state->record.partition : -1;
    expected.record.offset = known ? claim->offset : kept ? state->record.offset : -1;
    return expected;
}

static struct expected answers(enum claims_result result)
{
    return (struct expected){ .result = result };
}

static struct expected expect_busy(const struct state *state, const struct claim *claim)
{
    struct expected expected = answers(CLAIMS_BUSY);
    if (state->lease == OTHER_TOO_LONG) {
        expected = writes(state, claim, state->record.rank, state->record.deferral);
        expected.result = CLAIMS_BUSY;
        expected.lease = LEASE_CLAMPED;
    }
    return expected;
}

static struct expected expect_claim(const struct state *state, const struct claim *claim)
{
    uint64_t rank = state->exists ? state->record.rank : 0;
    if (knows_another_event(state, claim))
        return answers(CLAIMS_CONFLICT);
    if (rank >= rank_scheduled(claim->epoch, claim->attempt))
        return answers(CLAIMS_SKIP);
    if (is_at(state, rank_claimed(claim->epoch, claim->attempt)) && state->record.deferral > claim->deferral)
        return answers(CLAIMS_SKIP);
    if (is_at(state, rank_failed(claim->epoch, claim->attempt)))
        return (struct expected){ .result = CLAIMS_RESUME, .next = state->record.next };
    if (is_busy(state, claim))
        return expect_busy(state, claim);
    struct expected expected = writes(state, claim, rank_claimed(claim->epoch, claim->attempt), claim->deferral);
    expected.result = CLAIMS_GRANT;
    expected.lease = LEASE_OURS;
    return expected;
}

static struct expected expect_fail(const struct state *state, const struct claim *claim)
{
    uint64_t rank = state->exists ? state->record.rank : 0;
    if (knows_another_event(state, claim))
        return answers(CLAIMS_FOREIGN);
    if (rank >= rank_scheduled(claim->epoch, claim->attempt))
        return answers(CLAIMS_SKIP);
    if (is_at(state, rank_failed(claim->epoch, claim->attempt)))
        return (struct expected){ .result = CLAIMS_OK, .next = state->record.next };
    if (is_busy(state, claim))
        return expect_busy(state, claim);
    struct expected expected = writes(state, claim, rank_failed(claim->epoch, claim->attempt), 0);
    expected.next = expected.record.next = NEXT;
    return expected;
}

static struct expected expect_settle(const struct state *state, const struct claim *claim, uint64_t rank, int64_t due)
{
    if (knows_another_event(state, claim))
        return answers(CLAIMS_FOREIGN);
    if (state->exists && state->record.rank >= rank)
        return answers(CLAIMS_OK);
    struct expected expected = writes(state, claim, rank, 0);
    if (rank_kind(rank) == RANK_KIND_SCHEDULED)
        expected.record.due_ms = due;
    else
        expected.record.attempts = claim->attempts;
    return expected;
}

static struct expected expect_defer(const struct state *state, const struct claim *claim)
{
    uint64_t rank = state->exists ? state->record.rank : 0, claimed = rank_claimed(claim->epoch, claim->attempt);
    uint32_t deferral = claim->deferral + 1;
    if (knows_another_event(state, claim))
        return answers(CLAIMS_FOREIGN);
    if (rank > claimed)
        return answers(CLAIMS_OK);
    struct expected expected = writes(state, claim, claimed, deferral);
    expected.record.due_ms = due_ms;
    if (rank < claimed)
        return expected;
    if (state->record.deferral < deferral && is_busy(state, claim)) {
        expected.record.due_ms = 0;
        expected.lease = state->lease == OTHER_TOO_LONG ? LEASE_CLAMPED : LEASE_KEPT;
        return expected;
    }
    if (state->record.deferral < deferral)
        return expected;
    if (state->lease != OWN_RUNNING && state->lease != OWN_OVER)
        return answers(CLAIMS_OK);
    expected.record.deferral = state->record.deferral;
    expected.record.due_ms = state->record.deferral == deferral ? due_ms : 0;
    return expected;
}

static struct expected expect_release(const struct state *state, const struct claim *claim)
{
    if (!state->exists || (state->lease != OWN_RUNNING && state->lease != OWN_OVER))
        return answers(CLAIMS_OK);
    return writes(state, claim, state->record.rank, state->record.deferral);
}

static struct expected expect(enum operation operation, const struct state *state, const struct claim *claim)
{
    switch (operation) {
    case CLAIM:
        return expect_claim(state, claim);
    case FAIL:
        return expect_fail(state, claim);
    case SCHEDULE:
        return expect_settle(state, claim, rank_scheduled(claim->epoch, claim->attempt), due_ms);
    case BURY:
        return expect_settle(state, claim, rank_dead(claim->epoch), 0);
    case DELIVER:
        return expect_settle(state, claim, rank_delivered(claim->epoch), 0);
    case DEFER:
        return expect_defer(state, claim);
    case RELEASE:
    case OPERATIONS:
        break;
    }
    return expect_release(state, claim);
}

/* --- every state × every operation --- */

enum { EPOCH = 2, ATTEMPT = 2, DEFERRAL = 1 };
static const uint64_t digest = 0xfedcba9876543210, other_digest = 0xfedcba9876543211;

static const struct claim asked = {
    .task_id = { "task-1", 6 },
    .epoch = EPOCH,
    .attempt = ATTEMPT,
    .deferral = DEFERRAL,
    .token = { 0, 255, 1, 13, 10, 36, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 }, /* NUL, line ends and "$" are bytes like any other */
    .digest = 0xfedcba9876543210,
    .partition = 11,
    .offset = 1234567890123,
    .outcome = 503,
    .attempts = 5,
};
static const char key[] = PREFIX "task-1";
static size_t cases_run;

static void describe(const struct state *state, enum operation operation, char text[200])
{
    const struct record *record = &state->record;
    snprintf(text, 200, "%s on %s rank %llu deferral %u lease %d %s digest place %d", operation_names[operation], state->exists ? "a" : "no",
             (unsigned long long)record->rank, record->deferral, (int)state->lease, state->same_digest ? "same" : "other", (int)record->partition);
}

static void check_lease(const struct expected *expected, const struct state *state, const struct record *after, const int64_t now_ms[2])
{
    cr_assert_eq(after->leased, expected->lease != LEASE_NONE);
    if (expected->lease == LEASE_NONE)
        return;
    const uint8_t *token = expected->lease == LEASE_OURS ? asked.token : state->record.token;
    uint32_t length = expected->lease == LEASE_OURS ? LEASE_MS : state->record.lease_ms;
    cr_assert_arr_eq(after->token, token, TOKEN_BYTES);
    cr_assert_eq(after->lease_ms, length);
    if (expected->lease == LEASE_KEPT) {
        cr_assert_eq(after->lease_end_ms, state->record.lease_end_ms);
        return;
    }
    cr_assert_geq(after->lease_end_ms, now_ms[0] + length);
    cr_assert_leq(after->lease_end_ms, now_ms[1] + length);
}

static void check_written(const struct expected *expected, const struct state *state, const struct stored *after, const int64_t now_ms[2])
{
    struct record record;
    cr_assert(record_unpack((struct slice){ after->bytes, after->length }, &record));
    cr_assert_leq(after->length, record.leased ? RECORD_BYTES_MAX : RECORD_BYTES_SETTLED_MAX);
    cr_assert_eq(record.rank, expected->record.rank);
    cr_assert_eq(record.deferral, expected->record.deferral);
    cr_assert_eq(record.next, expected->record.next);
    cr_assert_eq(record.digest, expected->record.digest);
    cr_assert_eq(record.partition, expected->record.partition);
    cr_assert_eq(record.offset, expected->record.offset);
    cr_assert_eq(record.due_ms, expected->record.due_ms);
    cr_assert_eq(record.attempts, expected->record.attempts);
    cr_assert_eq(record.outcome, asked.outcome);
    cr_assert(after->ttl_ms > STORED_TTL_MS && after->ttl_ms <= STATE_TTL_MS, "the TTL was not renewed");
    check_lease(expected, state, &record, now_ms);
}

static void check_busy(const struct claims_answer *answer, const struct state *state, const int64_t now_ms[2])
{
    if (answer->result != CLAIMS_BUSY) {
        cr_assert_eq(answer->busy_ms, 0);
        return;
    }
    if (state->lease == OTHER_TOO_LONG) {
        cr_assert_eq(answer->busy_ms, state->record.lease_ms);
        return;
    }
    cr_assert_leq((int64_t)answer->busy_ms, state->record.lease_end_ms - now_ms[0]);
    cr_assert_geq((int64_t)answer->busy_ms, state->record.lease_end_ms - now_ms[1]);
}

/* Ranks and deferrals never go down, whatever is asked. */
static void check_monotone(const struct state *state, const struct record *after)
{
    cr_assert(after->rank > state->record.rank || (after->rank == state->record.rank && after->deferral >= state->record.deferral));
}

static void check_case(const struct state *state, enum operation operation, const struct claim *claim)
{
    char text[200];
    struct stored before = { 0 }, after;
    describe(state, operation, text);
    if (state->exists) {
        before.length = record_pack(&state->record, before.bytes);
        store(key, before.bytes, before.length);
    } else {
        forget(key);
    }
    struct expected expected = expect(operation, state, claim);
    int64_t now_ms[2] = { redis_now_ms() };
    struct claims_answer answer = operate(&one, operation, claim);
    now_ms[1] = redis_now_ms();
    fetch(key, &after);
    cr_assert_eq(answer.result, expected.result, "%s: answered %d, expected %d", text, (int)answer.result, (int)expected.result);
    cr_assert_eq(answer.next, expected.next, "%s: next %d, expected %d", text, answer.next, expected.next);
    check_busy(&answer, state, now_ms);
    if (expected.written) {
        cr_assert_gt(after.length, 0, "%s: nothing was written", text);
        check_written(&expected, state, &after, now_ms);
        if (state->exists)
            check_monotone(state, &expected.record);
    } else {
        cr_assert_eq(after.length, before.length, "%s: something was written", text);
        cr_assert_arr_eq(after.bytes, before.bytes, before.length);
        cr_assert_leq(after.ttl_ms, STORED_TTL_MS);
    }
    cases_run++;
}

static void check_operations(const struct state *state)
{
    for (enum operation operation = CLAIM; operation < OPERATIONS; operation++) {
        struct claim claim = asked;
        check_case(state, operation, &claim);
        claim.partition = -1;
        claim.offset = 99; /* means nothing without a partition */
        check_case(state, operation, &claim);
    }
}

static void give_lease(struct state *state, enum lease lease)
{
    static const struct {
        bool leased, own;
        int64_t left_ms;
        uint32_t length_ms;
    } leases[] = {
        [NO_LEASE] = { false, false, 0, 0 },         [OWN_RUNNING] = { true, true, 500000, 1000000 },
        [OWN_OVER] = { true, true, -1000, 1000000 }, [OTHER_RUNNING] = { true, false, 500000, 1000000 },
        [OTHER_OVER] = { true, false, 0, 1000000 },  [OTHER_TOO_LONG] = { true, false, 500000, 30000 },
    };
    struct record *record = &state->record;
    state->lease = lease;
    record->leased = leases[lease].leased;
    record->due_ms = record->leased ? 0 : 1700000000000;
    if (!record->leased)
        return;
    memcpy(record->token, asked.token, TOKEN_BYTES);
    record->token[TOKEN_BYTES - 1] = leases[lease].own ? asked.token[TOKEN_BYTES - 1] : 77;
    record->lease_end_ms = redis_now_ms() + leases[lease].left_ms;
    record->lease_ms = leases[lease].length_ms;
}

/* A state in both digests and with and without a place. */
static void check_state(struct state state)
{
    state.exists = true;
    for (int i = 0; i < 4; i++) {
        state.same_digest = (i & 1) == 0;
        state.record.digest = state.same_digest ? digest : other_digest;
        state.record.partition = (i & 2) == 0 ? 3 : -1;
        state.record.offset = (i & 2) == 0 ? 77 : -1;
        check_operations(&state);
    }
}

static void check_claimed(uint32_t epoch, uint32_t attempt)
{
    for (uint32_t deferral = 0; deferral <= DEFERRAL + 2; deferral++) {
        for (enum lease lease = NO_LEASE; lease <= OTHER_TOO_LONG; lease++) {
            struct state state = { .record = { .rank = rank_claimed(epoch, attempt), .deferral = deferral } };
            give_lease(&state, lease);
            check_state(state);
        }
    }
}

static void check_epoch(uint32_t epoch)
{
    for (uint32_t attempt = ATTEMPT - 1; attempt <= ATTEMPT + 1; attempt++) {
        check_claimed(epoch, attempt);
        check_state((struct state){ .record = { .rank = rank_failed(epoch, attempt), .next = 3 } });
        check_state((struct state){ .record = { .rank = rank_scheduled(epoch, attempt), .due_ms = 1700000000000 } });
    }
    check_state((struct state){ .record = { .rank = rank_dead(epoch) } });
    check_state((struct state){ .record = { .rank = rank_delivered(epoch) } });
}

Test(claims, do_what_the_tables_say_in_a_state_of_an_earlier_epoch)
{
    check_epoch(EPOCH - 1);
    cr_assert_eq(cases_run, 80 * 4 * 2 * OPERATIONS);
}

Test(claims, do_what_the_tables_say_in_a_state_of_the_same_epoch)
{
    check_epoch(EPOCH);
    cr_assert_eq(cases_run, 80 * 4 * 2 * OPERATIONS);
}

Test(claims, do_what_the_tables_say_in_a_state_of_a_later_epoch)
{
    check_epoch(EPOCH + 1);
    cr_assert_eq(cases_run, 80 * 4 * 2 * OPERATIONS);
}

Test(claims, do_what_the_tables_say_where_nothing_or_only_a_place_is_stored)
{
    check_operations(&(struct state){ .exists = false });
    check_state((struct state){ .record = { .rank = 0 } });
    cr_assert_eq(cases_run, 5 * 2 * OPERATIONS);
}

Test(claims, a_place_alone_conflicts_with_no_first_claim)
{
    struct claim first = asked;
    first.epoch = 0;
    first.attempt = 1;
    first.deferral = 0;
    char bytes[RECORD_BYTES_MAX];
    store(key, bytes, record_pack(&(struct record){ .rank = 0, .partition = 3, .offset = 77 }, bytes));
    cr_assert_eq(operate(&one, CLAIM, &first).result, CLAIMS_GRANT);
}

Test(claims, the_largest_epoch_and_attempt_are_exact)
{
    struct claim last = asked;
    last.epoch = UINT32_MAX;
    last.attempt = RANK_ATTEMPTS_MAX;
    struct stored stored;
    struct record record;
    cr_assert_eq(operate(&one, CLAIM, &last).result, CLAIMS_GRANT);
    cr_assert_eq(operate(&one, FAIL, &last).result, CLAIMS_OK);
    cr_assert_eq(operate(&one, CLAIM, &last).result, CLAIMS_RESUME);
    fetch(key, &stored);
    cr_assert(record_unpack((struct slice){ stored.bytes, stored.length }, &record));
    cr_assert_eq(record.rank, rank_failed(UINT32_MAX, RANK_ATTEMPTS_MAX));
    cr_assert_eq(operate(&one, DELIVER, &last).result, CLAIMS_OK);
    fetch(key, &stored);
    cr_assert(record_unpack((struct slice){ stored.bytes, stored.length }, &record));
    cr_assert_eq(record.rank, rank_delivered(UINT32_MAX));
}

/* What cannot be read counts as no record: that can only repeat attempts. */
Test(claims, a_record_that_cannot_be_read_counts_as_none)
{
    char other_version[RECORD_BYTES_MAX];
    size_t length = record_pack(&(struct record){ .rank = rank_delivered(EPOCH), .digest = digest }, other_version);
    other_version[0] = 2;
    const struct {
        struct slice head; /* zeros follow */
        size_t length;
    } cases[] = {
        { SLICE("x"), 1 },
        { SLICE(""), 0 },
        { SLICE("\1\0"), 2 },
        { SLICE("\1\2"), 43 },
        { SLICE("\1\1"), 43 },
        { SLICE("\1\0"), 63 },
        { { other_version, length }, length },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        for (enum operation operation = CLAIM; operation < OPERATIONS; operation++) {
            char bytes[RECORD_BYTES_MAX] = { 0 };
            memcpy(bytes, cases[i].head.start, cases[i].head.length);
            store(key, bytes, cases[i].length);
            const struct state none = { .exists = false };
            struct expected expected = expect(operation, &none, &asked);
            cr_assert_eq(operate(&one, operation, &asked).result, expected.result, "%s", operation_names[operation]);
            struct stored after;
            struct record record = { 0 };
            fetch(key, &after);
            cr_assert_eq(record_unpack((struct slice){ after.bytes, after.length }, &record), expected.written, "%s", operation_names[operation]);
            cr_assert_eq(record.rank, expected.record.rank);
        }
    }
}

Test(claims, a_key_of_another_type_counts_as_none)
{
    for (enum operation operation = CLAIM; operation < OPERATIONS; operation++) {
        forget(key);
        side_number("SADD " PREFIX "task-1 member");
        const struct state none = { .exists = false };
        cr_assert_eq(operate(&one, operation, &asked).result, expect(operation, &none, &asked).result, "%s", operation_names[operation]);
    }
}

/* --- lives --- */

static struct claim fresh_claim(const char *task_id)
{
    struct claim claim = { .task_id = slice_of(task_id), .attempt = 1, .digest = digest, .partition = 0, .offset = 1 };
    random_bytes(claim.token, TOKEN_BYTES);
    return claim;
}

Test(claims, of_two_workers_that_race_one_is_granted_and_the_other_waits)
{
    enum { TASKS = 300 };
    static struct heard heard[2][TASKS];
    static struct claim claims[2][TASKS];
    static char ids[TASKS][16];
    start_worker(&two, LEASE_MS);
    for (size_t i = 0; i < TASKS; i++) {
        snprintf(ids[i], sizeof ids[i], "race-%zu", i);
        claims[0][i] = fresh_claim(ids[i]);
        claims[1][i] = fresh_claim(ids[i]);
        claims_claim(one.claims, &claims[0][i], hear, &heard[0][i]);
        claims_claim(two.claims, &claims[1][i], hear, &heard[1][i]);
    }
    for (size_t i = 0; i < TASKS; i++) {
        wait_for(&heard[0][i]);
        wait_for(&heard[1][i]);
        enum claims_result first = heard[0][i].answer.result, second = heard[1][i].answer.result;
        cr_assert((first == CLAIMS_GRANT && second == CLAIMS_BUSY) || (first == CLAIMS_BUSY && second == CLAIMS_GRANT));
        size_t winner = first == CLAIMS_GRANT ? 0 : 1;
        struct worker *workers[] = { &one, &two };
        cr_assert_eq(operate(workers[winner], DELIVER, &claims[winner][i]).result, CLAIMS_OK);
        cr_assert_eq(operate(workers[!winner], CLAIM, &claims[!winner][i]).result, CLAIMS_SKIP);
    }
}

Test(claims, a_lease_that_is_over_goes_to_who_asks_next)
{
    start_worker(&two, 50);
    struct claim dead = fresh_claim("lease"), heir = fresh_claim("lease");
    cr_assert_eq(operate(&two, CLAIM, &dead).result, CLAIMS_GRANT);
    uint64_t until_ms = clock_monotonic_ms() + WAIT_MS;
    struct claims_answer answer = operate(&one, CLAIM, &heir);
    while (answer.result == CLAIMS_BUSY && clock_monotonic_ms() < until_ms) {
        cr_assert(answer.busy_ms > 0 && answer.busy_ms <= 50);
        answer = operate(&one, CLAIM, &heir);
    }
    cr_assert_eq(answer.result, CLAIMS_GRANT);
    cr_assert_eq(operate(&two, FAIL, &dead).result, CLAIMS_BUSY, "whose lease is over may not fail under the new owner");
    cr_assert_eq(operate(&two, RELEASE, &dead).result, CLAIMS_OK);
    cr_assert_eq(operate(&two, CLAIM, &dead).result, CLAIMS_BUSY, "nor end the new owner's lease");
    cr_assert_eq(operate(&two, DELIVER, &dead).result, CLAIMS_OK, "but a 2xx is a fact");
    cr_assert_eq(operate(&one, FAIL, &heir).result, CLAIMS_SKIP);
}

Test(claims, a_released_lease_is_free_at_once)
{
    struct claim first = fresh_claim("free"), second = fresh_claim("free");
    cr_assert_eq(operate(&one, CLAIM, &first).result, CLAIMS_GRANT);
    cr_assert_eq(operate(&one, CLAIM, &second).result, CLAIMS_BUSY);
    cr_assert_eq(operate(&one, RELEASE, &first).result, CLAIMS_OK);
    cr_assert_eq(operate(&one, CLAIM, &second).result, CLAIMS_GRANT);
}

Test(claims, a_life_goes_from_attempt_to_attempt_and_a_replay_starts_anew)
{
    struct claim claim = fresh_claim("life");
    for (claim.attempt = 1; claim.attempt <= 3; claim.attempt++) {
        claim.deferral = 0;
        cr_assert_eq(operate(&one, CLAIM, &claim).result, CLAIMS_GRANT);
        cr_assert_eq(operate(&one, DEFER, &claim).result, CLAIMS_OK);
        cr_assert_eq(operate(&one, CLAIM, &claim).result, CLAIMS_SKIP);
        claim.deferral = 1;
        cr_assert_eq(operate(&one, CLAIM, &claim).result, CLAIMS_GRANT);
        cr_assert_eq(operate(&one, FAIL, &claim).result, CLAIMS_OK);
        struct claims_answer answer = operate(&one, CLAIM, &claim);
        cr_assert_eq(answer.result, CLAIMS_RESUME);
        cr_assert_eq(answer.next, NEXT);
        cr_assert_eq(operate(&one, claim.attempt < 3 ? SCHEDULE : BURY, &claim).result, CLAIMS_OK);
        cr_assert_eq(operate(&one, CLAIM, &claim).result, CLAIMS_SKIP);
    }
    struct claim replay = fresh_claim("life"), other = fresh_claim("life");
    other.digest = other_digest;
    cr_assert_eq(operate(&one, CLAIM, &other).result, CLAIMS_CONFLICT);
    other.epoch = replay.epoch = 1;
    cr_assert_eq(operate(&one, CLAIM, &replay).result, CLAIMS_GRANT);
    cr_assert_eq(operate(&one, CLAIM, &other).result, CLAIMS_CONFLICT);
    cr_assert_eq(operate(&one, DELIVER, &other).result, CLAIMS_FOREIGN);
    cr_assert_eq(operate(&one, DELIVER, &replay).result, CLAIMS_OK);
}

Test(claims, callbacks_of_destroyed_claims_never_fire)
{
    struct heard heard = { 0 }, behind = { 0 };
    struct claim claim = fresh_claim("gone"), later = fresh_claim("later");
    start_worker(&two, LEASE_MS);
    struct claims *gone = claims_create(two.redis, &(struct claims_options){ .prefix = PREFIX, .lease_ms = 1, .state_ttl_ms = 1000 });
    for (int i = 0; i < 10; i++)
        claims_claim(gone, &claim, hear, &heard);
    claims_destroy(gone);
    claims_claim(two.claims, &later, hear, &behind);
    wait_for(&behind);
    cr_assert_eq(heard.count, 0);
}

Test(claims, redis_clock_is_known_after_the_first_answer)
{
    struct claim claim = fresh_claim("clock");
    operate(&one, CLAIM, &claim);
    for (int i = 0; i < 100; i++) {
        int64_t before_ms = redis_now_ms(), ours_ms = claims_now_ms(one.claims), after_ms = redis_now_ms();
        /* Off by no more than the first answer took, which a busy machine may stretch. */
        cr_assert(ours_ms >= before_ms - 1000 && ours_ms <= after_ms + 1000);
    }
}

/* --- what it costs Redis --- */

static long long used_memory(void)
{
    redisReply *reply = redisCommand(side, "INFO memory");
    cr_assert_not_null(reply);
    const char *line = strstr(reply->str, "used_memory:");
    cr_assert_not_null(line);
    long long used = strtoll(line + strlen("used_memory:"), NULL, 10);
    freeReplyObject(reply);
    return used;
}

Test(claims, a_settled_task_takes_at_most_216_bytes)
{
    enum { TASKS = 10000, BYTES_MAX = 216 };
    struct claim claim = fresh_claim("first");
    operate(&one, CLAIM, &claim);
    operate(&one, DELIVER, &claim);
    long long before = used_memory();
    for (int i = 0; i < TASKS; i++) {
        char id[37];
        snprintf(id, sizeof id, "%08x-4a11-4c0d-9f00-%012x", (unsigned)i * 2654435761u, (unsigned)i);
        claim = fresh_claim(id);
        claim.offset = 1000000 + i;
        cr_assert_eq(operate(&one, CLAIM, &claim).result, CLAIMS_GRANT);
        cr_assert_eq(operate(&one, DELIVER, &claim).result, CLAIMS_OK);
    }
    long long each = (used_memory() - before) / TASKS;
    cr_log_info("%lld bytes for each settled task", each);
    cr_assert_leq(each, BYTES_MAX);
    cr_assert_geq(side_number("DBSIZE"), TASKS);
}
