#include "delivery/downgrades.h"

#include "consumer/base/memory.h"

#include <stdlib.h>

struct downgrades {
    struct downgrade {
        uint64_t origin_hash;
        uint64_t until_ms; /* the place is free from then on */
        uint64_t asked_ms; /* when one was sent to find out; 0: none */
        bool proven, barred;
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

static struct downgrade *place_of(struct downgrades *downgrades, uint64_t origin_hash)
{
    return &downgrades->places[origin_hash % DOWNGRADES_PLACES];
}

void downgrades_add(struct downgrades *downgrades, uint64_t origin_hash, uint64_t now_ms)
{
    struct downgrade *place = place_of(downgrades, origin_hash);
    bool same = place->origin_hash == origin_hash;
    if (!same || !place->barred || now_ms >= place->until_ms)
        *place = (struct downgrade){
            .origin_hash = origin_hash, .until_ms = now_ms + DOWNGRADES_MS, .asked_ms = same ? place->asked_ms : 0, .proven = same && place->proven
        };
}

void downgrades_prove(struct downgrades *downgrades, uint64_t origin_hash)
{
    struct downgrade *place = place_of(downgrades, origin_hash);
    place->proven = place->proven || place->origin_hash == origin_hash;
}

void downgrades_bar(struct downgrades *downgrades, uint64_t origin_hash, uint64_t now_ms)
{
    struct downgrade *place = place_of(downgrades, origin_hash);
    if (place->origin_hash != origin_hash || !place->proven)
        *place = (struct downgrade){ .origin_hash = origin_hash, .until_ms = now_ms + DOWNGRADES_BAR_MS, .barred = true };
}

bool downgrades_hold(struct downgrades *downgrades, uint64_t origin_hash, uint64_t now_ms)
{
    struct downgrade *place = place_of(downgrades, origin_hash);
    if (place->origin_hash != origin_hash || place->barred || now_ms >= place->until_ms)
        return false;
    bool asks = !place->proven && (place->asked_ms == 0 || now_ms >= place->asked_ms + DOWNGRADES_ASK_MS);
    if (asks)
        place->asked_ms = now_ms;
    return place->proven || asks;
}
