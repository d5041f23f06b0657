/* Lookups against a real Redis: records, nothing, and things that are no records. */
#include "consumer/base/clock.h"
#include "dedupe/lookup.h"
#include "tests/edge/redis_server.h"

#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <string.h>
#include <uv.h>

enum { WAIT_MS = 20000 };

static struct redis_server server;
static struct redisContext *side;
static uv_loop_t loop;
static struct redis_address address;
static struct redis *redis;
static struct lookups *lookups;

static void start(void)
{
    const char *problem;
    signal(SIGPIPE, SIG_IGN);
    redis_server_start(&server, NULL);
    side = redis_server_dial(&server);
    uv_loop_init(&loop);
    cr_assert(redis_address_parse(slice_of(server.url), &address, &problem));
    redis = redis_create(&loop, &(struct redis_options){ .address = &address, .command_timeout_ms = WAIT_MS });
    lookups = lookups_create(redis, "jobhook:g:");
    for (uint64_t until_ms = clock_monotonic_ms() + WAIT_MS; !redis_is_up(redis) && clock_monotonic_ms() < until_ms; uv_sleep(1))
        uv_run(&loop, UV_RUN_NOWAIT);
}

static void stop(void)
{
    lookups_destroy(lookups);
    redis_destroy(redis);
    redis_address_finish(&address);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&loop), 0);
    redisFree(side);
    redis_server_stop(&server);
}

TestSuite(lookup, .init = start, .fini = stop, .timeout = 120);

static size_t answers;

static void note(void *context, const struct lookup_answer *answer)
{
    *(struct lookup_answer *)context = *answer;
    answers++;
}

static struct lookup_answer look(struct slice task_id)
{
    struct lookup_answer answer = { 0 };
    size_t before = answers;
    lookups_find(lookups, task_id, note, &answer);
    cr_assert_eq(answers, before, "never before the call has returned");
    for (uint64_t until_ms = clock_monotonic_ms() + WAIT_MS; answers == before && clock_monotonic_ms() < until_ms; uv_sleep(1))
        uv_run(&loop, UV_RUN_NOWAIT);
    cr_assert_eq(answers, before + 1);
    return answer;
}

static void store(const char *key, const char *bytes, size_t length)
{
    freeReplyObject(redisCommand(side, "SET %s %b PX 60000", key, bytes, length));
}

Test(lookup, finds_a_record_and_how_long_it_is_kept)
{
    char bytes[RECORD_BYTES_MAX];
    const struct record record = { .rank = rank_scheduled(2, 3), .digest = 0x1122334455667788, .partition = 7, .offset = 99, .due_ms = 1234 };
    store("jobhook:g:t 1", bytes, record_pack(&record, bytes));
    struct lookup_answer answer = look(SLICE("t 1"));
    cr_assert_eq(answer.result, LOOKUP_FOUND);
    cr_assert_eq(answer.record.rank, record.rank);
    cr_assert_eq(answer.record.offset, 99);
    cr_assert_eq(answer.record.due_ms, 1234);
    cr_assert(answer.kept_ms > 0 && answer.kept_ms <= 60000);
    cr_assert(answer.now_ms > 0);
}

Test(lookup, knows_nothing_from_something_that_is_no_record)
{
    char large[4096] = { 'x' };
    cr_assert_eq(look(SLICE("never")).result, LOOKUP_NOTHING);
    store("jobhook:g:short", "x", 1);
    cr_assert_eq(look(SLICE("short")).result, LOOKUP_UNREADABLE);
    store("jobhook:g:large", large, sizeof(large));
    cr_assert_eq(look(SLICE("large")).result, LOOKUP_UNREADABLE);
    freeReplyObject(redisCommand(side, "LPUSH jobhook:g:list 1"));
    cr_assert_eq(look(SLICE("list")).result, LOOKUP_UNREADABLE);
}

Test(lookup, says_when_redis_is_away)
{
    redis_server_kill(&server);
    cr_assert_eq(look(SLICE("t")).result, LOOKUP_AWAY);
}

Test(lookup, is_silent_once_it_was_destroyed)
{
    struct lookup_answer answer;
    lookups_find(lookups, SLICE("t"), note, &answer);
    lookups_destroy(lookups);
    lookups = NULL;
    for (int turn = 0; turn < 50; turn++, uv_sleep(1))
        uv_run(&loop, UV_RUN_NOWAIT);
    cr_assert_eq(answers, 0);
}
