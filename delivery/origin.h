/* One origin: scheme, host and port. It has the connections, and the blame for failures of name, connect and TLS; its endpoints with few tasks
 * share one record. Pure.
 *
 * Ten thousand customers of one automation service share an origin and must not share a fate: so what an endpoint does wrong after it connected
 * is no business of the origin's. */
#ifndef JOBHOOK_DELIVERY_ORIGIN_H
#define JOBHOOK_DELIVERY_ORIGIN_H

#include "delivery/egress.h"
#include "delivery/endpoint.h"

struct origin {
    struct origin *next; /* in the directory's bucket */
    uint64_t hash;
    uint32_t connections; /* in use: one for each attempt in flight */
    uint32_t members;     /* endpoints with a record of their own */
    struct list blocked;  /* endpoints that wait for a connection */
    struct egress_mark mark;
    struct endpoint shared;
};

struct origin *origin_create(uint64_t hash, uint32_t window_max);
/* Nothing waits or is in flight, and it has no members. */
void origin_destroy(struct origin *origin);

static inline bool origin_has_room(const struct origin *origin, uint32_t connections_max)
{
    return origin->connections < connections_max;
}

void origin_take_connection(struct origin *origin);
void origin_give_connection(struct origin *origin);
/* Whether a free connection is this endpoint's: nobody else waits for one, or nobody has waited longer. */
bool origin_is_next(const struct origin *origin, const struct endpoint *endpoint);

struct attempt_end;

enum origin_word { ORIGIN_CONNECTED, ORIGIN_FAILED, ORIGIN_SAYS_NOTHING };
/* What the end of an attempt says about the way to this origin. A connection that was there before proves nothing while it is silent. */
enum origin_word origin_hear(const struct attempt_end *end);

#endif
