#include "delivery/downgrades.h"

#include "consumer/base/hash.h"
#include "consumer/base/memory.h"
#include "consumer/base/random.h"

#include <stdlib.h>

struct downgrades {
    struct hash_key hash_key;
    struct downgrade {
        uint64_t key;
        uint64_t until_ms; /* the place is free from then on */
        bool proven, barred;
    } places[DOWNGRADES_PLACES];
};

struct downgrades *downgrades_create(void)
{
    struct downgrades *downgrades = memory_create(sizeof(*downgrades));
    random_bytes(&downgrades->hash_key, sizeof(downgrades->hash_key));
    return downgrades;
}

void downgrades_destroy(struct downgrades *downgrades)
{
    free(downgrades);
}

uint64_t downgrades_key(const struct downgrades *downgrades, struct slice origin)
{
    return hash_slice(downgrades->hash_key, origin);
}

static struct downgrade *place_of(struct downgrades *downgrades, uint64_t key)
{
    return &downgrades->places[key % DOWNGRADES_PLACES];
}

void downgrades_add(struct downgrades *downgrades, uint64_t key, uint64_t now_ms)
{
    struct downgrade *place = place_of(downgrades, key);
    bool same = place->key == key;
    if (!same || !place->barred || now_ms >= place->until_ms)
        *place = (struct downgrade){ .key = key, .until_ms = now_ms + DOWNGRADES_MS, .proven = same && place->proven };
}

void downgrades_prove(struct downgrades *downgrades, uint64_t key)
{
    struct downgrade *place = place_of(downgrades, key);
    place->proven = place->proven || place->key == key;
}

void downgrades_bar(struct downgrades *downgrades, uint64_t key, uint64_t now_ms)
{
    struct downgrade *place = place_of(downgrades, key);
    if (place->key != key || !place->proven)
        *place = (struct downgrade){ .key = key, .until_ms = now_ms + DOWNGRADES_BAR_MS, .barred = true };
}

bool downgrades_hold(const struct downgrades *downgrades, uint64_t key, uint64_t now_ms)
{
    const struct downgrade *place = &downgrades->places[key % DOWNGRADES_PLACES];
    return place->key == key && !place->barred && now_ms < place->until_ms;
}
