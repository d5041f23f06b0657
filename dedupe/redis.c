#include "dedupe/redis.h"

#include "consumer/base/clock.h"
#include "consumer/base/memory.h"
#include "consumer/base/random.h"
#include "dedupe/redis_inside.h"
#include "dedupe/scripts.h"

#include <stdlib.h>

enum {
    COMMAND_TIMEOUT_MS = 2000,
    RETRY_FIRST_MS = 100, /* doubling, each a random half to whole of it */
    RETRY_MOST_MS = 5000,
    RETRY_REFUSED_MS = 15000, /* where somebody has to change a setting first */
    LOAD_TRIES_MAX = 3,       /* of one call whose script is not there */
    ARGUMENTS_MAX = 16,       /* of a script */
    UNDER_WAY_MAX = 1024,     /* sent and not answered: a slow Redis must not be asked for more than it can answer before the deadline, or the
                               * connection is dropped, everything asked again, and Redis slower still */
    LOG_EVERY_MS = 10000,     /* of one kind of complaint */
};

static void on_timer(uv_timer_t *timer);

/* --- being up and away --- */

/* The last field of a line: left out when there is no cure to name. */
static struct log_field cure_field(const char *cure)
{
    const struct log_field none = { .kind = LOG_END }, some = LOG_STRING("cure", cure);
    return cure == NULL ? none : some;
}

static void log_away(struct redis *redis, struct slice why, const char *cure)
{
    uint64_t suppressed = 0;
    if (log_gate_opens(&redis->away_gate, LOG_EVERY_MS, &suppressed))
        log_warn("redis is away", LOG_S("why", why), LOG_I("for_ms", clock_monotonic_ms() - redis->away_since_ms), LOG_I("suppressed", suppressed),
                 cure_field(cure));
}

static void become_away(struct redis *redis)
{
    if (redis->away_since_ms == 0)
        redis->away_since_ms = clock_monotonic_ms();
    gauge_set(&redis->stats.up, 0);
}

void redis_become_up(struct redis *redis)
{
    redis->in_trouble = false;
    redis->retry_ms = RETRY_FIRST_MS;
    if (redis->away_since_ms == 0)
        return;
    log_info("redis is up", LOG_I("away_ms", clock_monotonic_ms() - redis->away_since_ms));
    redis->away_since_ms = 0;
    gauge_set(&redis->stats.up, 1);
    gauge_set(&redis->stats.reached, 1);
    redis->away_gate = (struct log_gate){ 0 };
}

/* A script was not carried out, as far as anybody knows. */
static void note_trouble(struct redis *redis, const struct redis_call *call)
{
    redis->in_trouble = true;
    become_away(redis);
    if (call->key_length == 0 || call->script == &script_probe)
        return;
    text_clear(&redis->probe_key);
    text_append(&redis->probe_key, redis_call_key(call));
    text_append_char(&redis->probe_key, 1); /* no task id holds a control character */
}

/* --- calls --- */

static void wake(struct redis *redis);

void redis_give_back(struct redis *redis, struct redis_call *call)
{
    redis_calls_give_back(&redis->calls, call);
    if (redis->destroyed)
        redis_calls_finish(&redis->calls);
}

/* Takes the call back, too. */
static void finish_call(struct redis *redis, struct redis_call *call, enum redis_state state, const struct redis_reply_array *reply)
{
    if (call->done != NULL && !redis->destroyed)
        call->done(call->context, state, reply);
    redis_give_back(redis, call);
}

void redis_send(struct redis *redis, struct redis_call *call)
{
    call->sent_us = clock_monotonic_us();
    redis_wire_send(redis->wire, (struct slice){ call->command, call->length });
    list_append(&redis->pending, &call->link);
    if (!uv_is_active((uv_handle_t *)&redis->timer))
        uv_timer_start(&redis->timer, on_timer, redis->options.command_timeout_ms, 0);
    wake(redis);
}

/* --- losing the connection --- */

static void rest(struct redis *redis, uint64_t ms)
{
    redis->phase = PHASE_RESTING;
    uv_timer_start(&redis->timer, on_timer, ms, 0);
}

static uint64_t next_retry_ms(struct redis *redis)
{
    uint64_t ms = redis->retry_ms;
    redis->retry_ms = ms * 2 > RETRY_MOST_MS ? RETRY_MOST_MS : ms * 2;
    return ms / 2 + random_below(ms / 2 + 1);
}

static void refuse_all(struct redis *redis, struct list *calls)
{
    struct link *link = NULL;
    while ((link = list_take(calls)) != NULL)
        list_append(&redis->refused, link);
}

/* The connection is gone: whoever waits for an answer is told in the next turn. */
static void let_go(struct redis *redis)
{
    become_away(redis);
    redis->loading = 0;
    redis->probing = false;
    uv_timer_stop(&redis->timer);
    uv_timer_stop(&redis->pulse);
    refuse_all(redis, &redis->pending);
    refuse_all(redis, &redis->waiting);
    wake(redis);
}

static void on_lost(void *owner, const char *why)
{
    struct redis *redis = owner;
    let_go(redis);
    log_away(redis, slice_of(why), NULL);
    rest(redis, next_retry_ms(redis));
}

void redis_drop(struct redis *redis, struct slice why, const char *cure)
{
    redis_wire_close(redis->wire);
    let_go(redis);
    log_away(redis, why, cure);
    rest(redis, next_retry_ms(redis));
}

void redis_refuse(struct redis *redis, const char *why, const char *cure)
{
    redis_wire_close(redis->wire);
    let_go(redis);
    log_error("redis cannot be used", LOG_STRING("why", why), LOG_I("retry_ms", RETRY_REFUSED_MS), cure_field(cure));
    rest(redis, RETRY_REFUSED_MS);
}

/* --- errors --- */

/* An error other than NOSCRIPT: the connection stays, is dropped, or is refused. */
void redis_act_on_error(struct redis *redis, struct slice text, const struct redis_error *error)
{
    uint64_t suppressed = 0;
    struct slice shown = { text.start, text.length < 160 ? text.length : 160 };
    if (error->meaning != REDIS_MEANS_REFUSED && log_gate_opens(&redis->error_gate, LOG_EVERY_MS, &suppressed))
        log_warn("redis answers with an error", LOG_S("class", error->word), LOG_S("error", shown), LOG_I("suppressed", suppressed),
                 cure_field(error->cure));
    if (error->meaning == REDIS_MEANS_GONE)
        redis_drop(redis, error->word, error->cure);
    else if (error->meaning == REDIS_MEANS_REFUSED)
        redis_refuse(redis, "it answers with an error that only a change of the settings ends", error->cure);
}

void redis_fail_call(struct redis *redis, struct redis_call *call, const struct redis_reply *reply)
{
    struct slice text = reply->values.items[0].string;
    struct redis_error error = redis_judge_error(text);
    counter_add(&redis->stats.errors, 1);
    note_trouble(redis, call);
    redis_act_on_error(redis, text, &error);
    finish_call(redis, call, REDIS_AWAY, NULL);
}

/* --- scripts --- */

static void answer_load(struct redis *redis, struct redis_call *call, const struct redis_reply *reply)
{
    redis->loading &= ~(1ULL << call->script->index);
    if (reply->kind == REDIS_REPLY_FAILURE)
        redis_fail_call(redis, call, reply);
    else
        redis_give_back(redis, call);
}

/* Redis forgot the script, or never knew it. The load goes in front of the call, on the same connection: no need to wait for its answer. */
static void load_and_send_again(struct redis *redis, struct redis_call *call)
{
    const struct redis_script *script = call->script;
    if ((redis->loading >> script->index & 1) == 0) {
        struct slice words[] = { SLICE("SCRIPT"), SLICE("LOAD"), { script->source, script->length } };
        struct redis_call *load = redis_calls_take(&redis->calls, answer_load);
        load->script = script;
        redis_call_write(load, words, COUNT_OF(words));
        redis->loading |= 1ULL << script->index;
        redis_send(redis, load);
    }
    call->tries++;
    redis_send(redis, call);
}

bool redis_script_is_missing(const struct redis_call *call, const struct redis_reply *reply)
{
    return reply->kind == REDIS_REPLY_FAILURE && call->tries < LOAD_TRIES_MAX &&
           redis_judge_error(reply->values.items[0].string).meaning == REDIS_MEANS_LOAD_SCRIPT;
}

void redis_answer_script(struct redis *redis, struct redis_call *call, const struct redis_reply *reply)
{
    if (redis_script_is_missing(call, reply)) {
        load_and_send_again(redis, call);
        return;
    }
    if (reply->kind == REDIS_REPLY_FAILURE) {
        redis_fail_call(redis, call, reply);
        return;
    }
    histogram_observe_us(&redis->stats.duration, redis->heard_us - call->asked_us);
    redis_become_up(redis);
    finish_call(redis, call, REDIS_REPLY, &reply->values);
}

/* --- the loop --- */

static void send_waiting(struct redis *redis)
{
    while (!redis->destroyed && redis->phase == PHASE_SERVING && redis->pending.length < UNDER_WAY_MAX && !list_is_empty(&redis->waiting))
        redis_send(redis, container_of(list_take(&redis->waiting), struct redis_call, link));
}

static void on_answered(void *owner, const struct redis_reply *reply)
{
    struct redis *redis = owner;
    struct link *link = list_take(&redis->pending);
    if (link == NULL) {
        redis_drop(redis, SLICE("it answers what was not asked"), NULL);
        return;
    }
    struct redis_call *call = container_of(link, struct redis_call, link);
    redis->heard_us = clock_monotonic_us();
    call->answered(redis, call, reply);
    send_waiting(redis);
}

static struct redis_call *overdue_call(struct redis *redis, uint64_t *left_ms)
{
    struct link *link = list_first(&redis->pending);
    *left_ms = 0;
    if (link == NULL)
        return NULL;
    struct redis_call *oldest = container_of(link, struct redis_call, link);
    uint64_t waited_ms = (clock_monotonic_us() - oldest->sent_us) / 1000;
    if (waited_ms >= redis->options.command_timeout_ms)
        return oldest;
    *left_ms = redis->options.command_timeout_ms - waited_ms;
    return NULL;
}

static void check_deadlines(struct redis *redis)
{
    uint64_t left_ms = 0;
    if (overdue_call(redis, &left_ms) != NULL)
        redis_wire_read(redis->wire); /* it may be this process that was late */
    if (redis->destroyed || (redis->phase != PHASE_GREETING && redis->phase != PHASE_SERVING))
        return;
    struct redis_call *overdue = overdue_call(redis, &left_ms);
    if (overdue != NULL) {
        counter_add(&redis->stats.timeouts, 1);
        if (overdue->script != NULL)
            note_trouble(redis, overdue);
        redis_drop(redis, SLICE("no answer in time"), NULL);
    } else if (left_ms > 0) {
        uv_timer_start(&redis->timer, on_timer, left_ms, 0);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct redis *redis = timer->data;
    if (redis->phase != PHASE_RESTING) {
        check_deadlines(redis);
        return;
    }
    redis->phase = PHASE_DIALLING;
    redis_wire_open(redis->wire);
}

static void on_turn(uv_idle_t *turn)
{
    struct redis *redis = turn->data;
    uv_idle_stop(turn);
    /* Only those that are there now: whoever asks again at once is told in the next turn. */
    for (size_t left = redis->refused.length; left > 0 && !redis->destroyed; left--) {
        struct redis_call *call = container_of(list_take(&redis->refused), struct redis_call, link);
        finish_call(redis, call, REDIS_AWAY, NULL);
    }
    if (!redis->destroyed)
        redis_wire_flush(redis->wire);
}

/* An idle handle, because it runs in each turn of the loop and keeps it from sleeping: what anybody asks for, at whatever point of a turn, goes
 * out in one write in the next turn at the latest. */
static void wake(struct redis *redis)
{
    if (!redis->destroyed)
        uv_idle_start(&redis->turn, on_turn);
}

/* --- outside --- */

struct redis *redis_create(struct uv_loop_s *loop, const struct redis_options *options)
{
    static const struct redis_wire_events events = { redis_greet, on_answered, on_lost };
    struct redis *redis = memory_create(sizeof *redis);
    redis->options = *options;
    if (redis->options.command_timeout_ms == 0)
        redis->options.command_timeout_ms = COMMAND_TIMEOUT_MS;
    list_init(&redis->pending);
    list_init(&redis->waiting);
    list_init(&redis->refused);
    redis_calls_init(&redis->calls);
    text_init(&redis->probe_key, 4096);
    redis->retry_ms = RETRY_FIRST_MS;
    redis->away_since_ms = clock_monotonic_ms();
    uv_idle_init(loop, &redis->turn);
    uv_timer_init(loop, &redis->timer);
    uv_timer_init(loop, &redis->pulse);
    redis->turn.data = redis->timer.data = redis->pulse.data = redis;
    redis->handles = 3;
    const struct redis_wire_options wire = { loop, options->address, redis->options.command_timeout_ms };
    redis->wire = redis_wire_create(&wire, &events, redis);
    rest(redis, 0);
    return redis;
}

static void free_calls(struct redis *redis, struct list *list)
{
    struct link *link = NULL;
    while ((link = list_take(list)) != NULL)
        redis_calls_give_back(&redis->calls, container_of(link, struct redis_call, link));
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct redis *redis = handle->data;
    if (--redis->handles == 0)
        free(redis);
}

/* The memory goes when the loop has closed the handles: it must run once more. */
void redis_destroy(struct redis *redis)
{
    if (redis == NULL)
        return;
    redis->destroyed = true;
    redis_wire_destroy(redis->wire);
    free_calls(redis, &redis->pending);
    free_calls(redis, &redis->waiting);
    free_calls(redis, &redis->refused);
    redis_calls_finish(&redis->calls);
    text_finish(&redis->probe_key);
    uv_close((uv_handle_t *)&redis->turn, on_handle_closed);
    uv_close((uv_handle_t *)&redis->timer, on_handle_closed);
    uv_close((uv_handle_t *)&redis->pulse, on_handle_closed);
}

void redis_eval(struct redis *redis, const struct redis_script *script, struct slice key, const struct slice *arguments, size_t count,
                redis_done *done, void *context)
{
    assert(count <= ARGUMENTS_MAX && script->index <= SCRIPT_INDEX_MAX);
    struct redis_call *call = redis_calls_take(&redis->calls, redis_answer_script);
    call->script = script;
    call->done = done;
    call->context = context;
    if (redis->phase != PHASE_SERVING) {
        list_append(&redis->refused, &call->link);
        wake(redis);
        return;
    }
    counter_add(&redis->stats.commands, 1);
    redis_call_write_script(call, key, arguments, count);
    call->asked_us = clock_monotonic_us();
    list_append(&redis->waiting, &call->link);
    send_waiting(redis);
}

static void forget_in(struct list *list, redis_done *done, const void *context)
{
    LIST_EACH (list, link) {
        struct redis_call *call = container_of(link, struct redis_call, link);
        if (call->done == done && call->context == context)
            call->done = NULL;
    }
}

void redis_forget(struct redis *redis, redis_done *done, const void *context)
{
    forget_in(&redis->pending, done, context);
    forget_in(&redis->waiting, done, context);
    forget_in(&redis->refused, done, context);
}

bool redis_is_quiet(const struct redis *redis)
{
    return redis->phase != PHASE_SERVING || (list_is_empty(&redis->pending) && list_is_empty(&redis->waiting));
}

bool redis_is_up(const struct redis *redis)
{
    return redis->away_since_ms == 0;
}

uint64_t redis_away_since_ms(const struct redis *redis)
{
    return redis->away_since_ms;
}

const struct redis_stats *redis_stats(const struct redis *redis)
{
    return &redis->stats;
}
