#include "delivery/downgrades.h"

#include "consumer/base/memory.h"

#include <stdlib.h>

enum { AGREED_LOSSES = 3 };

struct downgrades {
    struct downgrade_place {
        uint64_t origin_hash;
        uint64_t until_ms; /* the place is free from then on */
        uint64_t asked_ms; /* when one was sent to find out; 0: none */
        uint64_t doubt_ms; /* it was barred for, the last time that it did not seem to speak HTTP/1.1 */
        unsigned losses;   /* in a row, since TLS agreed on HTTP/1.1 */
        bool agreed, proven, barred;
    } places[DOWNGRADES_PLACES];
};

struct downgrades *downgrades_create(void)
{
    return memory_create(sizeof(struct downgrades));
}

void downgrades_destroy(struct downgrades *downgrades)
{
    free(downgrades);
}

static struct downgrade_place *place_of(struct downgrades *downgrades, uint64_t origin_hash)
{
    return &downgrades->places[origin_hash % DOWNGRADES_PLACES];
}

void downgrades_add(struct downgrades *downgrades, uint64_t origin_hash, uint64_t now_ms)
{
    struct downgrade_place *place = place_of(downgrades, origin_hash);
    if (place->origin_hash != origin_hash)
        *place = (struct downgrade_place){ .origin_hash = origin_hash };
    if (place->barred && now_ms < place->until_ms)
        return;
    if (now_ms >= place->until_ms)
        place->losses = 0;
    place->until_ms = now_ms + DOWNGRADES_MS;
    place->barred = false;
}

void downgrades_agree(struct downgrades *downgrades, uint64_t origin_hash)
{
    struct downgrade_place *place = place_of(downgrades, origin_hash);
    if (place->origin_hash == origin_hash && !place->barred)
        place->agreed = true;
}

void downgrades_prove(struct downgrades *downgrades, uint64_t origin_hash, uint64_t now_ms)
{
    struct downgrade_place *place = place_of(downgrades, origin_hash);
    if (place->origin_hash != origin_hash)
        return;
    place->proven = true;
    place->barred = false;
    place->until_ms = now_ms + DOWNGRADES_MS;
}

static void bar(struct downgrade_place *place, uint64_t until_ms)
{
    if (place->proven)
        return;
    place->until_ms = until_ms;
    place->barred = true;
    place->agreed = false;
    place->losses = 0;
    place->asked_ms = 0;
}

void downgrades_bar(struct downgrades *downgrades, uint64_t origin_hash, uint64_t now_ms)
{
    struct downgrade_place *place = place_of(downgrades, origin_hash);
    if (place->origin_hash == origin_hash)
        bar(place, now_ms + DOWNGRADES_BAR_MS);
}

void downgrades_doubt(struct downgrades *downgrades, uint64_t origin_hash, uint64_t now_ms)
{
    struct downgrade_place *place = place_of(downgrades, origin_hash);
    if (place->origin_hash != origin_hash || (place->agreed && ++place->losses < AGREED_LOSSES))
        return;
    place->doubt_ms = place->doubt_ms == 0 ? DOWNGRADES_ASK_MS : 2 * place->doubt_ms;
    if (place->doubt_ms > DOWNGRADES_BAR_MS)
        place->doubt_ms = DOWNGRADES_BAR_MS;
    bar(place, now_ms + place->doubt_ms);
}

void downgrades_ask_again(struct downgrades *downgrades, uint64_t origin_hash)
{
    struct downgrade_place *place = place_of(downgrades, origin_hash);
    if (place->origin_hash == origin_hash)
        place->asked_ms = 0;
}

enum downgrade downgrades_hold(struct downgrades *downgrades, uint64_t origin_hash, uint64_t now_ms)
{
    struct downgrade_place *place = place_of(downgrades, origin_hash);
    if (place->origin_hash != origin_hash || place->barred || now_ms >= place->until_ms)
        return DOWNGRADE_NONE;
    if (place->proven || place->agreed)
        return place->proven ? DOWNGRADE_PROVEN : DOWNGRADE_AGREED;
    if (place->asked_ms != 0 && now_ms < place->asked_ms + DOWNGRADES_ASK_MS)
        return DOWNGRADE_NONE;
    place->asked_ms = now_ms;
    return DOWNGRADE_ASKS;
}
