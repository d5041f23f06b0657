#include "dedupe/redis_inside.h"

#include "consumer/base/clock.h"
#include "dedupe/scripts.h"

#include <stdio.h>

enum {
    PULSE_MS = 1000,
    QUIET_MS = 5000, /* without an answer, before the connection is asked whether it still lives */
};

static void send_words(struct redis *redis, redis_call_answered *answered, const struct slice *words, size_t count)
{
    struct redis_call *call = redis_calls_take(&redis->calls, answered);
    redis_call_write(call, words, count);
    redis_send(redis, call);
}

/* --- is it still there, does it work again? --- */

static void answer_probe(struct redis *redis, struct redis_call *call, const struct redis_reply *reply)
{
    redis->probing = redis_script_is_missing(call, reply);
    redis_answer_script(redis, call, reply);
}

static void answer_ping(struct redis *redis, struct redis_call *call, const struct redis_reply *reply)
{
    redis->probing = false;
    if (reply->kind == REDIS_REPLY_FAILURE) {
        redis_fail_call(redis, call, reply);
        return;
    }
    if (!redis->in_trouble || redis->probe_key.length == 0)
        redis_become_up(redis);
    redis_give_back(redis, call);
}

static void probe(struct redis *redis)
{
    redis->probing = true;
    if (redis->in_trouble && redis->probe_key.length > 0) {
        struct redis_call *call = redis_calls_take(&redis->calls, answer_probe);
        call->script = &script_probe;
        call->asked_us = clock_monotonic_us();
        redis_call_write_script(call, text_slice(&redis->probe_key), NULL, 0);
        redis_send(redis, call);
        return;
    }
    send_words(redis, answer_ping, (struct slice[]){ SLICE("PING") }, 1);
}

static void on_pulse(uv_timer_t *timer)
{
    struct redis *redis = timer->data;
    bool quiet = list_is_empty(&redis->pending) && clock_monotonic_us() - redis->heard_us >= QUIET_MS * 1000ULL;
    if (!redis->probing && (redis->in_trouble || quiet))
        probe(redis);
}

/* --- the greeting --- */

static void begin_serving(struct redis *redis)
{
    redis->phase = PHASE_SERVING;
    if (gauge_read(&redis->stats.reached) != 0)
        counter_add(&redis->stats.reconnects, 1);
    uv_timer_start(&redis->pulse, on_pulse, PULSE_MS, PULSE_MS);
    if (redis->in_trouble)
        probe(redis);
    else
        redis_become_up(redis);
}

/* The error's text is not logged: for a command that it does not know, Redis repeats the arguments, the password among them. */
static void answer_password(struct redis *redis, struct redis_call *call, const struct redis_reply *reply)
{
    if (reply->kind == REDIS_REPLY_FAILURE && redis_judge_error(reply->values.items[0].string).meaning != REDIS_MEANS_GONE)
        redis_refuse(redis, "it does not take the user and password", "set those that Redis knows (or none) in JOBHOOK_REDIS_URL");
    redis_give_back(redis, call);
}

static void answer_database(struct redis *redis, struct redis_call *call, const struct redis_reply *reply)
{
    if (reply->kind == REDIS_REPLY_FAILURE && redis_judge_error(reply->values.items[0].string).meaning == REDIS_MEANS_TROUBLE)
        redis_refuse(redis, "it does not have the database, or not for this user", "name another in JOBHOOK_REDIS_URL: redis://host:port/0");
    redis_give_back(redis, call);
}

static void judge_server(struct redis *redis, struct slice text)
{
    struct redis_info info = redis_judge_info(text);
    if (info.refused != NULL) {
        redis_refuse(redis, info.refused, info.cure);
        return;
    }
    if (info.gone != NULL) {
        redis_drop(redis, slice_of(info.gone), info.cure);
        return;
    }
    const struct redis_address *address = redis->options.address;
    log_info("redis connected", LOG_STRING("server", address->host != NULL ? address->host : address->path), LOG_S("version", info.version));
    if (info.policy.length > 0 && !slice_is(info.policy, "noeviction"))
        log_warn("redis may evict what it should remember: duplicates follow, never losses", LOG_S("maxmemory_policy", info.policy),
                 LOG_STRING("cure", "set maxmemory-policy to noeviction"));
    begin_serving(redis);
}

/* A server that does not show its INFO (a proxy, access rules), but answers, is taken as it is. */
static void answer_info(struct redis *redis, struct redis_call *call, const struct redis_reply *reply)
{
    struct slice text = reply->values.count > 0 ? reply->values.items[0].string : SLICE("");
    struct redis_error error = redis_judge_error(text);
    if (reply->kind != REDIS_REPLY_FAILURE)
        judge_server(redis, text);
    else if (error.meaning == REDIS_MEANS_GONE || error.meaning == REDIS_MEANS_REFUSED)
        redis_act_on_error(redis, text, &error);
    else
        begin_serving(redis);
    redis_give_back(redis, call);
}

void redis_greet(void *owner)
{
    struct redis *redis = owner;
    const struct redis_address *address = redis->options.address;
    redis->phase = PHASE_GREETING;
    if (address->password != NULL && address->user != NULL)
        send_words(redis, answer_password, (struct slice[]){ SLICE("AUTH"), slice_of(address->user), slice_of(address->password) }, 3);
    else if (address->password != NULL)
        send_words(redis, answer_password, (struct slice[]){ SLICE("AUTH"), slice_of(address->password) }, 2);
    if (address->database != 0) {
        char number[16];
        snprintf(number, sizeof number, "%d", address->database);
        send_words(redis, answer_database, (struct slice[]){ SLICE("SELECT"), slice_of(number) }, 2);
    }
    send_words(redis, answer_info, (struct slice[]){ SLICE("INFO") }, 1);
}
