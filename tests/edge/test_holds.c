/* Holds against a real Redis: who died with a thing in its hands, who gave it back, and that every call may be repeated. */
#include "consumer/base/clock.h"
#include "dedupe/holds.h"
#include "tests/edge/redis_server.h"

#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <string.h>
#include <uv.h>

enum { WAIT_MS = 20000, RANGE = 100, TTL_MS = 3600000 };

static struct redis_server server;
static struct redisContext *side;
static uv_loop_t loop;
static struct redis_address address;
static struct redis *redis;
static struct timers *timers;
static struct holds *holds;

static void turn(void)
{
    uv_run(&loop, UV_RUN_NOWAIT);
    timers_run(timers, clock_monotonic_ms());
    uv_sleep(1);
}

static void start(void)
{
    const char *problem;
    signal(SIGPIPE, SIG_IGN);
    redis_server_start(&server, NULL);
    side = redis_server_dial(&server);
    uv_loop_init(&loop);
    timers = timers_create(clock_monotonic_ms());
    cr_assert(redis_address_parse(slice_of(server.url), &address, &problem));
    redis = redis_create(&loop, &(struct redis_options){ .address = &address, .command_timeout_ms = WAIT_MS });
    holds = holds_create(redis, &(struct holds_options){ .prefix = "jobhook:g:", .ttl_ms = TTL_MS, .timers = timers });
}

static void stop(void)
{
    holds_destroy(holds);
    redis_destroy(redis);
    timers_destroy(timers);
    redis_address_finish(&address);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&loop), 0);
    redisFree(side);
    redis_server_stop(&server);
}

TestSuite(holds, .init = start, .fini = stop, .timeout = 120);

static size_t answers;
static struct hold_answer last;

static void note_answer(struct hold *hold, const struct hold_answer *answer)
{
    cr_assert_gt(hold->weight, 0);
    answers++;
    last = *answer;
}

static void begin(struct hold *hold, const char *name, int64_t at, uint32_t weight)
{
    hold_take(hold, holds, &(struct hold_terms){ .name = slice_of(name), .at = at, .range = RANGE, .weight = weight, .answered = note_answer });
}

static struct hold_answer take(struct hold *hold, const char *name, int64_t at, uint32_t weight)
{
    uint64_t until_ms = clock_monotonic_ms() + WAIT_MS;
    size_t before = answers;
    begin(hold, name, at, weight);
    cr_assert_eq(answers, before); /* never before the call has returned */
    while (answers == before && clock_monotonic_ms() < until_ms)
        turn();
    cr_assert_eq(answers, before + 1);
    return last;
}

static void settle(void)
{
    uint64_t until_ms = clock_monotonic_ms() + WAIT_MS;
    while (!holds_are_settled(holds) && clock_monotonic_ms() < until_ms)
        turn();
    cr_assert(holds_are_settled(holds));
}

static long long keys(void)
{
    redisReply *reply = redisCommand(side, "DBSIZE");
    long long count = reply->integer;
    freeReplyObject(reply);
    return count;
}

static void die(struct hold *hold)
{
    hold_drop(hold); /* what is left of a process that died: nothing, and Redis was not told */
}

#define ASSERT_ANSWER(got, dead_weight, from_offset)                                                                                                 \
    do {                                                                                                                                             \
        struct hold_answer got_ = (got);                                                                                                             \
        cr_assert_not(got_.away);                                                                                                                    \
        cr_assert_eq(got_.dead, dead_weight);                                                                                                        \
        cr_assert_eq(got_.from, from_offset);                                                                                                        \
    } while (0)

Test(holds, those_given_back_leave_nothing)
{
    struct hold hold = { 0 };
    for (int i = 0; i < 5; i++) {
        ASSERT_ANSWER(take(&hold, "t", 7, 1), 0, 7);
        cr_assert_eq(keys(), 1);
        hold_give_back(&hold);
        settle();
        cr_assert_eq(keys(), 0);
    }
}

Test(holds, deaths_at_the_same_offset_add_up_and_those_elsewhere_do_not_count)
{
    struct hold hold = { 0 };
    ASSERT_ANSWER(take(&hold, "t", 7, 1), 0, 7);
    die(&hold);
    ASSERT_ANSWER(take(&hold, "t", 8, 1), 0, 8); /* there was progress */
    die(&hold);
    ASSERT_ANSWER(take(&hold, "t", 8, 1), 1, 8);
    die(&hold);
    ASSERT_ANSWER(take(&hold, "t", 8, 4), 2, 8);
    die(&hold);
    ASSERT_ANSWER(take(&hold, "t", 8, 1), 6, 8);
    hold_drop(&hold);
    ASSERT_ANSWER(take(&hold, "another", 8, 1), 0, 8);
    hold_drop(&hold);
}

static void die_at(const char *name, int64_t at, int times)
{
    struct hold hold = { 0 };
    for (int i = 0; i < times; i++) {
        take(&hold, name, at, 1);
        die(&hold);
    }
}

Test(holds, progress_after_one_death_forgets_it)
{
    struct hold hold = { 0 };
    die_at("t", 7, 1);
    ASSERT_ANSWER(take(&hold, "t", 8, 1), 0, 8);
    hold_drop(&hold);
}

Test(holds, after_two_deaths_progress_within_the_range_still_counts)
{
    struct hold hold = { 0 };
    die_at("t", 7, 2);
    ASSERT_ANSWER(take(&hold, "t", 7 + RANGE - 1, 1), 2, 7);
    die(&hold);
    ASSERT_ANSWER(take(&hold, "t", 7 + 1, 1), 3, 7);
    die(&hold);
    ASSERT_ANSWER(take(&hold, "t", 6, 1), 0, 6); /* offsets that went back are another story */
    hold_drop(&hold);
}

Test(holds, the_range_has_an_end)
{
    struct hold hold = { 0 };
    die_at("t", 7, 2);
    ASSERT_ANSWER(take(&hold, "t", 7 + RANGE, 1), 0, 7 + RANGE);
    hold_drop(&hold);
}

Test(holds, an_end_in_order_takes_back_only_the_own_one)
{
    struct hold hold = { 0 };
    die_at("t", 7, 2);
    take(&hold, "t", 7, 1);
    hold_give_back(&hold);
    settle();
    ASSERT_ANSWER(take(&hold, "t", 9, 1), 2, 7); /* still in doubt */
    hold_drop(&hold);
}

Test(holds, a_zombie_counts_until_it_wakes_and_gives_back)
{
    struct hold zombie = { 0 }, next = { 0 }, third = { 0 };
    take(&zombie, "t", 7, 1);
    ASSERT_ANSWER(take(&next, "t", 7, 1), 1, 7);
    hold_give_back(&zombie);
    settle();
    ASSERT_ANSWER(take(&third, "t", 7, 1), 1, 7); /* `next`, not the zombie */
    hold_drop(&next);
    hold_drop(&third);
}

Test(holds, clearing_forgets_every_death)
{
    struct hold hold = { 0 };
    for (int i = 0; i < 3; i++) {
        take(&hold, "t", 7, 4);
        die(&hold);
    }
    ASSERT_ANSWER(take(&hold, "t", 7, 4), 12, 7);
    hold_clear(&hold);
    settle();
    cr_assert_eq(keys(), 0);
    ASSERT_ANSWER(take(&hold, "t", 7, 4), 0, 7);
    hold_drop(&hold);
}

Test(holds, the_weight_of_the_last_moment_counts)
{
    struct hold hold = { 0 };
    take(&hold, "t", 7, 4);
    hold_weigh(&hold, 1);
    hold_weigh(&hold, 1);
    settle();
    die(&hold);
    take(&hold, "t", 7, 4);
    hold_weigh(&hold, 1);
    hold_weigh(&hold, 4);
    settle();
    die(&hold);
    ASSERT_ANSWER(take(&hold, "t", 7, 4), 5, 7);
    hold_drop(&hold);
}

Test(holds, keys_end_by_themselves_and_are_no_tasks)
{
    struct hold hold = { 0 };
    take(&hold,
         "jobs.completed\x01"
         "3",
         7, 1);
    redisReply *reply = redisCommand(side, "PTTL %b",
                                     "jobhook:g:\x01hold\x01jobs.completed\x01"
                                     "3",
                                     (size_t)32);
    cr_assert(reply->integer > 0 && reply->integer <= TTL_MS, "%lld", reply->integer);
    freeReplyObject(reply);
    hold_drop(&hold);
}

Test(holds, a_key_of_another_type_is_in_nobodys_way)
{
    struct hold hold = { 0 };
    redisReply *reply = redisCommand(side, "SET %b x", "jobhook:g:\x01hold\x01t", (size_t)17);
    freeReplyObject(reply);
    ASSERT_ANSWER(take(&hold, "t", 7, 1), 0, 7);
    die(&hold);
    ASSERT_ANSWER(take(&hold, "t", 7, 1), 1, 7);
    hold_drop(&hold);
}

Test(holds, a_crash_loop_of_any_length_fits)
{
    struct hold hold = { 0 };
    for (int i = 0; i < 80; i++) {
        take(&hold, "t", 7, 1);
        die(&hold);
    }
    cr_assert(take(&hold, "t", 7, 1).dead <= 64);
    cr_assert(last.dead >= 60);
    hold_drop(&hold);
}

Test(holds, without_redis_the_answer_is_away_after_some_patience)
{
    struct hold hold = { 0 };
    take(&hold, "t", 7, 1);
    hold_give_back(&hold);
    settle();
    redis_server_kill(&server);
    uint64_t asked_ms = clock_monotonic_ms();
    cr_assert(take(&hold, "t", 7, 1).away);
    cr_assert(clock_monotonic_ms() - asked_ms >= HOLD_PATIENCE_MS);
    hold_give_back(&hold);
    settle();
}

Test(holds, redis_that_comes_back_in_time_answers)
{
    struct hold hold = { 0 };
    take(&hold, "t", 7, 1);
    redis_server_kill(&server);
    die(&hold);
    begin(&hold, "t", 7, 1);
    for (int i = 0; i < 300; i++)
        turn();
    size_t before = answers;
    redis_server_start_again(&server);
    uint64_t until_ms = clock_monotonic_ms() + WAIT_MS;
    while (answers == before && clock_monotonic_ms() < until_ms)
        turn();
    cr_assert_eq(answers, before + 1); /* away or not: a busy machine may have taken long */
    hold_drop(&hold);
}

Test(holds, what_is_over_is_never_answered)
{
    struct hold hold = { 0 };
    size_t before = answers;
    begin(&hold, "t", 7, 1);
    hold_give_back(&hold);
    settle();
    begin(&hold, "t", 7, 1);
    hold_drop(&hold);
    for (int i = 0; i < 50; i++)
        turn();
    cr_assert_eq(answers, before);
    hold_give_back(&hold); /* without effect */
    hold_clear(&hold);
    hold_weigh(&hold, 3);
    settle();
}
