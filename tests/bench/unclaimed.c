/* jobhook without its claims: what safety costs is measured beside it. Linked in place of dedupe/claims.c, it grants every claim and takes every
 * fact at once, without a word to Redis; everything else is the program itself. A benchmark's reference: such a program doubles events. */
#include "consumer/base/clock.h"
#include "consumer/base/memory.h"
#include "dedupe/claims.h"
#include "dedupe/redis_inside.h"

#include <stdlib.h>
#include <uv.h>

struct waiting {
    struct link link;
    claims_done *done;
    void *context;
    struct claims_answer answer;
};

struct claims {
    uv_idle_t turn; /* callbacks never fire before the call has returned */
    struct list waiting, spare;
};

static void tell(uv_idle_t *turn)
{
    struct claims *claims = turn->data;
    for (size_t i = claims->waiting.length; i > 0; i--) {
        struct waiting *waiting = container_of(list_take(&claims->waiting), struct waiting, link);
        struct waiting told = *waiting;
        list_append(&claims->spare, &waiting->link);
        told.done(told.context, &told.answer);
    }
    if (list_is_empty(&claims->waiting))
        uv_idle_stop(turn);
}

static void answer(struct claims *claims, struct claims_answer answer, claims_done *done, void *context)
{
    struct link *spare = list_take(&claims->spare);
    struct waiting *waiting = spare == NULL ? memory_create(sizeof(*waiting)) : container_of(spare, struct waiting, link);
    *waiting = (struct waiting){ .done = done, .context = context, .answer = answer };
    list_append(&claims->waiting, &waiting->link);
    uv_idle_start(&claims->turn, tell);
}

struct claims *claims_create(struct redis *redis, const struct claims_options *options)
{
    struct claims *claims = memory_create(sizeof(*claims));
    (void)options;
    uv_idle_init(redis->turn.loop, &claims->turn);
    claims->turn.data = claims;
    list_init(&claims->waiting);
    list_init(&claims->spare);
    return claims;
}

static void free_links(struct list *list)
{
    struct link *link;
    while ((link = list_take(list)) != NULL)
        free(container_of(link, struct waiting, link));
}

static void closed(uv_handle_t *turn)
{
    struct claims *claims = turn->data;
    free_links(&claims->waiting);
    free_links(&claims->spare);
    free(claims);
}

void claims_destroy(struct claims *claims)
{
    if (claims != NULL)
        uv_close((uv_handle_t *)&claims->turn, closed);
}

void claims_claim(struct claims *claims, const struct claim *claim, claims_done *done, void *context)
{
    (void)claim;
    answer(claims, (struct claims_answer){ .result = CLAIMS_GRANT }, done, context);
}

void claims_fail(struct claims *claims, const struct claim *claim, uint8_t next, claims_done *done, void *context)
{
    (void)claim;
    answer(claims, (struct claims_answer){ .result = CLAIMS_OK, .next = next }, done, context);
}

void claims_settle(struct claims *claims, const struct claim *claim, enum claims_fact fact, int64_t due_ms, claims_done *done, void *context)
{
    (void)claim, (void)fact, (void)due_ms;
    answer(claims, (struct claims_answer){ .result = CLAIMS_OK }, done, context);
}

void claims_defer(struct claims *claims, const struct claim *claim, int64_t due_ms, claims_done *done, void *context)
{
    (void)claim, (void)due_ms;
    answer(claims, (struct claims_answer){ .result = CLAIMS_OK }, done, context);
}

void claims_release(struct claims *claims, const struct claim *claim)
{
    (void)claims, (void)claim;
}

int64_t claims_now_ms(const struct claims *claims)
{
    (void)claims;
    return clock_wall_ms();
}

int64_t claims_earliest_now_ms(const struct claims *claims)
{
    return claims_now_ms(claims);
}

int64_t claims_latest_now_ms(const struct claims *claims)
{
    return claims_now_ms(claims);
}

bool claims_knows_time(const struct claims *claims)
{
    (void)claims;
    return true;
}

void claims_hear_time(struct claims *claims, uint64_t asked_us, int64_t redis_ms)
{
    (void)claims, (void)asked_us, (void)redis_ms;
}

bool claims_reached(const struct claims *claims)
{
    (void)claims;
    return true;
}

uint64_t claims_away_since_ms(const struct claims *claims)
{
    (void)claims;
    return 0;
}
