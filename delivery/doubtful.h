/* Endpoints in doubt that wait for a slot, by site (delivery/site.h). Pure. Private to slots.c.
 *
 * Hosts and paths cost a stranger nothing, sites do. So sites take turns, and each one's endpoints among themselves; and a site that holds no slot in doubt
 * comes before all that hold some: whoever has never been tried, but answers quickly, is waited for by nobody and waits for nobody who is silent. */
#ifndef JOBHOOK_DELIVERY_DOUBTFUL_H
#define JOBHOOK_DELIVERY_DOUBTFUL_H

#include "delivery/endpoint.h"

enum { DOUBTFUL_BUCKETS = 4096 };

struct doubtful_site;

struct doubtful {
    struct list sites[2][2]; /* of first attempts, retries: those that hold no slot, and those that do */
    size_t waiting[2];       /* endpoints */
    struct doubtful_site *buckets[DOUBTFUL_BUCKETS];
};

void doubtful_init(struct doubtful *doubtful);
void doubtful_finish(struct doubtful *doubtful); /* whoever waits */

/* The endpoint, which is in no line of that kind, lines up: `line[kind]` is set then. */
void doubtful_join(struct doubtful *doubtful, struct endpoint *endpoint, int kind);
void doubtful_leave(struct doubtful *doubtful, struct endpoint *endpoint, int kind);
/* Whose turn it is; NULL: nobody waits. */
struct endpoint *doubtful_first(const struct doubtful *doubtful, int kind);
/* Its turn is over, and its site's, whether it still waits or not. */
void doubtful_end_turn(struct doubtful *doubtful, struct endpoint *endpoint, int kind);
/* It takes a slot, or gives it back. */
void doubtful_take(struct doubtful *doubtful, const struct endpoint *endpoint);
void doubtful_give(struct doubtful *doubtful, const struct endpoint *endpoint);

#endif
