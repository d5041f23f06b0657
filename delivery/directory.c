#include "delivery/directory.h"

#include "consumer/base/memory.h"
#include "delivery/site.h"

#include <stdlib.h>
#include <string.h>

enum {
    BUCKETS = 65536,        /* at most two in each on average; never resized, so no call is ever slow */
    FORGET_AT_ONCE = 2,     /* of those whose time is over, per call */
    FORGET_TRIES = 8,       /* how many idle ones are looked at for one that can go */
    HASH_OF_ORIGINS = 0x6f, /* so that an endpoint never has its origin's hash */
};

struct directory {
    struct directory_options options;
    struct endpoint *endpoints[BUCKETS];
    struct origin *origins[BUCKETS];
    size_t endpoint_count, origin_count, resting;
    struct list idle;       /* endpoints of their own that answer, longest idle first */
    struct list remembered; /* origins' shared ones, silent and resting ones */
    struct sightings *sightings;
};

struct visit {
    uint64_t task, now_ms;
};

struct directory *directory_create(const struct directory_options *options)
{
    struct directory *directory = memory_create(sizeof *directory);
    directory->options = *options;
    if (directory->options.endpoints_max == 0)
        directory->options.endpoints_max = DIRECTORY_ENDPOINTS_MAX;
    if (directory->options.origins_max == 0)
        directory->options.origins_max = DIRECTORY_ORIGINS_MAX;
    list_init(&directory->idle);
    list_init(&directory->remembered);
    directory->sightings = sightings_create();
    return directory;
}

void directory_destroy(struct directory *directory)
{
    if (directory == NULL)
        return;
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct endpoint *endpoint = directory->endpoints[i], *next; endpoint != NULL; endpoint = next) {
            next = endpoint->next;
            free(endpoint);
        }
        for (struct origin *origin = directory->origins[i], *next; origin != NULL; origin = next) {
            next = origin->next;
            origin_destroy(origin);
        }
    }
    sightings_destroy(directory->sightings);
    free(directory);
}

static uint64_t hash_endpoint(const struct directory *directory, const struct url *url)
{
    return hash_slice(directory->options.hash_key, url->endpoint);
}

static uint64_t hash_origin(const struct directory *directory, const struct url *url)
{
    struct hash_key key = directory->options.hash_key;
    key.k1 ^= HASH_OF_ORIGINS;
    return hash_slice(key, (struct slice){ url->origin, url->origin_length });
}

static struct endpoint *find_endpoint(const struct directory *directory, uint64_t hash)
{
    struct endpoint *endpoint = directory->endpoints[hash % BUCKETS];
    while (endpoint != NULL && endpoint->hash != hash)
        endpoint = endpoint->next;
    return endpoint;
}

static struct origin *find_origin(const struct directory *directory, uint64_t hash)
{
    struct origin *origin = directory->origins[hash % BUCKETS];
    while (origin != NULL && origin->hash != hash)
        origin = origin->next;
    return origin;
}

static void append_idle(struct directory *directory, struct endpoint *endpoint, uint64_t now_ms)
{
    const struct endpoint_record *record = &endpoint->record;
    bool matters = endpoint->shared || record->rest != ENDPOINT_AWAKE || record->without_2xx || record->without_2xx_ms > 0;
    endpoint->idle_among = matters ? &directory->remembered : &directory->idle;
    endpoint->idle_since_ms = now_ms;
    list_append(endpoint->idle_among, &endpoint->idle);
}

static void forget_origin(struct directory *directory, struct origin *origin)
{
    struct origin **place = &directory->origins[origin->hash % BUCKETS];
    while (*place != origin)
        place = &(*place)->next;
    *place = origin->next;
    egress_forget(directory->options.egress, &origin->mark);
    directory->origin_count--;
    origin_destroy(origin);
}

static void forget_endpoint(struct directory *directory, struct endpoint *endpoint)
{
    struct endpoint **place = &directory->endpoints[endpoint->hash % BUCKETS];
    while (*place != endpoint)
        place = &(*place)->next;
    *place = endpoint->next;
    endpoint->origin->members--;
    directory->endpoint_count--;
    free(endpoint);
}

/* The link is the list's first one. An origin stays as long as it has members: it goes to the end of the line. */
static bool forget_first(struct directory *directory, struct list *list, bool origins_only, uint64_t now_ms)
{
    struct endpoint *endpoint = container_of(list_first(list), struct endpoint, idle);
    list_remove(list, &endpoint->idle);
    if (endpoint->shared ? endpoint->origin->members > 0 : origins_only) {
        append_idle(directory, endpoint, now_ms);
        return false;
    }
    if (endpoint->record.rest != ENDPOINT_AWAKE)
        directory->resting--;
    if (endpoint->shared)
        forget_origin(directory, endpoint->origin);
    else
        forget_endpoint(directory, endpoint);
    return true;
}

static void forget_old(struct directory *directory, struct list *list, uint64_t keep_ms, uint64_t now_ms)
{
    for (int i = 0; i < FORGET_AT_ONCE && !list_is_empty(list); i++) {
        const struct endpoint *first = container_of(list_first(list), struct endpoint, idle);
        if (now_ms - first->idle_since_ms < keep_ms)
            return;
        (void)forget_first(directory, list, false, now_ms);
    }
}

static bool make_room_for_endpoint(struct directory *directory, uint64_t now_ms)
{
    for (int i = 0; i < FORGET_TRIES && directory->endpoint_count >= directory->options.endpoints_max; i++) {
        struct list *list = list_is_empty(&directory->idle) ? &directory->remembered : &directory->idle;
        if (list_is_empty(list))
            return false;
        (void)forget_first(directory, list, false, now_ms);
    }
    return directory->endpoint_count < directory->options.endpoints_max;
}

static bool make_room_for_origin(struct directory *directory, uint64_t now_ms)
{
    for (int i = 0; i < FORGET_TRIES && directory->origin_count >= directory->options.origins_max; i++) {
        if (list_is_empty(&directory->remembered))
            return false;
        (void)forget_first(directory, &directory->remembered, true, now_ms);
    }
    return directory->origin_count < directory->options.origins_max;
}

static struct origin *meet_origin(struct directory *directory, const struct url *url, uint64_t now_ms)
{
    uint64_t hash = hash_origin(directory, url);
    struct origin *origin = find_origin(directory, hash);
    if (origin != NULL || !make_room_for_origin(directory, now_ms))
        return origin;
    origin = origin_create(hash, directory->options.window_max);
    origin->mark.site = (uint32_t)site_hash(directory->options.hash_key, url);
    origin->next = directory->origins[hash % BUCKETS];
    directory->origins[hash % BUCKETS] = origin;
    directory->origin_count++;
    directory_keep(directory, &origin->shared, now_ms);
    return origin;
}

static struct endpoint *make_endpoint(struct directory *directory, struct origin *origin, uint64_t hash, uint64_t now_ms)
{
    struct endpoint *endpoint = memory_create(sizeof *endpoint);
    endpoint_init(endpoint, origin, directory->options.window_max);
    endpoint_inherit(endpoint, &origin->shared);
    endpoint->hash = hash;
    endpoint->next = directory->endpoints[hash % BUCKETS];
    directory->endpoints[hash % BUCKETS] = endpoint;
    directory->endpoint_count++;
    directory->resting += endpoint->record.rest != ENDPOINT_AWAKE;
    origin->members++;
    directory_keep(directory, endpoint, now_ms);
    return endpoint;
}

/* An endpoint without a record of its own: it gets one, or shares its origin's. */
static struct endpoint *meet_small(struct directory *directory, const struct url *url, uint64_t hash, const struct visit *visit)
{
    struct origin *origin = meet_origin(directory, url, visit->now_ms);
    if (origin == NULL)
        return NULL;
    if (!sightings_add(directory->sightings, hash, visit->task))
        return &origin->shared;
    origin->members++; /* so that making room does not take the origin away */
    bool room = make_room_for_endpoint(directory, visit->now_ms);
    origin->members--;
    return room ? make_endpoint(directory, origin, hash, visit->now_ms) : &origin->shared;
}

/* Moves an idle endpoint that was asked for to the end of the line. */
static void touch(struct directory *directory, struct endpoint *endpoint, uint64_t now_ms)
{
    if (link_is_free(&endpoint->idle))
        return;
    list_remove(endpoint->idle_among, &endpoint->idle);
    append_idle(directory, endpoint, now_ms);
}

struct endpoint *directory_meet(struct directory *directory, const struct url *url, uint64_t task, uint64_t now_ms)
{
    forget_old(directory, &directory->idle, DIRECTORY_KEEP_MS, now_ms);
    forget_old(directory, &directory->remembered, directory->options.remember_ms, now_ms);
    uint64_t hash = hash_endpoint(directory, url);
    struct endpoint *endpoint = find_endpoint(directory, hash);
    if (endpoint == NULL)
        endpoint = meet_small(directory, url, hash, &(struct visit){ task, now_ms });
    if (endpoint != NULL)
        touch(directory, endpoint, now_ms);
    return endpoint;
}

struct endpoint *directory_find(const struct directory *directory, const struct url *url)
{
    struct endpoint *endpoint = find_endpoint(directory, hash_endpoint(directory, url));
    if (endpoint != NULL)
        return endpoint;
    struct origin *origin = find_origin(directory, hash_origin(directory, url));
    return origin == NULL ? NULL : &origin->shared;
}

void directory_keep(struct directory *directory, struct endpoint *endpoint, uint64_t now_ms)
{
    bool idle = endpoint_queued(endpoint) == 0 && endpoint_in_flight(endpoint) == 0;
    if (idle != link_is_free(&endpoint->idle))
        return;
    if (idle)
        append_idle(directory, endpoint, now_ms);
    else
        list_remove(endpoint->idle_among, &endpoint->idle);
}

size_t directory_endpoints(const struct directory *directory)
{
    return directory->endpoint_count;
}

size_t directory_origins(const struct directory *directory)
{
    return directory->origin_count;
}

void directory_count_resting(struct directory *directory, int change)
{
    directory->resting += (size_t)change;
}

size_t directory_resting(const struct directory *directory)
{
    return directory->resting;
}
