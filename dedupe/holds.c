#include "dedupe/holds.h"

#include "consumer/base/clock.h"
#include "consumer/base/memory.h"
#include "consumer/base/random.h"
#include "dedupe/scripts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_BYTES_MAX = 4096, NUMBER_BYTES = 24, AGAIN_MS = 200, ARGUMENTS = 5, ANSWER_NUMBERS = 3 /* deaths, where they began, Redis's time */ };

/* No task id holds a control character, so no task's key is one of these. */
static const char KEY_MARK[] = "\x01hold\x01";

struct holds {
    struct redis *redis;
    struct timers *timers;
    struct claims *claims;
    char *prefix;
    char ttl[NUMBER_BYTES];
    size_t under_way; /* commands that nobody waits for */
};

/* ---- what is asked ---- */

static void eval(const struct hold *hold, int weight, redis_done *done, void *context)
{
    char number[NUMBER_BYTES], at[NUMBER_BYTES], range[NUMBER_BYTES];
    snprintf(number, sizeof(number), "%d", weight);
    snprintf(at, sizeof(at), "%" PRId64, hold->at);
    snprintf(range, sizeof(range), "%" PRIu32, hold->range);
    const struct slice arguments[ARGUMENTS] = {
        { (const char *)hold->token, sizeof(hold->token) }, slice_of(number), slice_of(hold->holds->ttl), slice_of(at), slice_of(range)
    };
    redis_eval(hold->holds->redis, &script_hold, text_slice(&hold->key), arguments, ARGUMENTS, done, context);
}

static void told(void *context, enum redis_state state, const struct redis_reply_array *reply)
{
    struct holds *holds = context;
    (void)state;
    (void)reply;
    holds->under_way--;
}

static void tell(const struct hold *hold, int weight)
{
    hold->holds->under_way++;
    eval(hold, weight, told, hold->holds);
}

static void answer(struct hold *hold, const struct hold_answer *answer)
{
    void (*answered)(struct hold *, const struct hold_answer *) = hold->answered;
    hold->answered = NULL;
    if (answered != NULL)
        answered(hold, answer);
}

static bool read_reply(const struct redis_reply_array *reply, struct hold_answer *answer)
{
    if (reply->count != ANSWER_NUMBERS)
        return false;
    for (size_t i = 0; i < ANSWER_NUMBERS; i++)
        if (!reply->items[i].is_integer)
            return false;
    int64_t dead = reply->items[0].integer;
    *answer = (struct hold_answer){ .dead = dead < 0 ? 0 : dead > INT32_MAX ? INT32_MAX : (uint32_t)dead, .from = reply->items[1].integer };
    return true;
}

static void replied(void *context, enum redis_state state, const struct redis_reply_array *reply)
{
    struct hold *hold = context;
    struct hold_answer found = { .away = true };
    if (state == REDIS_REPLY && read_reply(reply, &found)) {
        if (hold->holds->claims != NULL)
            claims_hear_time(hold->holds->claims, hold->asked_us, reply->items[2].integer);
        answer(hold, &found);
    } else if (clock_monotonic_ms() - hold->asked_ms < HOLD_PATIENCE_MS) {
        timers_start(hold->holds->timers, &hold->again, clock_monotonic_ms() + AGAIN_MS);
    } else {
        answer(hold, &(struct hold_answer){ .away = true });
    }
}

static void ask(struct hold *hold)
{
    hold->asked_us = clock_monotonic_us();
    eval(hold, (int)hold->weight, replied, hold);
}

static void ask_again(struct timer *timer)
{
    ask(container_of(timer, struct hold, again));
}

/* ---- holds ---- */

void hold_take(struct hold *hold, struct holds *holds, const struct hold_terms *terms)
{
    assert(hold->weight == 0 && terms->weight > 0 && terms->weight <= INT32_MAX);
    hold->holds = holds;
    hold->at = terms->at;
    hold->range = terms->range;
    hold->weight = terms->weight;
    hold->answered = terms->answered;
    hold->again.fire = ask_again;
    hold->asked_ms = clock_monotonic_ms();
    random_bytes(hold->token, sizeof(hold->token));
    text_init(&hold->key, KEY_BYTES_MAX);
    text_append_string(&hold->key, holds->prefix);
    text_append_string(&hold->key, KEY_MARK);
    text_append(&hold->key, terms->name);
    ask(hold);
}

void hold_weigh(struct hold *hold, uint32_t weight)
{
    if (hold->weight == 0 || hold->weight == weight)
        return;
    hold->weight = weight;
    tell(hold, (int)weight);
}

void hold_drop(struct hold *hold)
{
    if (hold->weight == 0)
        return;
    timers_stop(hold->holds->timers, &hold->again);
    redis_forget(hold->holds->redis, replied, hold);
    text_finish(&hold->key);
    hold->answered = NULL;
    hold->weight = 0;
}

void hold_give_back(struct hold *hold)
{
    if (hold->weight == 0)
        return;
    tell(hold, 0);
    hold_drop(hold);
}

void hold_clear(struct hold *hold)
{
    if (hold->weight == 0)
        return;
    tell(hold, -1);
    hold_drop(hold);
}

/* ---- all of them ---- */

struct holds *holds_create(struct redis *redis, const struct holds_options *options)
{
    struct holds *holds = memory_create(sizeof(*holds));
    holds->redis = redis;
    holds->timers = options->timers;
    holds->claims = options->claims;
    holds->prefix = memory_copy(options->prefix, strlen(options->prefix));
    snprintf(holds->ttl, sizeof(holds->ttl), "%" PRIu64, options->ttl_ms);
    return holds;
}

void holds_destroy(struct holds *holds)
{
    if (holds == NULL)
        return;
    redis_forget(holds->redis, told, holds);
    free(holds->prefix);
    free(holds);
}

bool holds_are_settled(const struct holds *holds)
{
    return holds->under_way == 0;
}
