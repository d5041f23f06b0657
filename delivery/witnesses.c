#include "delivery/witnesses.h"

#include "consumer/base/check.h"
#include "consumer/base/memory.h"
#include "delivery/guard.h"

#include <stdlib.h>
#include <string.h>

struct witness {
    uint64_t hash;
    uint64_t since_ms; /* its site has had the place */
    uint64_t connected_ms;
    uint64_t asked_ms;
    uint16_t site, length;
    char origin[GUARD_ORIGIN_MAX];
};

struct witnesses {
    struct witness *places[WITNESSES_MAX]; /* by site; a few sites may want the same one */
    bool exist;
};

struct witnesses *witnesses_create(void)
{
    return memory_create(sizeof(struct witnesses));
}

void witnesses_destroy(struct witnesses *witnesses)
{
    for (size_t i = 0; witnesses != NULL && i < WITNESSES_MAX; i++)
        free(witnesses->places[i]);
    free(witnesses);
}

static bool gives_way(const struct witness *witness, uint16_t site, uint64_t now_ms)
{
    return now_ms > witness->connected_ms + (witness->site == site ? WITNESS_SILENT_MS : WITNESS_GONE_MS);
}

void witnesses_note(struct witnesses *witnesses, struct slice origin, uint64_t hash, uint16_t site, uint64_t now_ms)
{
    struct witness **place = &witnesses->places[site % WITNESSES_MAX], *witness = *place;
    if (witness != NULL && witness->hash == hash) {
        witness->connected_ms = now_ms;
        return;
    }
    if (witness != NULL && !gives_way(witness, site, now_ms))
        return;
    if (witness == NULL)
        witness = *place = memory_create(sizeof(*witness));
    witnesses->exist = true;
    assert(origin.length <= sizeof(witness->origin));
    if (witness->site != site || witness->length == 0)
        witness->since_ms = now_ms;
    witness->hash = hash;
    witness->connected_ms = now_ms;
    witness->asked_ms = 0;
    witness->site = site;
    witness->length = (uint16_t)origin.length;
    memcpy(witness->origin, origin.start, origin.length);
}

bool witnesses_exist(const struct witnesses *witnesses)
{
    return witnesses->exist;
}

/* When it was last asked about this time; 0: not yet. */
static uint64_t asked_ms(const struct witness *witness, uint64_t broken_since_ms)
{
    return witness->asked_ms >= broken_since_ms ? witness->asked_ms : 0;
}

static bool may_be_asked(const struct witness *witness, uint64_t broken_since_ms, uint64_t now_ms)
{
    bool known = broken_since_ms <= witness->connected_ms + WITNESS_KNOWN_MS;
    uint64_t asked = asked_ms(witness, broken_since_ms);
    return known && (asked == 0 || now_ms >= asked + WITNESS_AGAIN_MS);
}

static bool comes_before(const struct witness *a, const struct witness *b, uint64_t broken_since_ms)
{
    uint64_t asked_a = asked_ms(a, broken_since_ms), asked_b = asked_ms(b, broken_since_ms);
    return asked_a != asked_b ? asked_a < asked_b : a->since_ms < b->since_ms;
}

struct slice witnesses_choose(struct witnesses *witnesses, uint64_t broken_since_ms, uint64_t now_ms)
{
    struct witness *best = NULL;
    for (size_t i = 0; i < WITNESSES_MAX; i++) {
        struct witness *witness = witnesses->places[i];
        if (witness != NULL && may_be_asked(witness, broken_since_ms, now_ms) && (best == NULL || comes_before(witness, best, broken_since_ms)))
            best = witness;
    }
    if (best == NULL)
        return (struct slice){ NULL, 0 };
    best->asked_ms = now_ms;
    return (struct slice){ best->origin, best->length };
}
