/* The connection against real Redis servers, killed, stopped, locked, full, cluster or replica, and against a fake one that lies. */
#include "consumer/base/clock.h"
#include "dedupe/redis.h"
#include "dedupe/scripts.h"
#include "tests/edge/redis_fake.h"
#include "tests/edge/redis_server.h"

#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WAIT_MS = 30000,    /* for what must happen */
    LOOK_MS = 1500,     /* at what must not happen */
    TIMEOUT_MS = 10000, /* of a command, where none is meant to run out */
    SHORT_MS = 1000,    /* where one is */
};

static uv_loop_t loop;
static struct redis_server server;
static struct redis_fake fake;
static struct redis_address address;
static struct redis *redis;
static uv_timer_t ticker; /* so that waiting looks at its condition even when nothing happens */

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

static void start(void)
{
    signal(SIGPIPE, SIG_IGN); /* as in the program */
    uv_loop_init(&loop);
    uv_timer_init(&loop, &ticker);
    uv_timer_start(&ticker, on_tick, 5, 5);
}

static void stop(void)
{
    redis_destroy(redis);
    if (fake.answer != NULL)
        redis_fake_stop(&fake);
    uv_close((uv_handle_t *)&ticker, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&loop), 0);
    redis_address_finish(&address);
    if (server.folder[0] != '\0')
        redis_server_stop(&server);
}

TestSuite(redis, .init = start, .fini = stop, .timeout = 120);

static void connect_to(const char *url, uint64_t timeout_ms)
{
    const char *problem = NULL;
    cr_assert(redis_address_parse(slice_of(url), &address, &problem), "%s", problem);
    redis = redis_create(&loop, &(struct redis_options){ .address = &address, .command_timeout_ms = timeout_ms });
}

static bool happens(bool (*condition)(void), uint64_t within_ms)
{
    uint64_t until_ms = clock_monotonic_ms() + within_ms;
    while (!condition() && clock_monotonic_ms() < until_ms)
        uv_run(&loop, UV_RUN_ONCE);
    return condition();
}

static bool is_up(void)
{
    cr_assert_eq(redis_is_up(redis), redis_away_since_ms(redis) == 0);
    cr_assert_eq(redis_is_up(redis), gauge_read(&redis_stats(redis)->up) == 1);
    return redis_is_up(redis);
}

static bool is_away(void)
{
    return !is_up();
}

static void start_server(const char *const *settings)
{
    redis_server_start(&server, settings);
    connect_to(server.url, TIMEOUT_MS);
}

static struct redisContext *reply_free(struct redisContext *side, void *reply)
{
    cr_assert_not_null(reply);
    freeReplyObject(reply);
    return side;
}

/* One command on the side. */
static void tell_server(const char *command)
{
    struct redisContext *side = redis_server_dial(&server);
    redisFree(reply_free(side, redisCommand(side, command)));
}

/* --- asking --- */

static struct tally {
    size_t replies, away;
    size_t wanted;
    struct redis_reply_array last;
} tally;

static bool inside_eval;

static void count(void *context, enum redis_state state, const struct redis_reply_array *reply)
{
    cr_assert_not(inside_eval, "a callback before redis_eval returned");
    cr_assert_eq(context, &tally);
    if (state == REDIS_REPLY) {
        tally.replies++;
        tally.last = *reply;
    } else {
        tally.away++;
        cr_assert_null(reply);
    }
}

/* dedupe/scripts/settle.lua stands for any script. Each call asks for a higher rank, so that each writes. */
static void eval_on(struct slice key)
{
    static unsigned rank;
    char number[16];
    snprintf(number, sizeof number, "%u", ++rank);
    const struct slice arguments[] = {
        slice_of(number), SLICE("0"), SLICE("token:0123456789"), SLICE("digest:8"), SLICE("place:901234"), SLICE("60000"), SLICE("0"), SLICE("0")
    };
    tally.wanted++;
    inside_eval = true;
    redis_eval(redis, &script_settle, key, arguments, COUNT_OF(arguments), count, &tally);
    inside_eval = false;
}

static void eval(void)
{
    eval_on(SLICE("jobhook:test:key"));
}

static bool all_answered(void)
{
    return tally.replies + tally.away == tally.wanted;
}

static void assert_eval(size_t times, enum redis_state expected)
{
    tally = (struct tally){ 0 };
    for (size_t i = 0; i < times; i++)
        eval();
    cr_assert(happens(all_answered, WAIT_MS));
    cr_assert_eq(expected == REDIS_REPLY ? tally.replies : tally.away, times);
}

/* --- coming up and going away --- */

Test(redis, comes_up_and_runs_scripts_that_the_server_never_saw)
{
    start_server(NULL);
    cr_assert(is_away());
    cr_assert_eq(gauge_read(&redis_stats(redis)->reached), 0);
    cr_assert(happens(is_up, WAIT_MS));
    cr_assert_eq(gauge_read(&redis_stats(redis)->reached), 1);
    assert_eval(1, REDIS_REPLY);
    cr_assert_eq(tally.last.count, 3);
    cr_assert(tally.last.items[0].is_integer && tally.last.items[0].integer == 6); /* CLAIMS_OK */
    assert_eval(5000, REDIS_REPLY);
    cr_assert_eq(counter_read(&redis_stats(redis)->commands), 5001);
    cr_assert_eq(counter_read(&redis_stats(redis)->errors), 0);
}

Test(redis, says_away_in_a_later_turn_while_nothing_is_there)
{
    connect_to("unix:///tmp/jobhook-no-such-socket", TIMEOUT_MS);
    assert_eval(100, REDIS_AWAY);
    cr_assert(is_away());
    cr_assert_not(happens(is_up, LOOK_MS));
    assert_eval(100, REDIS_AWAY);
    cr_assert_eq(gauge_read(&redis_stats(redis)->reached), 0);
}

Test(redis, reaches_a_name_whose_first_address_refuses)
{
    redis_server_start(&server, NULL); /* on 127.0.0.1 only; localhost is often ::1 first */
    char url[64];
    snprintf(url, sizeof url, "redis://localhost:%d", server.port);
    connect_to(url, TIMEOUT_MS);
    cr_assert(happens(is_up, WAIT_MS));
    assert_eval(10, REDIS_REPLY);
}

Test(redis, a_name_that_does_not_exist_is_away_and_destroyed_in_the_middle_of_the_lookup)
{
    connect_to("redis://name.invalid:6379", TIMEOUT_MS);
    assert_eval(1, REDIS_AWAY);
    redis_destroy(redis);
    redis_address_finish(&address);
    connect_to("redis://name.invalid:6379", TIMEOUT_MS);
    uv_run(&loop, UV_RUN_NOWAIT);
}

Test(redis, a_killed_server_is_away_and_back_when_it_is_started_again)
{
    start_server(NULL);
    cr_assert(happens(is_up, WAIT_MS));
    tally = (struct tally){ 0 };
    for (int i = 0; i < 50; i++)
        eval();
    redis_server_kill(&server);
    cr_assert(happens(all_answered, WAIT_MS));
    cr_assert(happens(is_away, WAIT_MS));
    assert_eval(50, REDIS_AWAY);
    redis_server_start_again(&server);
    cr_assert(happens(is_up, WAIT_MS));
    assert_eval(50, REDIS_REPLY);
    cr_assert_eq(counter_read(&redis_stats(redis)->reconnects), 1);
}

Test(redis, a_server_that_stands_still_is_away_after_the_deadline_and_back_when_it_goes_on)
{
    redis_server_start(&server, NULL);
    connect_to(server.url, SHORT_MS);
    cr_assert(happens(is_up, WAIT_MS));
    assert_eval(1, REDIS_REPLY);
    kill(server.pid, SIGSTOP);
    assert_eval(20, REDIS_AWAY);
    cr_assert(is_away());
    cr_assert_eq(counter_read(&redis_stats(redis)->timeouts), 1);
    cr_assert_not(happens(is_up, LOOK_MS)); /* the kernel takes its connections; that is not answering */
    kill(server.pid, SIGCONT);
    cr_assert(happens(is_up, WAIT_MS));
    assert_eval(20, REDIS_REPLY);
}

Test(redis, an_idle_connection_is_asked_whether_it_still_lives)
{
    redis_server_start(&server, NULL);
    connect_to(server.url, SHORT_MS);
    cr_assert(happens(is_up, WAIT_MS));
    kill(server.pid, SIGSTOP);
    cr_assert(happens(is_away, WAIT_MS));
    kill(server.pid, SIGCONT);
}

/* --- who may enter, and where --- */

Test(redis, user_password_and_database_are_those_of_the_address)
{
    redis_server_start(&server, (const char *const[]){ "--requirepass", "se%/cret", "--user", "hook", "on", ">pw:d", "~jobhook:*", "+@all", NULL });
    char url[200];
    snprintf(url, sizeof url, "unix://:se%%25%%2fcret@%s?db=3", server.socket);
    connect_to(url, TIMEOUT_MS);
    cr_assert(happens(is_up, WAIT_MS));
    assert_eval(10, REDIS_REPLY);
    redis_destroy(redis);
    redis_address_finish(&address);
    snprintf(url, sizeof url, "redis://hook:pw%%3Ad@127.0.0.1:%d/3", server.port);
    connect_to(url, TIMEOUT_MS);
    cr_assert(happens(is_up, WAIT_MS));
    tally = (struct tally){ 0 };
    eval_on(SLICE("jobhook:in-three"));
    cr_assert(happens(all_answered, WAIT_MS));
    cr_assert_eq(tally.replies, 1);
    struct redisContext *side = redis_server_dial(&server);
    reply_free(side, redisCommand(side, "AUTH %s", "se%/cret"));
    reply_free(side, redisCommand(side, "SELECT 3"));
    redisReply *found = redisCommand(side, "EXISTS jobhook:in-three");
    cr_assert(found != NULL && found->integer == 1);
    redisFree(reply_free(side, found));
}

static void assert_never_up(const char *const *settings, const char *user)
{
    redis_server_start(&server, settings);
    char url[200];
    snprintf(url, sizeof url, "unix://%s%s", user, server.socket);
    connect_to(url, TIMEOUT_MS);
    cr_assert_not(happens(is_up, LOOK_MS));
    assert_eval(5, REDIS_AWAY);
    cr_assert_eq(gauge_read(&redis_stats(redis)->reached), 0);
}

Test(redis, a_wrong_password_is_never_up)
{
    assert_never_up((const char *const[]){ "--requirepass", "right", NULL }, ":wrong@");
}

Test(redis, a_missing_password_is_never_up)
{
    assert_never_up((const char *const[]){ "--requirepass", "right", NULL }, "");
}

Test(redis, a_cluster_is_refused)
{
    char bus[8]; /* else it is the port + 10000, which may be above 65535 */
    snprintf(bus, sizeof bus, "%d", redis_server_free_port());
    assert_never_up((const char *const[]){ "--cluster-enabled", "yes", "--cluster-port", bus, NULL }, "");
}

Test(redis, a_replica_is_away)
{
    assert_never_up((const char *const[]){ "--replicaof", "127.0.0.1", "1", NULL }, "");
}

Test(redis, a_database_that_is_not_there_is_refused)
{
    redis_server_start(&server, (const char *const[]){ "--databases", "2", NULL });
    char url[200];
    snprintf(url, sizeof url, "%s?db=2", server.url);
    connect_to(url, TIMEOUT_MS);
    cr_assert_not(happens(is_up, LOOK_MS));
}

Test(redis, a_user_with_no_more_rights_than_it_needs_is_enough)
{
    redis_server_start(&server, (const char *const[]){ "--user", "hook", "on", ">pw", "~jobhook:*", "+evalsha", "+script|load", "+get", "+set",
                                                       "+time", "+info", "+ping", "+select", NULL });
    char url[200];
    snprintf(url, sizeof url, "unix://hook:pw@%s?db=1", server.socket);
    connect_to(url, TIMEOUT_MS);
    cr_assert(happens(is_up, WAIT_MS));
    assert_eval(10, REDIS_REPLY);
}

/* --- a server that answers, but no more than that --- */

static bool is_in_trouble(void)
{
    return is_away() && counter_read(&redis_stats(redis)->errors) > 0;
}

static void assert_trouble_ends(const char *trouble, const char *end)
{
    start_server(NULL);
    cr_assert(happens(is_up, WAIT_MS));
    assert_eval(10, REDIS_REPLY);
    tell_server(trouble);
    assert_eval(10, REDIS_AWAY);
    cr_assert(is_in_trouble());
    uint64_t since_ms = redis_away_since_ms(redis);
    cr_assert_not(happens(is_up, LOOK_MS), "a connection alone is not enough");
    cr_assert_eq(redis_away_since_ms(redis), since_ms);
    tell_server(end);
    cr_assert(happens(is_up, WAIT_MS), "and it comes back without being asked for anything");
    assert_eval(10, REDIS_REPLY);
}

Test(redis, a_full_server_is_away_until_it_takes_writes_again)
{
    assert_trouble_ends("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0");
}

Test(redis, a_primary_that_becomes_a_replica_is_away_until_it_is_a_primary_again)
{
    assert_trouble_ends("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE");
}

Test(redis, a_server_that_wants_more_replicas_is_away_until_it_has_them)
{
    assert_trouble_ends("CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0");
}

Test(redis, scripts_flushed_in_mid_flight_are_loaded_again_unseen)
{
    start_server(NULL);
    cr_assert(happens(is_up, WAIT_MS));
    struct redisContext *side = redis_server_dial(&server);
    tally = (struct tally){ 0 };
    for (int flushes = 0; flushes < 20; flushes++) {
        for (int i = 0; i < 200; i++)
            eval();
        uv_run(&loop, UV_RUN_NOWAIT); /* they are on their way, and so may be some loads and answers */
        reply_free(side, redisCommand(side, "SCRIPT FLUSH"));
        for (int i = 0; i < 200; i++)
            eval();
        cr_assert(happens(all_answered, WAIT_MS));
    }
    cr_assert_eq(tally.away, 0);
    cr_assert_eq(counter_read(&redis_stats(redis)->errors), 0);
    redisFree(side);
}

/* --- a server that lies --- */

static struct slice info_reply = { "+OK\r\n", 5 }, eval_reply = { ":1\r\n", 4 }, load_reply = { "+OK\r\n", 5 };

static struct slice scripted(struct redis_fake *self, struct slice command)
{
    (void)self;
    if (slice_is(command, "INFO"))
        return info_reply;
    if (slice_is(command, "EVALSHA"))
        return eval_reply;
    return load_reply;
}

static void start_fake(void)
{
    fake.answer = scripted;
    redis_fake_start(&fake, &loop);
    connect_to(fake.url, SHORT_MS);
}

static bool has_reconnected(void)
{
    return fake.connections >= 3;
}

Test(redis, answers_that_are_no_redis_drop_the_connection_and_nothing_else)
{
    static char long_text[70000];
    memset(long_text, 'x', sizeof long_text);
    memcpy(long_text, "$66000\r\n", 8);
    memcpy(long_text + 8 + 66000, "\r\n", 2);
    const struct slice lies[] = {
        SLICE("HTTP/1.1 400 Bad Request\r\n\r\n"),
        SLICE("\0\0\0\0"),
        SLICE("\r\n"),
        SLICE("*-5\r\n"),
        SLICE("*9\r\n"),
        SLICE("*2147483647\r\n:1\r\n:1\r\n"),
        SLICE("*99999999999999999999\r\n"),
        SLICE("*1\r\n*1\r\n:1\r\n"),
        SLICE("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n"),
        SLICE("$-5\r\n"),
        SLICE("$99999999999999999999\r\n"),
        SLICE(":99999999999999999999999\r\n"),
        SLICE(":x\r\n"),
        SLICE("%1\r\n:1\r\n:1\r\n"),
        SLICE(",1.5\r\n"),
        SLICE("#t\r\n"),
        SLICE(">2\r\n:1\r\n:1\r\n"),
        { long_text, 66010 },
    };
    start_fake();
    for (size_t i = 0; i < COUNT_OF(lies); i++) {
        cr_assert(happens(is_up, WAIT_MS), "lie %zu", i);
        eval_reply = lies[i];
        assert_eval(3, REDIS_AWAY);
        eval_reply = SLICE(":1\r\n");
    }
    cr_assert(happens(is_up, WAIT_MS));
    assert_eval(3, REDIS_REPLY);
}

Test(redis, whatever_the_greeting_answers_it_goes_on_trying)
{
    const struct slice lies[] = { SLICE("*0\r\nx"),
                                  SLICE("SSH-2.0-OpenSSH_9.2\r\n"),
                                  SLICE("+\r\n+\r\n"),
                                  SLICE("-LOADING x\r\n"),
                                  SLICE("-ERR max number of clients reached\r\n"),
                                  SLICE("$13\r\nrole:slave\r\n\r\n\r\n"),
                                  SLICE("$9\r\nloading:1\r\n") };
    start_fake();
    for (size_t i = 0; i < COUNT_OF(lies); i++) {
        cr_assert(happens(is_up, WAIT_MS), "lie %zu", i);
        info_reply = lies[i];
        fake.connections = 0;
        redis_fake_hang_up(&fake);
        cr_assert(happens(has_reconnected, WAIT_MS), "lie %zu", i);
        info_reply = SLICE("+OK\r\n");
    }
    cr_assert(happens(is_up, WAIT_MS));
}

Test(redis, what_only_settings_can_mend_is_tried_slowly)
{
    const struct slice refusals[] = { SLICE("$22\r\nredis_mode:sentinel\r\n\r\n\r\n"), SLICE("-NOAUTH x\r\n"), SLICE("-MOVED 1 127.0.0.1:1\r\n"),
                                      SLICE("$17\r\ncluster_enabled:1\r\n") };
    for (size_t i = 0; i < COUNT_OF(refusals); i++) {
        info_reply = refusals[i];
        fake = (struct redis_fake){ 0 };
        start_fake();
        cr_assert_not(happens(is_up, LOOK_MS));
        cr_assert_eq(fake.connections, 1);
        redis_destroy(redis);
        redis_fake_stop(&fake);
        redis_address_finish(&address);
        uv_run(&loop, UV_RUN_NOWAIT);
        uv_run(&loop, UV_RUN_NOWAIT);
    }
    redis = NULL;
    fake.answer = NULL;
}

static bool is_greeted(void)
{
    return fake.commands > 0;
}

Test(redis, an_answer_that_nobody_asked_for_drops_the_connection)
{
    info_reply = SLICE("+OK\r\n+OK\r\n");
    start_fake();
    cr_assert(happens(is_greeted, WAIT_MS));
    cr_assert(happens(has_reconnected, WAIT_MS));
}

Test(redis, a_server_that_never_answers_is_never_up)
{
    info_reply = SLICE("");
    start_fake();
    cr_assert(happens(has_reconnected, WAIT_MS));
    cr_assert(is_away());
    assert_eval(3, REDIS_AWAY);
}

Test(redis, half_an_answer_is_none)
{
    start_fake();
    cr_assert(happens(is_up, WAIT_MS));
    eval_reply = SLICE("*2\r\n:1\r\n");
    assert_eval(1, REDIS_AWAY);
    cr_assert_eq(counter_read(&redis_stats(redis)->timeouts), 1);
}

Test(redis, an_answer_in_pieces_is_one_answer)
{
    start_fake();
    cr_assert(happens(is_up, WAIT_MS));
    const char *bytes = "*3\r\n:-5\r\n$5\r\nab\r\nc\r\n$-1\r\n";
    eval_reply = SLICE("");
    tally = (struct tally){ 0 };
    eval();
    size_t commands = fake.commands;
    for (size_t i = 0; i < strlen(bytes) || fake.commands == commands;) {
        uv_run(&loop, UV_RUN_ONCE);
        if (fake.commands > commands && i < strlen(bytes))
            redis_fake_send(&fake, (struct slice){ bytes + i++, 1 });
    }
    cr_assert(happens(all_answered, WAIT_MS));
    cr_assert_eq(tally.replies, 1);
    cr_assert_eq(tally.last.count, 3);
    cr_assert(tally.last.items[0].is_integer && tally.last.items[0].integer == -5);
    cr_assert_not(tally.last.items[1].is_integer);
    cr_assert_eq(tally.last.items[1].string.length, 5);
}

Test(redis, every_error_is_away_and_a_server_that_has_lost_its_place_is_left)
{
    const struct {
        const char *error;
        bool left;
    } cases[] = {
        { "-ERR unknown command\r\n", false }, { "-OOM x\r\n", false },     { "-TRYAGAIN x\r\n", false },   { "-MISCONF x\r\n", false },
        { "-WRONGTYPE x\r\n", false },         { "-\r\n", false },          { "-NOSCRIPT x\r\n", false },   { "-LOADING x\r\n", true },
        { "-MASTERDOWN x\r\n", true },         { "-READONLY x\r\n", true }, { "-CLUSTERDOWN x\r\n", true }, { "-ERR y: -READONLY x\r\n", true },
    };
    start_fake();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        cr_assert(happens(is_up, WAIT_MS));
        size_t connections = fake.connections;
        eval_reply = slice_of(cases[i].error);
        assert_eval(1, REDIS_AWAY);
        cr_assert(is_away(), "%s", cases[i].error);
        if (!cases[i].left)
            cr_assert_eq(fake.connections, connections, "%s", cases[i].error);
        eval_reply = SLICE(":1\r\n");
        cr_assert(happens(is_up, WAIT_MS), "%s", cases[i].error);
        if (cases[i].left)
            cr_assert_gt(fake.connections, connections, "%s", cases[i].error);
    }
}

Test(redis, what_is_asked_in_one_turn_goes_out_together)
{
    enum { EVALS = 200 };
    start_fake();
    cr_assert(happens(is_up, WAIT_MS));
    fake.reads = 0;
    assert_eval(EVALS, REDIS_REPLY);
    cr_assert_leq(fake.reads, 4, "%zu reads for %d scripts", fake.reads, EVALS);
}

static void answer_scripts(size_t count)
{
    struct text bytes;
    text_init(&bytes, 1 << 20);
    while (count-- > 0)
        text_append_string(&bytes, ":1\r\n");
    redis_fake_send(&fake, text_slice(&bytes));
    text_finish(&bytes);
}

/* All of it asked at once would be answered after the deadline of the first, and then asked again. */
Test(redis, a_slow_server_is_asked_for_as_much_as_it_answers)
{
    enum { EVALS = 6000, UNDER_WAY_MAX = 1024, ANSWERED_AT_ONCE = 500 };
    fake.answer = scripted;
    redis_fake_start(&fake, &loop);
    connect_to(fake.url, TIMEOUT_MS);
    cr_assert(happens(is_up, WAIT_MS));
    eval_reply = SLICE("");
    size_t before = fake.commands, answered = 0, most = 0;
    tally = (struct tally){ 0 };
    for (int i = 0; i < EVALS; i++)
        eval();
    while (!all_answered()) {
        cr_assert_not(redis_is_quiet(redis));
        uv_run(&loop, UV_RUN_NOWAIT);
        size_t under_way = fake.commands - before - answered;
        most = under_way > most ? under_way : most;
        if (under_way >= ANSWERED_AT_ONCE || fake.commands - before == EVALS) {
            size_t count = under_way < ANSWERED_AT_ONCE ? under_way : ANSWERED_AT_ONCE;
            answer_scripts(count);
            answered += count;
        }
    }
    cr_assert(redis_is_quiet(redis));
    cr_assert_eq(tally.replies, EVALS);
    cr_assert_leq(most, UNDER_WAY_MAX);
    cr_assert_eq(fake.commands - before, EVALS, "nothing was asked twice");
}

/* --- the end --- */

static void destroy_it(void *context, enum redis_state state, const struct redis_reply_array *reply)
{
    (void)state, (void)reply;
    redis_destroy(redis);
    redis = NULL;
    ++*(int *)context;
}

static void count_int(void *context, enum redis_state state, const struct redis_reply_array *reply)
{
    (void)state, (void)reply;
    ++*(int *)context;
}

static bool is_destroyed(void)
{
    return redis == NULL;
}

Test(redis, may_be_destroyed_in_its_own_callback_up_or_away)
{
    for (int up = 0; up < 2; up++) {
        int destroyed = 0, later = 0;
        if (up == 1)
            start_fake();
        else
            connect_to("unix:///tmp/jobhook-no-such-socket", TIMEOUT_MS);
        if (up == 1)
            cr_assert(happens(is_up, WAIT_MS));
        redis_eval(redis, &script_probe, SLICE("k"), NULL, 0, destroy_it, &destroyed);
        for (int i = 0; i < 10; i++)
            redis_eval(redis, &script_probe, SLICE("k"), NULL, 0, count_int, &later);
        cr_assert(happens(is_destroyed, WAIT_MS));
        for (int i = 0; i < 10; i++)
            uv_run(&loop, UV_RUN_NOWAIT);
        cr_assert_eq(destroyed, 1);
        cr_assert_eq(later, 0);
        redis_address_finish(&address);
    }
}

Test(redis, a_forgotten_callback_never_fires_and_the_others_do)
{
    int forgotten = 0, kept = 0;
    start_fake();
    cr_assert(happens(is_up, WAIT_MS));
    for (int round = 0; round < 2; round++) {
        redis_eval(redis, &script_probe, SLICE("k"), NULL, 0, count_int, &forgotten);
        redis_eval(redis, &script_probe, SLICE("k"), NULL, 0, count_int, &kept);
        redis_forget(redis, count_int, &forgotten);
        assert_eval(1, round == 0 ? REDIS_REPLY : REDIS_AWAY);
        cr_assert_eq(forgotten, 0);
        cr_assert_eq(kept, round + 1);
        info_reply = SLICE("");
        redis_fake_hang_up(&fake);
        cr_assert(happens(is_away, WAIT_MS));
    }
}
