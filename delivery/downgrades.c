#include "delivery/downgrades.h"

#include "consumer/base/hash.h"
#include "consumer/base/memory.h"
#include "consumer/base/random.h"

#include <stdlib.h>

struct downgrades {
    struct hash_key hash_key;
    struct downgrade {
        uint64_t key;
        uint64_t until_ms; /* 0: the place is free */
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

void downgrades_add(struct downgrades *downgrades, uint64_t key, uint64_t now_ms)
{
    downgrades->places[key % DOWNGRADES_PLACES] = (struct downgrade){ key, now_ms + DOWNGRADES_MS };
}

void downgrades_remove(struct downgrades *downgrades, uint64_t key)
{
    struct downgrade *place = &downgrades->places[key % DOWNGRADES_PLACES];
    if (place->key == key)
        place->until_ms = 0;
}

bool downgrades_hold(const struct downgrades *downgrades, uint64_t key, uint64_t now_ms)
{
    const struct downgrade *place = &downgrades->places[key % DOWNGRADES_PLACES];
    return place->key == key && now_ms < place->until_ms;
}
