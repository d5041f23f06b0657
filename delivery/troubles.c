#include "delivery/troubles.h"

#include "consumer/base/memory.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HALVES_EVERY_MS = 60000, FORGOTTEN_AFTER = 32 /* halvings: nothing is left */ };

struct place {
    struct trouble trouble;
    size_t length;
    uint64_t halved_ms;
};

struct troubles {
    pthread_mutex_t lock; /* held for the time of a scan of the table */
    struct place places[TROUBLES_MAX];
    size_t used;
};

struct troubles *troubles_create(void)
{
    struct troubles *troubles = memory_create(sizeof(*troubles));
    pthread_mutex_init(&troubles->lock, NULL);
    return troubles;
}

void troubles_destroy(struct troubles *troubles)
{
    if (troubles == NULL)
        return;
    pthread_mutex_destroy(&troubles->lock);
    free(troubles);
}

/* Another thread may have looked at the clock before, and come later. */
static void halve(struct place *place, uint64_t now_ms)
{
    if (now_ms < place->halved_ms)
        return;
    uint64_t times = (now_ms - place->halved_ms) / HALVES_EVERY_MS;
    if (times >= FORGOTTEN_AFTER)
        place->trouble.failed = place->trouble.deferred = 0;
    else {
        place->trouble.failed >>= times;
        place->trouble.deferred >>= times;
    }
    place->halved_ms += times * HALVES_EVERY_MS;
}

static uint64_t weight_of(const struct place *place)
{
    return (uint64_t)place->trouble.failed + place->trouble.deferred;
}

static struct place *find(struct troubles *troubles, struct slice endpoint)
{
    for (size_t i = 0; i < troubles->used; i++)
        if (troubles->places[i].length == endpoint.length && memcmp(troubles->places[i].trouble.endpoint, endpoint.start, endpoint.length) == 0)
            return &troubles->places[i];
    return NULL;
}

static struct place *make_room(struct troubles *troubles, uint64_t now_ms)
{
    if (troubles->used < TROUBLES_MAX)
        return &troubles->places[troubles->used++];
    struct place *least = &troubles->places[0];
    for (size_t i = 0; i < troubles->used; i++) {
        halve(&troubles->places[i], now_ms);
        if (weight_of(&troubles->places[i]) < weight_of(least))
            least = &troubles->places[i];
    }
    return least;
}

static struct place *meet(struct troubles *troubles, struct slice endpoint, uint64_t now_ms)
{
    struct place *place = find(troubles, endpoint);
    if (place != NULL)
        return place;
    place = make_room(troubles, now_ms);
    *place = (struct place){ .length = endpoint.length, .halved_ms = now_ms };
    memcpy(place->trouble.endpoint, endpoint.start, endpoint.length);
    return place;
}

static struct slice cut(struct slice endpoint)
{
    if (endpoint.length > TROUBLES_ENDPOINT_BYTES)
        endpoint.length = TROUBLES_ENDPOINT_BYTES;
    return endpoint;
}

void troubles_note(struct troubles *troubles, struct slice endpoint, const char *error, uint64_t now_ms)
{
    if (endpoint.length == 0)
        return;
    pthread_mutex_lock(&troubles->lock);
    struct place *place = meet(troubles, cut(endpoint), now_ms);
    halve(place, now_ms);
    place->trouble.failed += error != NULL;
    place->trouble.deferred += error == NULL;
    place->trouble.last_ms = now_ms;
    if (error != NULL)
        snprintf(place->trouble.error, sizeof(place->trouble.error), "%s", error);
    pthread_mutex_unlock(&troubles->lock);
}

void troubles_note_rest(struct troubles *troubles, struct slice endpoint, uint64_t until_ms)
{
    pthread_mutex_lock(&troubles->lock);
    struct place *place = endpoint.length == 0 ? NULL : find(troubles, cut(endpoint));
    if (place != NULL)
        place->trouble.rest_until_ms = until_ms;
    pthread_mutex_unlock(&troubles->lock);
}

size_t troubles_read(struct troubles *troubles, uint64_t now_ms, struct trouble copy[TROUBLES_MAX])
{
    size_t count = 0;
    pthread_mutex_lock(&troubles->lock);
    for (size_t i = 0; i < troubles->used; i++) {
        halve(&troubles->places[i], now_ms);
        if (weight_of(&troubles->places[i]) > 0 || troubles->places[i].trouble.rest_until_ms > now_ms)
            copy[count++] = troubles->places[i].trouble;
    }
    pthread_mutex_unlock(&troubles->lock);
    return count;
}
