/* The heap of what is going to happen; only the world's clock and its main loop know it. */
#ifndef JOBHOOK_TESTS_FLOW_WORLD_HEAP_H
#define JOBHOOK_TESTS_FLOW_WORLD_HEAP_H

#include "tests/flow/world.h"

struct heap_entry {
    uint64_t at_ms, order;
    struct world_whose whose; /* what belongs to an earlier life does not happen any more */
    happening *what;
    void *context;
};

void heap_reset(uint64_t seed);
void heap_push(uint64_t delay_ms, struct heap_entry entry);
bool heap_pop(struct heap_entry *entry);

#endif
