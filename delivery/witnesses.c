#include "delivery/witnesses.h"

#include "consumer/base/check.h"
#include "consumer/base/memory.h"
#include "delivery/egress.h"
#include "delivery/guard.h"

#include <stdlib.h>
#include <string.h>

struct witness {
    uint64_t hash;
    uint64_t since_ms; /* its site has had the place */
    uint64_t connected_ms;
    uint64_t asked_ms;
    uint32_t site;
    uint16_t length;
    bool heard; /* since it was asked */
    bool left_out;
    char origin[GUARD_ORIGIN_MAX];
};

struct witnesses {
    struct witness *places[WITNESSES_MAX]; /* by site; a few sites may want the same one */
    bool exist;
    struct witness *chosen; /* last; NULL: nobody was */
    uint64_t next_ms;
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

static bool gives_way(const struct witness *witness, uint32_t site, uint64_t now_ms)
{
    return now_ms > witness->connected_ms + (witness->site == site ? WITNESS_SILENT_MS : WITNESS_GONE_MS);
}

void witnesses_note(struct witnesses *witnesses, struct slice origin, uint64_t hash, uint32_t site, uint64_t now_ms)
{
    struct witness **place = &witnesses->places[site % WITNESSES_MAX], *witness = *place;
    if (witness != NULL && witness->hash == hash) {
        witness->connected_ms = now_ms;
        witness->left_out = false;
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
    witness->left_out = false;
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

static bool is_known(const struct witness *witness, uint64_t broken_since_ms)
{
    return witness != NULL && !witness->left_out && broken_since_ms <= witness->connected_ms + WITNESS_KNOWN_MS;
}

static bool was_just_asked(const struct witness *witness, uint64_t now_ms)
{
    return witness->asked_ms > 0 && now_ms < witness->asked_ms + WITNESS_AGAIN_MS;
}

static bool comes_before(const struct witness *a, const struct witness *b, uint64_t broken_since_ms)
{
    uint64_t asked_a = asked_ms(a, broken_since_ms), asked_b = asked_ms(b, broken_since_ms);
    return asked_a != asked_b ? asked_a < asked_b : a->since_ms < b->since_ms;
}

bool witnesses_suffice(const struct witnesses *witnesses, uint64_t broken_since_ms)
{
    uint32_t known = 0, asked = 0, heard = 0;
    for (size_t i = 0; i < WITNESSES_MAX; i++) {
        const struct witness *witness = witnesses->places[i];
        if (!is_known(witness, broken_since_ms))
            continue;
        bool was_asked = asked_ms(witness, broken_since_ms) > 0;
        known++;
        asked += was_asked;
        heard += was_asked && witness->heard;
    }
    return asked >= (known < WITNESSES_ENOUGH ? known : WITNESSES_ENOUGH) && heard * 10 > asked;
}

struct witness *witnesses_choose(struct witnesses *witnesses, uint64_t broken_since_ms, uint64_t now_ms)
{
    struct witness *best = NULL;
    for (size_t i = 0; i < WITNESSES_MAX; i++) {
        struct witness *witness = witnesses->places[i];
        if (is_known(witness, broken_since_ms) && !was_just_asked(witness, now_ms) && (best == NULL || comes_before(witness, best, broken_since_ms)))
            best = witness;
    }
    if (best != NULL) {
        best->asked_ms = now_ms;
        best->heard = false;
    }
    witnesses->chosen = best;
    witnesses->next_ms = now_ms + EGRESS_PROBE_MS;
    return best;
}

uint64_t witnesses_next_ms(const struct witnesses *witnesses)
{
    return witnesses->chosen != NULL && witnesses->chosen->left_out ? 0 : witnesses->next_ms;
}

struct slice witness_origin(const struct witness *witness)
{
    return (struct slice){ witness->origin, witness->length };
}

void witness_hear(struct witness *witness)
{
    witness->heard = true;
}

void witness_leave_out(struct witness *witness)
{
    witness->left_out = true;
    witness->asked_ms = 0;
}
