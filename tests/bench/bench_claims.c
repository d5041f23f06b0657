/* What a claim and its settling cost this process, pipelined.
 *
 *   bench_claims URL [pairs] [depth]      e.g. bench_claims redis://127.0.0.1:6379 200000 64
 *
 * `depth` tasks are under way at once; each claims, is granted, settles as delivered, and makes room for the next. The server is flushed neither
 * before nor after: its records expire after a minute. */
#include "consumer/base/clock.h"
#include "consumer/base/random.h"
#include "dedupe/claims.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <uv.h>

struct bench {
    uv_loop_t loop;
    struct redis *redis;
    struct claims *claims;
    uint64_t started, finished, pairs, failures;
    uint64_t run; /* makes the task ids of this run its own */
};

struct task {
    struct bench *bench;
    struct claim claim;
    char id[37];
};

static void start_task(struct task *task);

static void on_settled(void *context, const struct claims_answer *answer)
{
    struct task *task = context;
    struct bench *bench = task->bench;
    bench->failures += answer->result != CLAIMS_OK;
    if (++bench->finished == bench->pairs)
        uv_stop(&bench->loop);
    else
        start_task(task);
}

static void on_claimed(void *context, const struct claims_answer *answer)
{
    struct task *task = context;
    task->bench->failures += answer->result != CLAIMS_GRANT;
    claims_settle(task->bench->claims, &task->claim, CLAIMS_DELIVERED, 0, on_settled, task);
}

static void start_task(struct task *task)
{
    struct bench *bench = task->bench;
    if (bench->started == bench->pairs)
        return;
    int length = snprintf(task->id, sizeof task->id, "%016llx-%019llu", (unsigned long long)bench->run, (unsigned long long)bench->started++);
    task->claim = (struct claim){ .task_id = { task->id, (size_t)length }, .attempt = 1, .digest = bench->started, .partition = 3, .offset = 12345 };
    random_bytes(task->claim.token, sizeof task->claim.token);
    claims_claim(bench->claims, &task->claim, on_claimed, task);
}

static uint64_t cpu_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static bool wait_until_up(struct bench *bench)
{
    uint64_t give_up_ms = clock_monotonic_ms() + 5000;
    while (!redis_is_up(bench->redis) && clock_monotonic_ms() < give_up_ms)
        uv_run(&bench->loop, UV_RUN_ONCE);
    return redis_is_up(bench->redis);
}

static void run(struct bench *bench, size_t depth)
{
    struct task *tasks = calloc(depth, sizeof *tasks);
    uint64_t cpu = cpu_us(), start = clock_monotonic_us();
    for (size_t i = 0; tasks != NULL && i < depth; i++) {
        tasks[i].bench = bench;
        start_task(&tasks[i]);
    }
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    cpu = cpu_us() - cpu;
    uint64_t wall = clock_monotonic_us() - start;
    double pairs = (double)bench->pairs;
    printf("%llu pairs, depth %zu: %.2f us CPU of this process per pair, %.0f pairs/s, %llu failures\n", (unsigned long long)bench->pairs, depth,
           (double)cpu / pairs, pairs * 1e6 / (double)wall, (unsigned long long)bench->failures);
    free(tasks);
}

int main(int count, char **words)
{
    struct bench bench = { .pairs = count > 2 ? strtoull(words[2], NULL, 10) : 200000 };
    size_t depth = count > 3 ? strtoull(words[3], NULL, 10) : 64;
    struct redis_address address;
    const char *problem = "usage: bench_claims URL [pairs] [depth]";
    if (count < 2 || bench.pairs < depth || !redis_address_parse(slice_of(words[1]), &address, &problem)) {
        fprintf(stderr, "%s\n", problem);
        return 2;
    }
    random_bytes(&bench.run, sizeof bench.run);
    uv_loop_init(&bench.loop);
    bench.redis = redis_create(&bench.loop, &(struct redis_options){ .address = &address });
    bench.claims = claims_create(bench.redis, &(struct claims_options){ .prefix = "jobhook:bench:", .lease_ms = 20000, .state_ttl_ms = 60000 });
    bool up = wait_until_up(&bench);
    if (up)
        run(&bench, depth);
    else
        fprintf(stderr, "no Redis answers at %s\n", words[1]);
    claims_destroy(bench.claims);
    redis_destroy(bench.redis);
    uv_run(&bench.loop, UV_RUN_DEFAULT);
    uv_loop_close(&bench.loop);
    redis_address_finish(&address);
    return up && bench.failures == 0 ? 0 : 1;
}
