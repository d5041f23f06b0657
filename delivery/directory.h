/* The directory of endpoints and origins: finds them by URL, makes them on first sight, and forgets the idle ones.
 *
 * Nothing of a URL is kept but a keyed hash of it: two names with one hash would share a record, which harms neither. Both tables are capped; at
 * the cap the longest idle one makes room. Paths that carry a task's id never get here (delivery/sightings.h). Pure. */
#ifndef JOBHOOK_DELIVERY_DIRECTORY_H
#define JOBHOOK_DELIVERY_DIRECTORY_H

#include "consumer/base/hash.h"
#include "delivery/guard.h"
#include "delivery/origin.h"

enum {
    DIRECTORY_ENDPOINTS_MAX = 131072, /* with a record of their own */
    DIRECTORY_ORIGINS_MAX = 131072,
    DIRECTORY_KEEP_MS = 10 * 60 * 1000, /* an idle endpoint that answers */
};

struct directory_options {
    struct hash_key hash_key;
    uint32_t window_max;
    uint64_t remember_ms;   /* keeps idle origins, and idle endpoints whose give-up clock runs or that rest. */
    uint32_t endpoints_max; /* 0: DIRECTORY_ENDPOINTS_MAX */
    uint32_t origins_max;   /* 0: DIRECTORY_ORIGINS_MAX */
    struct egress *egress;  /* told when an origin is forgotten; outlives the directory */
};

struct directory;

struct directory *directory_create(const struct directory_options *options);
void directory_destroy(struct directory *directory); /* whatever still waits there */

/* The endpoint for an event of this task; NULL when the tables are full of endpoints that are busy. One that is idle stays so for now. */
struct endpoint *directory_meet(struct directory *directory, const struct url *url, uint64_t task, uint64_t now_ms);
/* The same without making one or counting the task; NULL when it is unknown. */
struct endpoint *directory_find(const struct directory *directory, const struct url *url);
/* Says whether the endpoint holds tickets; only idle ones are ever forgotten. */
void directory_keep(struct directory *directory, struct endpoint *endpoint, uint64_t now_ms);

size_t directory_endpoints(const struct directory *directory);
size_t directory_origins(const struct directory *directory);

/* How many rest; kept by whoever changes `record.rest`, corrected here when a resting one is forgotten. */
void directory_count_resting(struct directory *directory, int change);
size_t directory_resting(const struct directory *directory);

#endif
