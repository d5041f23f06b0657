/* The world's time, chance, and the heap of what is going to happen. */
#include "consumer/base/clock.h"
#include "consumer/base/memory.h"
#include "consumer/base/random.h"
#include "tests/flow/world_heap.h"

#include <stdlib.h>
#include <string.h>

enum { EPOCH_MS = 1000000 }; /* monotonic zero is suspicious: clocks start somewhere */

static struct {
    uint64_t now_ms, order, state;
    int64_t redis_step_ms;
    struct heap_entry *entries;
    size_t count, room;
} heap;

void heap_reset(uint64_t seed)
{
    heap.now_ms = EPOCH_MS;
    heap.order = 0;
    heap.redis_step_ms = 0;
    heap.count = 0;
    heap.state = seed * 0x9e3779b97f4a7c15u + 1;
}

static bool before(const struct heap_entry *a, const struct heap_entry *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void swap(size_t a, size_t b)
{
    struct heap_entry kept = heap.entries[a];
    heap.entries[a] = heap.entries[b];
    heap.entries[b] = kept;
}

void heap_push(uint64_t delay_ms, struct heap_entry entry)
{
    if (heap.count == heap.room) {
        heap.room = heap.room * 2 + 64;
        heap.entries = memory_resize(heap.entries, heap.room * sizeof(*heap.entries));
    }
    entry.at_ms = heap.now_ms + delay_ms;
    entry.order = heap.order++;
    size_t at = heap.count++;
    heap.entries[at] = entry;
    for (; at > 0 && before(&heap.entries[at], &heap.entries[(at - 1) / 2]); at = (at - 1) / 2)
        swap(at, (at - 1) / 2);
}

bool heap_pop(struct heap_entry *entry)
{
    if (heap.count == 0)
        return false;
    *entry = heap.entries[0];
    heap.now_ms = entry->at_ms;
    heap.entries[0] = heap.entries[--heap.count];
    for (size_t at = 0;;) {
        size_t least = at, left = at * 2 + 1;
        for (size_t child = left; child < left + 2 && child < heap.count; child++)
            if (before(&heap.entries[child], &heap.entries[least]))
                least = child;
        if (least == at)
            return true;
        swap(at, least);
        at = least;
    }
}

uint64_t world_now(void)
{
    return heap.now_ms;
}

uint64_t world_random(uint64_t limit)
{
    heap.state ^= heap.state << 13;
    heap.state ^= heap.state >> 7;
    heap.state ^= heap.state << 17;
    return (heap.state >> 11) % limit;
}

bool world_chance(uint32_t percent)
{
    return world_random(100) < percent;
}

/* Redis's clock is elsewhere than ours. */
int64_t world_redis_ms(void)
{
    return 1700000000000 + (int64_t)heap.now_ms + 123456 + heap.redis_step_ms;
}

void world_step_redis_clock(int64_t by_ms)
{
    heap.redis_step_ms += by_ms;
}

/* ---- in place of the program's own ---- */

uint64_t clock_monotonic_ms(void)
{
    return heap.now_ms;
}

uint64_t clock_monotonic_us(void)
{
    return heap.now_ms * 1000;
}

int64_t clock_wall_ms(void)
{
    return 1700000000000 + (int64_t)heap.now_ms;
}

void random_bytes(void *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)world_random(256);
}

uint64_t random_below(uint64_t limit)
{
    return world_random(limit);
}
