#include "consumer/base/hash.h"
#include "consumer/base/memory.h"
#include "consumer/base/timers.h"

#include <criterion/criterion.h>

enum { DAY_MS = 24 * 3600 * 1000 };

struct alarm {
    struct timer timer;
    int fired;
};

static struct {
    struct timers *timers;
    uint64_t now_ms;
    size_t fired;
    uint64_t last_deadline_ms;
    bool ordered;
    struct alarm *other;
} world;

static void count(struct timer *timer)
{
    struct alarm *alarm = container_of(timer, struct alarm, timer);
    alarm->fired++;
    world.fired++;
    cr_assert_not(timer_is_running(timer));
    cr_assert_geq(world.now_ms, timer->deadline_ms, "%lu ms early", (unsigned long)(timer->deadline_ms - world.now_ms));
    if (timer->deadline_ms < world.last_deadline_ms)
        world.ordered = false;
    world.last_deadline_ms = timer->deadline_ms;
}

static void start_at(uint64_t now_ms)
{
    world.now_ms = now_ms;
    world.timers = timers_create(now_ms);
    world.fired = 0;
    world.last_deadline_ms = 0;
    world.ordered = true;
}

static void run_at(uint64_t now_ms)
{
    world.now_ms = now_ms;
    world.last_deadline_ms = 0;
    timers_run(world.timers, now_ms);
}

Test(timers, fire_at_their_deadline_and_not_before)
{
    static const uint64_t starts[] = { 0, 1, 63, 64, 4095, UINT64_C(1) << 36, (UINT64_C(1) << 36) - 1, (UINT64_C(1) << 60) - 5 };
    static const uint64_t delays[] = { 1, 2, 63, 64, 65, 4095, 4096, 4097, 262143, 262144, 1000000, 16777216, DAY_MS, UINT64_C(30) * DAY_MS };
    for (size_t s = 0; s < COUNT_OF(starts); s++) {
        for (size_t d = 0; d < COUNT_OF(delays); d++) {
            struct alarm alarm = { .timer.fire = count };
            start_at(starts[s]);
            timers_start(world.timers, &alarm.timer, starts[s] + delays[d]);
            cr_assert_leq(timers_next_ms(world.timers), starts[s] + delays[d]);
            run_at(starts[s] + delays[d] - 1);
            cr_assert_eq(alarm.fired, 0);
            cr_assert_eq(timers_next_ms(world.timers), starts[s] + delays[d], "one tick before, the wheel knows the exact moment");
            run_at(starts[s] + delays[d]);
            cr_assert_eq(alarm.fired, 1);
            cr_assert_eq(timers_next_ms(world.timers), UINT64_MAX);
            timers_destroy(world.timers);
        }
    }
}

Test(timers, fire_once_however_late_the_run)
{
    struct alarm alarms[3] = { { .timer.fire = count }, { .timer.fire = count }, { .timer.fire = count } };
    start_at(1000);
    timers_start(world.timers, &alarms[0].timer, 5000);
    timers_start(world.timers, &alarms[1].timer, 1001);
    timers_start(world.timers, &alarms[2].timer, 900000);
    run_at(UINT64_C(40) * DAY_MS);
    cr_assert(world.ordered, "in the order of the deadlines");
    run_at(UINT64_C(50) * DAY_MS);
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(alarms[i].fired, 1);
    timers_destroy(world.timers);
}

Test(timers, a_deadline_in_the_past_fires_at_the_next_run)
{
    struct alarm alarm = { .timer.fire = count };
    start_at(1000);
    timers_start(world.timers, &alarm.timer, 5);
    cr_assert_leq(timers_next_ms(world.timers), 1000);
    cr_assert_eq(alarm.fired, 0);
    run_at(1000);
    cr_assert_eq(alarm.fired, 1);
    timers_destroy(world.timers);
}

Test(timers, stopping_and_moving)
{
    struct alarm stopped = { .timer.fire = count }, moved = { .timer.fire = count };
    start_at(0);
    timers_stop(world.timers, &stopped.timer); /* not running: no effect */
    timers_start(world.timers, &stopped.timer, 100);
    timers_start(world.timers, &moved.timer, 100);
    timers_start(world.timers, &moved.timer, 70000);
    cr_assert(timer_is_running(&moved.timer));
    timers_stop(world.timers, &stopped.timer);
    cr_assert_not(timer_is_running(&stopped.timer));
    cr_assert_gt(timers_next_ms(world.timers), 100, "nothing is left in the slot");
    run_at(69999);
    cr_assert_eq(world.fired, 0);
    run_at(70000);
    cr_assert_eq(moved.fired, 1);
    cr_assert_eq(stopped.fired, 0);
    timers_destroy(world.timers);
}

static void start_again_now(struct timer *timer)
{
    container_of(timer, struct alarm, timer)->fired++;
    timers_start(world.timers, timer, world.now_ms);
}

Test(timers, one_that_starts_itself_again_at_once_does_not_keep_the_run_busy)
{
    struct alarm alarm = { .timer.fire = start_again_now };
    start_at(0);
    timers_start(world.timers, &alarm.timer, 10);
    run_at(10);
    cr_assert_eq(alarm.fired, 1);
    run_at(10);
    cr_assert_eq(alarm.fired, 2);
    timers_destroy(world.timers);
}

static void stop_the_other(struct timer *timer)
{
    count(timer);
    timers_stop(world.timers, &world.other->timer);
}

static void move_the_other(struct timer *timer)
{
    count(timer);
    timers_start(world.timers, &world.other->timer, world.now_ms + 1);
}

Test(timers, a_function_may_stop_or_move_one_that_is_due_in_the_same_run)
{
    void (*const functions[])(struct timer *) = { stop_the_other, move_the_other };
    for (size_t i = 0; i < COUNT_OF(functions); i++) {
        struct alarm first = { .timer.fire = functions[i] }, second = { .timer.fire = count };
        world.other = &second;
        start_at(0);
        timers_start(world.timers, &first.timer, 10);
        timers_start(world.timers, &second.timer, 10);
        run_at(10);
        cr_assert_eq(first.fired, 1);
        cr_assert_eq(second.fired, 0);
        run_at(100);
        cr_assert_eq(second.fired, (int)i);
        timers_destroy(world.timers);
    }
}

static void free_itself(struct timer *timer)
{
    world.fired++;
    free(container_of(timer, struct alarm, timer));
}

Test(timers, a_function_may_free_its_object)
{
    start_at(0);
    for (uint64_t i = 0; i < 10; i++) {
        struct alarm *alarm = memory_create(sizeof(*alarm));
        alarm->timer.fire = free_itself;
        timers_start(world.timers, &alarm->timer, i);
    }
    run_at(20);
    cr_assert_eq(world.fired, 10);
    timers_destroy(world.timers);
}

Test(timers, forgets_what_runs_when_destroyed_and_takes_nothing)
{
    struct alarm alarm = { .timer.fire = count };
    start_at(0);
    timers_start(world.timers, &alarm.timer, 10);
    timers_destroy(world.timers);
    timers_destroy(NULL);
    cr_assert_eq(alarm.fired, 0);
}

/* Against the plainest model there is: an array of deadlines. The numbers are the same in every run. */
enum { ALARMS = 300, STEPS = 20000 };

static uint64_t draw(uint64_t *state, uint64_t below)
{
    *state += 1;
    return hash_slice((struct hash_key){ 1, 2 }, (struct slice){ (const char *)state, sizeof(*state) }) % below;
}

static uint64_t earliest(const struct alarm *alarms)
{
    uint64_t found = UINT64_MAX;
    for (size_t i = 0; i < ALARMS; i++)
        if (timer_is_running(&alarms[i].timer) && alarms[i].timer.deadline_ms < found)
            found = alarms[i].timer.deadline_ms;
    return found;
}

static void change_some(struct alarm *alarms, uint64_t *state)
{
    static const uint64_t spans[] = { 3, 100, 5000, 300000, 20000000, UINT64_C(30) * DAY_MS };
    for (int i = 0; i < 5; i++) {
        struct alarm *alarm = &alarms[draw(state, ALARMS)];
        if (draw(state, 4) == 0)
            timers_stop(world.timers, &alarm->timer);
        else
            timers_start(world.timers, &alarm->timer, world.now_ms + draw(state, spans[draw(state, COUNT_OF(spans))]));
    }
}

Test(timers, agree_with_a_plain_model)
{
    static struct alarm alarms[ALARMS];
    uint64_t state = 0;
    start_at((UINT64_C(1) << 36) - 3 * (uint64_t)DAY_MS); /* crosses the end of a large wheel on the way */
    for (size_t i = 0; i < ALARMS; i++)
        alarms[i].timer.fire = count;
    for (int step = 0; step < STEPS; step++) {
        change_some(alarms, &state);
        uint64_t next = earliest(alarms);
        cr_assert_leq(timers_next_ms(world.timers), next);
        uint64_t leap = draw(&state, 3) == 0 ? draw(&state, 500000) : draw(&state, 4);
        size_t due = 0, before = world.fired;
        for (size_t i = 0; i < ALARMS; i++)
            due += timer_is_running(&alarms[i].timer) && alarms[i].timer.deadline_ms <= world.now_ms + leap;
        run_at(world.now_ms + leap);
        cr_assert_eq(world.fired - before, due, "step %d", step);
    }
    cr_assert_gt(world.fired, 1000);
    timers_destroy(world.timers);
}

/* A loop that sleeps until timers_next_ms wakes a bounded number of times for one timer. */
Test(timers, a_long_timer_costs_few_wake_ups)
{
    struct alarm alarm = { .timer.fire = count };
    int wakes = 0;
    start_at(123456789);
    timers_start(world.timers, &alarm.timer, world.now_ms + UINT64_C(30) * DAY_MS - 1);
    while (timers_next_ms(world.timers) != UINT64_MAX && wakes < 100) {
        run_at(timers_next_ms(world.timers));
        wakes++;
    }
    cr_assert_eq(alarm.fired, 1);
    cr_assert_leq(wakes, 7);
    timers_destroy(world.timers);
}
