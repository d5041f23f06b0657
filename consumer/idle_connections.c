#include "consumer/idle_connections.h"

#include "delivery/lanes.h"

enum { MEMORY_SHARE = 4, KEPT = 4, AT_WORST = 5 };

uint32_t idle_connections_by_descriptors(uint64_t spare, uint64_t workers)
{
    uint64_t each = spare / workers / AT_WORST * KEPT;
    if (each > LANES_IDLE_CONNECTIONS)
        return LANES_IDLE_CONNECTIONS;
    return each == 0 ? 1 : (uint32_t)each;
}

uint32_t idle_connections_by_memory(uint64_t bytes, uint64_t workers)
{
    return idle_connections_by_descriptors(bytes / MEMORY_SHARE / LANES_CONNECTION_BYTES, workers);
}

uint64_t idle_connections_memory(uint64_t count, uint64_t workers)
{
    uint64_t each = (count + workers - 1) / workers;
    return (each + KEPT - 1) / KEPT * AT_WORST * workers * LANES_CONNECTION_BYTES * MEMORY_SHARE;
}
