#include "delivery/sightings.h"

#include "consumer/base/memory.h"

#include <stdlib.h>

struct sighting {
    uint64_t endpoint;
    struct task_tally tasks; /* count 0: unused */
    bool seen_again;         /* since the hand last passed */
};

struct set {
    struct sighting ways[SIGHTINGS_WAYS];
    uint8_t hand;
};

struct sightings {
    struct set sets[SIGHTINGS_SETS];
};

struct sightings *sightings_create(void)
{
    return memory_create(sizeof(struct sightings));
}

void sightings_destroy(struct sightings *sightings)
{
    free(sightings);
}

bool task_tally_add(struct task_tally *tally, uint64_t task)
{
    uint16_t mark = (uint16_t)((task * 0x9E3779B97F4A7C15u) >> 48); /* Fibonacci hashing: all bits take part */
    if (tally->count >= SIGHTINGS_TASKS)
        return true;
    for (uint8_t i = 0; i < tally->count; i++)
        if (tally->seen[i] == mark)
            return false;
    if (tally->count < SIGHTINGS_TASKS - 1)
        tally->seen[tally->count] = mark;
    return ++tally->count == SIGHTINGS_TASKS;
}

static struct sighting *find(struct set *set, uint64_t endpoint)
{
    for (int i = 0; i < SIGHTINGS_WAYS; i++)
        if (set->ways[i].tasks.count > 0 && set->ways[i].endpoint == endpoint)
            return &set->ways[i];
    return NULL;
}

/* The way that goes: the first one after the hand that was not seen again. */
static struct sighting *evict(struct set *set)
{
    struct sighting *way = &set->ways[set->hand];
    for (int i = 0; i < SIGHTINGS_WAYS && way->seen_again; i++) {
        way->seen_again = false;
        set->hand = (uint8_t)((set->hand + 1) % SIGHTINGS_WAYS);
        way = &set->ways[set->hand];
    }
    set->hand = (uint8_t)((set->hand + 1) % SIGHTINGS_WAYS);
    return way;
}

bool sightings_add(struct sightings *sightings, uint64_t endpoint, uint64_t task)
{
    struct set *set = &sightings->sets[endpoint % SIGHTINGS_SETS];
    struct sighting *sighting = find(set, endpoint);
    if (sighting != NULL) {
        sighting->seen_again = true;
    } else {
        sighting = evict(set);
        *sighting = (struct sighting){ .endpoint = endpoint };
    }
    if (!task_tally_add(&sighting->tasks, task))
        return false;
    *sighting = (struct sighting){ 0 };
    return true;
}
