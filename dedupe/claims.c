#include "dedupe/claims.h"

#include "consumer/base/clock.h"
#include "consumer/base/list.h"
#include "consumer/base/log.h"
#include "consumer/base/memory.h"
#include "consumer/base/text.h"
#include "dedupe/scripts.h"

#include <stdlib.h>
#include <string.h>

enum {
    KEY_BYTES_MAX = 4096,
    TASK_ID_BYTES_MAX = 256, /* longer ones are malformed events */
    PLACE_BYTES = 12,
    DIGEST_BYTES = 8,
    ARGUMENTS = 8,     /* what dedupe/scripts/record.lua expects, the seventh is the script's own */
    ANSWER_NUMBERS = 3 /* result, Redis's time, whether the record could not be read; then what the result needs */
};

#define REDIS_MS_MAX INT64_C(253402300799999) /* the end of the year 9999: what claims to be later is no time */

/* How far Redis's clock is ahead of the local monotonic one, which never steps. A reply's time was read at some moment between question and answer:
 * that bounds the difference, and all replies together bound it best. Bounds that a later reply proves wrong (a clock was set) are given up at once. */
struct clock_estimate {
    bool known;
    int64_t least_us, most_us;
};

struct claims {
    struct redis *redis;
    struct text key; /* prefix and task id; only the prefix stays */
    size_t prefix_length;
    uint64_t lease_ms;
    char ttl[TEXT_U64_MAX];
    size_t ttl_length;
    struct clock_estimate clock;
    struct list questions;
    struct list spare;
    bool told_unreadable, told_nonsense;
};

struct question { /* one call that Redis has not answered yet */
    struct link link;
    struct claims *claims;
    claims_done *done;
    void *context;
    uint64_t asked_us;
};

/* --- what is asked --- */

static void write_little_endian(uint64_t value, char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (char)(uint8_t)(value >> (8 * i));
}

struct ask {
    const struct redis_script *script;
    const struct claim *claim;
    uint64_t rank;
    uint32_t deferral;
    uint64_t extra; /* the script's own argument */
    claims_done *done;
    void *context;
};

struct arguments {
    struct slice items[ARGUMENTS];
    char rank[TEXT_U64_MAX], deferral[TEXT_U64_MAX], extra[TEXT_U64_MAX], outcome[TEXT_U64_MAX];
    char digest[DIGEST_BYTES], place[PLACE_BYTES];
};

/* A place that is not known is twelve bytes of 255, whatever the offset. */
static void write_place(const struct claim *claim, char place[PLACE_BYTES])
{
    bool known = claim->partition >= 0;
    write_little_endian(known ? (uint32_t)claim->partition : UINT32_MAX, place, 4);
    write_little_endian(known ? (uint64_t)claim->offset : UINT64_MAX, place + 4, 8);
}

static void write_arguments(const struct claims *claims, const struct ask *ask, struct arguments *arguments)
{
    write_little_endian(ask->claim->digest, arguments->digest, DIGEST_BYTES);
    write_place(ask->claim, arguments->place);
    arguments->items[0] = (struct slice){ arguments->rank, text_write_u64(arguments->rank, ask->rank) };
    arguments->items[1] = (struct slice){ arguments->deferral, text_write_u64(arguments->deferral, ask->deferral) };
    arguments->items[2] = (struct slice){ (const char *)ask->claim->token, TOKEN_BYTES };
    arguments->items[3] = (struct slice){ arguments->digest, DIGEST_BYTES };
    arguments->items[4] = (struct slice){ arguments->place, PLACE_BYTES };
    arguments->items[5] = (struct slice){ claims->ttl, claims->ttl_length };
    arguments->items[6] = (struct slice){ arguments->extra, text_write_u64(arguments->extra, ask->extra) };
    arguments->items[7] = (struct slice){ arguments->outcome, text_write_u64(arguments->outcome, ask->claim->outcome) };
}

/* --- what is answered --- */

static void note_clock(struct clock_estimate *clock, uint64_t asked_us, int64_t redis_ms)
{
    struct clock_estimate heard = { true, redis_ms * 1000 - (int64_t)clock_monotonic_us(), (redis_ms + 1) * 1000 - (int64_t)asked_us };
    bool wrong = heard.least_us > clock->most_us || heard.most_us < clock->least_us;
    if (!clock->known || wrong)
        *clock = heard;
    if (heard.least_us > clock->least_us)
        clock->least_us = heard.least_us;
    if (heard.most_us < clock->most_us)
        clock->most_us = heard.most_us;
}

static bool read_answer(const struct redis_reply_array *reply, struct claims_answer *answer)
{
    if (reply->count < ANSWER_NUMBERS)
        return false;
    for (size_t i = 0; i < reply->count; i++)
        if (!reply->items[i].is_integer || reply->items[i].integer < 0)
            return false;
    int64_t result = reply->items[0].integer, extra = reply->count > ANSWER_NUMBERS ? reply->items[ANSWER_NUMBERS].integer : 0;
    if (result < CLAIMS_GRANT || result > CLAIMS_FOREIGN || reply->items[1].integer > REDIS_MS_MAX)
        return false;
    answer->result = (enum claims_result)result;
    if (answer->result == CLAIMS_BUSY)
        answer->busy_ms = (uint64_t)extra;
    if (answer->result == CLAIMS_RESUME || answer->result == CLAIMS_OK)
        answer->next = (uint8_t)extra;
    return true;
}

static void understand(struct question *question, const struct redis_reply_array *reply, struct claims_answer *answer)
{
    struct claims *claims = question->claims;
    if (!read_answer(reply, answer)) {
        if (!claims->told_nonsense)
            log_error("redis answers a claim with something that no script of this program says");
        claims->told_nonsense = true;
        return;
    }
    note_clock(&claims->clock, question->asked_us, reply->items[1].integer);
    if (reply->items[2].integer != 0 && !claims->told_unreadable) {
        claims->told_unreadable = true;
        log_warn("redis holds records that this program cannot read, perhaps another version's: they count as none (duplicates, never losses)");
    }
}

static void on_reply(void *context, enum redis_state state, const struct redis_reply_array *reply)
{
    struct question *question = context;
    struct claims *claims = question->claims;
    struct claims_answer answer = { .result = CLAIMS_AWAY };
    if (state == REDIS_REPLY)
        understand(question, reply, &answer);
    claims_done *done = question->done;
    void *whose = question->context;
    list_remove(&claims->questions, &question->link);
    list_append(&claims->spare, &question->link);
    if (done != NULL)
        done(whose, &answer);
}

static struct question *take_question(struct claims *claims)
{
    struct link *link = list_take(&claims->spare);
    struct question *question = link == NULL ? memory_create(sizeof *question) : container_of(link, struct question, link);
    list_append(&claims->questions, &question->link);
    return question;
}

static void ask(struct claims *claims, const struct ask *ask)
{
    struct arguments arguments;
    write_arguments(claims, ask, &arguments);
    struct question *question = NULL;
    if (ask->done != NULL) {
        question = take_question(claims);
        question->claims = claims;
        question->done = ask->done;
        question->context = ask->context;
        question->asked_us = clock_monotonic_us();
    }
    assert(ask->claim->task_id.length <= TASK_ID_BYTES_MAX);
    claims->key.length = claims->prefix_length;
    text_append(&claims->key, ask->claim->task_id);
    redis_eval(claims->redis, ask->script, text_slice(&claims->key), arguments.items, ARGUMENTS, question == NULL ? NULL : on_reply, question);
}

/* --- outside --- */

struct claims *claims_create(struct redis *redis, const struct claims_options *options)
{
    assert(options->lease_ms > 0 && options->lease_ms <= UINT32_MAX && options->state_ttl_ms > 0);
    struct claims *claims = memory_create(sizeof *claims);
    claims->redis = redis;
    text_init(&claims->key, KEY_BYTES_MAX);
    text_append_string(&claims->key, options->prefix);
    claims->prefix_length = claims->key.length;
    assert(claims->prefix_length + TASK_ID_BYTES_MAX < KEY_BYTES_MAX); /* else all tasks would share one key */
    claims->lease_ms = options->lease_ms;
    claims->ttl_length = text_write_u64(claims->ttl, options->state_ttl_ms);
    list_init(&claims->questions);
    list_init(&claims->spare);
    return claims;
}

static void free_questions(struct list *questions)
{
    struct link *link = NULL;
    while ((link = list_take(questions)) != NULL)
        free(container_of(link, struct question, link));
}

void claims_destroy(struct claims *claims)
{
    if (claims == NULL)
        return;
    LIST_EACH (&claims->questions, link)
        redis_forget(claims->redis, on_reply, container_of(link, struct question, link));
    free_questions(&claims->questions);
    free_questions(&claims->spare);
    text_finish(&claims->key);
    free(claims);
}

void claims_claim(struct claims *claims, const struct claim *claim, claims_done *done, void *context)
{
    uint64_t rank = rank_claimed(claim->epoch, claim->attempt);
    ask(claims, &(struct ask){ &script_claim, claim, rank, claim->deferral, claims->lease_ms, done, context });
}

void claims_fail(struct claims *claims, const struct claim *claim, uint8_t next, claims_done *done, void *context)
{
    uint64_t rank = rank_claimed(claim->epoch, claim->attempt);
    ask(claims, &(struct ask){ &script_fail, claim, rank, 0, next, done, context });
}

static uint64_t fact_rank(const struct claim *claim, enum claims_fact fact)
{
    switch (fact) {
    case CLAIMS_SCHEDULED:
        return rank_scheduled(claim->epoch, claim->attempt);
    case CLAIMS_DEAD:
        return rank_dead(claim->epoch);
    case CLAIMS_DELIVERED:
        break;
    }
    return rank_delivered(claim->epoch);
}

void claims_settle(struct claims *claims, const struct claim *claim, enum claims_fact fact, int64_t due_ms, claims_done *done, void *context)
{
    uint64_t due = due_ms > 0 ? (uint64_t)due_ms : 0;
    ask(claims, &(struct ask){ &script_settle, claim, fact_rank(claim, fact), 0, fact == CLAIMS_SCHEDULED ? due : claim->attempts, done, context });
}

void claims_defer(struct claims *claims, const struct claim *claim, int64_t due_ms, claims_done *done, void *context)
{
    uint64_t rank = rank_claimed(claim->epoch, claim->attempt), due = due_ms > 0 ? (uint64_t)due_ms : 0;
    ask(claims, &(struct ask){ &script_defer, claim, rank, claim->deferral + 1, due, done, context });
}

void claims_release(struct claims *claims, const struct claim *claim)
{
    uint64_t rank = rank_claimed(claim->epoch, claim->attempt);
    ask(claims, &(struct ask){ &script_release, claim, rank, claim->deferral, 0, NULL, NULL });
}

bool claims_knows_time(const struct claims *claims)
{
    return claims->clock.known;
}

void claims_hear_time(struct claims *claims, uint64_t asked_us, int64_t redis_ms)
{
    if (redis_ms >= 0 && redis_ms <= REDIS_MS_MAX)
        note_clock(&claims->clock, asked_us, redis_ms);
}

int64_t claims_now_ms(const struct claims *claims)
{
    const struct clock_estimate *clock = &claims->clock;
    if (!clock->known)
        return clock_wall_ms();
    return ((int64_t)clock_monotonic_us() + clock->least_us + (clock->most_us - clock->least_us) / 2) / 1000;
}

int64_t claims_earliest_now_ms(const struct claims *claims)
{
    if (!claims->clock.known)
        return clock_wall_ms();
    return ((int64_t)clock_monotonic_us() + claims->clock.least_us) / 1000;
}

int64_t claims_latest_now_ms(const struct claims *claims)
{
    if (!claims->clock.known)
        return clock_wall_ms() + 1;
    return ((int64_t)clock_monotonic_us() + claims->clock.most_us) / 1000 + 1;
}

bool claims_reached(const struct claims *claims)
{
    return gauge_read(&redis_stats(claims->redis)->reached) != 0;
}

uint64_t claims_away_since_ms(const struct claims *claims)
{
    return redis_away_since_ms(claims->redis);
}
