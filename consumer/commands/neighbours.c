#include "consumer/commands/neighbours.h"

#include "consumer/base/clock.h"
#include "consumer/base/memory.h"

#include <signal.h>
#include <stdlib.h>
#include <uv.h>

enum { PURGE_MS = 1000, LOOK_AGAIN_MS = 100, TURN_MS = 50 };

struct neighbours {
    const struct settings *settings;
    uv_loop_t loop;
    uv_timer_t alarm;
    struct timers *timers;
    struct redis *redis;
    struct lookups *lookups;
    struct outbox *outbox; /* NULL: not made yet */
    struct intake_stats stats;
};

static void ignore_alarm(uv_timer_t *alarm)
{
    (void)alarm; /* it only ends the sleep */
}

struct neighbours *neighbours_create(const struct settings *settings)
{
    struct neighbours *neighbours = memory_create(sizeof(*neighbours));
    neighbours->settings = settings;
    signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&neighbours->loop);
    uv_timer_init(&neighbours->loop, &neighbours->alarm);
    neighbours->timers = timers_create(clock_monotonic_ms());
    neighbours->redis = redis_create(&neighbours->loop, &(struct redis_options){ .address = &settings->redis });
    neighbours->lookups = lookups_create(neighbours->redis, settings->redis_prefix);
    return neighbours;
}

static void close_handle(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

void neighbours_destroy(struct neighbours *neighbours)
{
    if (neighbours == NULL)
        return;
    outbox_destroy(neighbours->outbox, PURGE_MS);
    lookups_destroy(neighbours->lookups);
    redis_destroy(neighbours->redis);
    timers_destroy(neighbours->timers);
    uv_walk(&neighbours->loop, close_handle, NULL);
    uv_run(&neighbours->loop, UV_RUN_DEFAULT);
    uv_loop_close(&neighbours->loop);
    free(neighbours);
}

void neighbours_turn(struct neighbours *neighbours, uint64_t wait_ms)
{
    uint64_t now_ms = clock_monotonic_ms(), next_ms = timers_next_ms(neighbours->timers);
    if (next_ms < now_ms + wait_ms)
        wait_ms = next_ms > now_ms ? next_ms - now_ms : 0;
    uv_update_time(&neighbours->loop);
    uv_timer_start(&neighbours->alarm, ignore_alarm, wait_ms, 0);
    uv_run(&neighbours->loop,
           wait_ms == 0 ? UV_RUN_NOWAIT : UV_RUN_ONCE); /* before 1.45 a due alarm goes off first, and then it waits for anything */
    timers_run(neighbours->timers, clock_monotonic_ms());
}

struct redis *neighbours_redis(struct neighbours *neighbours)
{
    return neighbours->redis;
}

struct outbox *neighbours_outbox(struct neighbours *neighbours, char *problem, size_t size)
{
    if (neighbours->outbox == NULL)
        neighbours->outbox = outbox_create(
            &(struct outbox_options){
                .loop = &neighbours->loop, .timers = neighbours->timers, .settings = neighbours->settings, .stats = &neighbours->stats },
            problem, size);
    return neighbours->outbox;
}

/* ---- many lookups ---- */

struct question {
    struct lookup_answer *answer;
    size_t *open, *away;
};

static void answered(void *context, const struct lookup_answer *answer)
{
    struct question *question = context;
    *question->answer = *answer;
    *question->open -= 1;
    *question->away += answer->result == LOOKUP_AWAY;
}

static bool ask_all(struct neighbours *neighbours, const struct slice *task_ids, size_t count, struct lookup_answer *answers)
{
    size_t open = count, away = 0;
    struct question *questions = memory_create((count == 0 ? 1 : count) * sizeof(*questions));
    for (size_t i = 0; i < count; i++) {
        questions[i] = (struct question){ &answers[i], &open, &away };
        lookups_find(neighbours->lookups, task_ids[i], answered, &questions[i]);
    }
    while (open > 0) /* each has a deadline of its own */
        neighbours_turn(neighbours, TURN_MS);
    free(questions);
    return away == 0;
}

bool neighbours_look_up(struct neighbours *neighbours, const struct slice *task_ids, size_t count, struct lookup_answer *answers)
{
    uint64_t until_ms = clock_monotonic_ms() + NEIGHBOURS_WAIT_MS;
    for (;;) {
        while (!redis_is_up(neighbours->redis) && clock_monotonic_ms() < until_ms)
            neighbours_turn(neighbours, TURN_MS);
        if (redis_is_up(neighbours->redis) && ask_all(neighbours, task_ids, count, answers))
            return true;
        if (clock_monotonic_ms() >= until_ms)
            return false;
        neighbours_turn(neighbours, LOOK_AGAIN_MS);
    }
}
