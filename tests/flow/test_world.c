#include "tests/flow/world.h"

#include "consumer/base/log.h"

#include <criterion/criterion.h>
#include <stdlib.h>

/* A worker that is killed leaves its memory behind, as a process does: LeakSanitizer need not tell. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return 1;
}

/* All of them where it is quick: sanitizers make it some ten times slower. */
#ifdef __SANITIZE_ADDRESS__
enum { SEEDS_BY_DEFAULT = 200, FEWER = 5 };
#else
enum { SEEDS_BY_DEFAULT = 10000, FEWER = 1 };
#endif

static void setup(void)
{
    log_set(LOG_ERROR, LOG_TEXT);
}

TestSuite(world, .init = setup);

static void expect_no_crime(const struct world_plan *plan, const char *says)
{
    struct world_verdict verdict = world_run(plan);
    cr_assert(verdict.lost + verdict.doubled + verdict.early + verdict.altered + verdict.undone == 0, "%s, seed %llu: %s", says,
              (unsigned long long)plan->seed, verdict.first);
}

Test(world, delivers_every_event_exactly_once_when_nothing_fails)
{
    struct world_plan plan = { .seed = 1, .tasks = 300, .workers = 2 };
    struct world_verdict verdict = world_run(&plan);
    cr_assert_str_eq(verdict.first, "");
    cr_expect_eq(verdict.posts, verdict.delivered);
    cr_expect_eq(verdict.dead, 0);
}

Test(world, posts_each_attempt_once_whatever_receivers_answer)
{
    for (uint64_t seed = 1; seed <= 50 / FEWER; seed++)
        expect_no_crime(&(struct world_plan){ .seed = seed, .tasks = 200, .workers = 2, .failing_percent = 50, .silent_endpoint = true },
                        "failing receivers");
}

Test(world, suppresses_the_same_event_published_twice_and_buries_a_different_one)
{
    for (uint64_t seed = 1; seed <= 50 / FEWER; seed++)
        expect_no_crime(
            &(struct world_plan){
                .seed = seed, .tasks = 200, .workers = 3, .failing_percent = 20, .duplicates_percent = 50, .conflicts_percent = 20 },
            "duplicates");
}

Test(world, doubles_nothing_when_partitions_change_hands)
{
    for (uint64_t seed = 1; seed <= 100 / FEWER; seed++)
        expect_no_crime(&(struct world_plan){ .seed = seed, .tasks = 200, .workers = 3, .failing_percent = 20, .moves = 60 }, "moves");
}

Test(world, sends_nothing_that_is_held_and_everything_once_it_is_lifted)
{
    for (uint64_t seed = 1; seed <= 100 / FEWER; seed++)
        expect_no_crime(&(struct world_plan){ .seed = seed,
                                              .tasks = 200,
                                              .workers = 3,
                                              .failing_percent = 30,
                                              .silent_endpoint = true,
                                              .holds = 6,
                                              .moves = seed % 2 == 0 ? 20 : 0,
                                              .crashes = seed % 3 == 0 ? 3 : 0 },
                        "holds");
}

/* Given up after ten minutes without a 2xx: half an hour in which the operator held it is not among them. */
Test(world, does_not_count_held_time_towards_giving_up)
{
    for (uint64_t seed = 1; seed <= 20 / FEWER; seed++) {
        struct world_plan plan = { .seed = seed, .tasks = 300, .workers = 1, .silent_endpoint = true };
        struct world_verdict left_alone = world_run(&plan);
        cr_assert_gt(left_alone.given_up_ms, 600000);
        cr_assert_lt(left_alone.given_up_ms, 1200000);
        plan.hold_silent_from_ms = 300000 + seed * 10000;
        plan.hold_silent_until_ms = plan.hold_silent_from_ms + 1800000;
        struct world_verdict held = world_run(&plan);
        cr_expect_str_eq(held.first, "");
        cr_expect_gt(held.given_up_ms, 600000 + 1800000, "seed %llu: after %llu s", (unsigned long long)seed,
                     (unsigned long long)held.given_up_ms / 1000);
        cr_expect_lt(held.given_up_ms, left_alone.given_up_ms + 1800000 + 600000, "seed %llu: after %llu s", (unsigned long long)seed,
                     (unsigned long long)held.given_up_ms / 1000);
        cr_expect_eq(held.dead, left_alone.dead);
    }
}

Test(world, doubles_nothing_when_workers_are_told_to_end)
{
    for (uint64_t seed = 1; seed <= 100 / FEWER; seed++)
        expect_no_crime(
            &(struct world_plan){
                .seed = seed, .tasks = 200, .workers = 1 + (uint32_t)(seed % 3), .failing_percent = 20, .silent_endpoint = true, .terms = 20 },
            "SIGTERM");
}

Test(world, loses_nothing_of_what_another_version_recorded)
{
    for (uint64_t seed = 1; seed <= 50 / FEWER; seed++)
        expect_no_crime(
            &(struct world_plan){ .seed = seed, .tasks = 200, .workers = 2, .failing_percent = 60, .crashes = 8, .strange_verdicts_percent = 50 },
            "another version's verdicts");
}

/* SEED=n runs that one alone; SEEDS=n that many: SEED=4711 .build/release/tests/flow_test_world --filter=world/loses_nothing_under_any_mixture_of_faults. */
Test(world, loses_nothing_under_any_mixture_of_faults)
{
    const char *one = getenv("SEED"), *many = getenv("SEEDS");
    uint64_t first = one == NULL ? 1 : strtoull(one, NULL, 10);
    uint64_t count = one != NULL ? 1 : many == NULL ? SEEDS_BY_DEFAULT : strtoull(many, NULL, 10);
    for (uint64_t seed = first; seed < first + count; seed++) {
        struct world_plan plan = { .seed = seed,
                                   .tasks = 60,
                                   .workers = 1 + (uint32_t)(seed % 3),
                                   .failing_percent = 30,
                                   .silent_endpoint = seed % 4 == 0,
                                   .crashes = (uint32_t)(seed % 5),
                                   .freezes = seed % 7 < 3 ? 2 : 0,
                                   .moves = seed % 2 == 0 ? 20 : 0,
                                   .terms = seed % 11 < 4 ? 3 : 0,
                                   .redis_rollbacks = seed % 6 == 0 ? 2 : 0,
                                   .redis_outages = seed % 8 == 1 ? 1 : 0,
                                   .produce_failures_percent = seed % 3 == 0 ? 20 : 0,
                                   .late_replies_percent = seed % 5 == 2 ? 5 : 0,
                                   .redis_clock_steps = seed % 10 == 7 ? 3 : 0,
                                   .duplicates_percent = 10,
                                   .replays_percent = seed % 2 == 1 ? 20 : 0,
                                   .conflicts_percent = seed % 9 == 0 ? 10 : 0,
                                   .holds = seed % 5 == 4 ? 4 : 0 };
        expect_no_crime(&plan, "faults");
    }
}

/* Old copies of Redis that name an owner long gone, while the present one is at work. */
Test(world, loses_nothing_when_redis_falls_back_again_and_again)
{
    for (uint64_t seed = 1; seed <= 300 / FEWER; seed++)
        expect_no_crime(
            &(struct world_plan){ .seed = seed, .tasks = 150, .workers = 3, .failing_percent = 60, .freezes = 4, .moves = 40, .redis_rollbacks = 20 },
            "rollbacks");
}
