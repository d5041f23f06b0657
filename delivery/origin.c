#include "delivery/origin.h"

#include "consumer/base/check.h"
#include "consumer/base/memory.h"
#include "delivery/scheduler.h"

#include <stdlib.h>

struct origin *origin_create(uint64_t hash, uint32_t window_max)
{
    struct origin *origin = memory_create(sizeof *origin);
    origin->hash = hash;
    list_init(&origin->blocked);
    endpoint_init(&origin->shared, origin, window_max);
    origin->shared.shared = true;
    return origin;
}

void origin_destroy(struct origin *origin)
{
    free(origin);
}

void origin_take_connection(struct origin *origin)
{
    origin->connections++;
}

void origin_give_connection(struct origin *origin)
{
    assert(origin->connections > 0);
    origin->connections--;
}

bool origin_is_next(const struct origin *origin, const struct endpoint *endpoint)
{
    return list_is_empty(&origin->blocked) || list_first(&origin->blocked) == &endpoint->blocked;
}

enum origin_word origin_hear(const struct attempt_end *end)
{
    if (end->blame == BLAME_ORIGIN)
        return ORIGIN_FAILED;
    if (end->answered || (end->connected && !end->timed_out))
        return ORIGIN_CONNECTED;
    return ORIGIN_SAYS_NOTHING;
}
