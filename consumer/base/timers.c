#include "consumer/base/timers.h"

#include "consumer/base/memory.h"

#include <stdlib.h>

/* Eleven wheels of 64 slots cover every 64-bit moment. A timer sits on the wheel of the highest group of six bits in which its deadline differs
 * from the current moment, in the slot that these bits of its deadline name. So all slots in use lie ahead of the current one on their wheel, those
 * of a lower wheel come before those of a higher one, and a slot's timers move down when the moment reaches its start. */
enum { WHEELS = 11, WHEEL_BITS = 6, WHEEL_SLOTS = 1 << WHEEL_BITS };

struct timers {
    uint64_t now_ms;
    uint64_t used[WHEELS]; /* one bit for each slot that is not empty */
    struct list slots[WHEELS][WHEEL_SLOTS];
    struct list due;    /* deadline reached, waits for timers_run */
    struct list firing; /* what the timers_run under way still has to fire */
    bool running;
};

struct timers *timers_create(uint64_t now_ms)
{
    struct timers *timers = memory_create(sizeof(*timers));
    timers->now_ms = now_ms;
    for (size_t wheel = 0; wheel < WHEELS; wheel++)
        for (size_t slot = 0; slot < WHEEL_SLOTS; slot++)
            list_init(&timers->slots[wheel][slot]);
    list_init(&timers->due);
    list_init(&timers->firing);
    return timers;
}

void timers_destroy(struct timers *timers)
{
    assert(timers == NULL || !timers->running);
    free(timers);
}

bool timer_is_running(const struct timer *timer)
{
    return timer->slot != NULL;
}

static void place(struct timers *timers, struct timer *timer)
{
    struct list *list = &timers->due;
    if (timer->deadline_ms > timers->now_ms) {
        unsigned highest_bit = 63 - (unsigned)__builtin_clzll(timer->deadline_ms ^ timers->now_ms);
        unsigned wheel = highest_bit / WHEEL_BITS;
        unsigned slot = (unsigned)(timer->deadline_ms >> (wheel * WHEEL_BITS)) % WHEEL_SLOTS;
        timers->used[wheel] |= UINT64_C(1) << slot;
        list = &timers->slots[wheel][slot];
    }
    list_append(list, &timer->link);
    timer->slot = list;
}

void timers_start(struct timers *timers, struct timer *timer, uint64_t deadline_ms)
{
    timers_stop(timers, timer);
    timer->deadline_ms = deadline_ms;
    place(timers, timer);
}

void timers_stop(struct timers *timers, struct timer *timer)
{
    struct list *list = timer->slot;
    if (list == NULL)
        return;
    list_remove(list, &timer->link);
    timer->slot = NULL;
    if (list == &timers->due || list == &timers->firing || !list_is_empty(list))
        return;
    size_t index = (size_t)(list - &timers->slots[0][0]);
    timers->used[index / WHEEL_SLOTS] &= ~(UINT64_C(1) << index % WHEEL_SLOTS);
}

/* The next slot in use: its list, and the moment it starts; NULL when no timer is on any wheel. */
static struct list *next_slot(const struct timers *timers, uint64_t *start_ms)
{
    for (unsigned wheel = 0; wheel < WHEELS; wheel++) {
        if (timers->used[wheel] == 0)
            continue;
        unsigned slot = (unsigned)__builtin_ctzll(timers->used[wheel]);
        unsigned shift = wheel * WHEEL_BITS;
        uint64_t above = shift + WHEEL_BITS < 64 ? timers->now_ms >> (shift + WHEEL_BITS) << (shift + WHEEL_BITS) : 0;
        *start_ms = above | (uint64_t)slot << shift;
        return (struct list *)&timers->slots[wheel][slot];
    }
    return NULL;
}

/* Turns the wheels to `now_ms`; what is due then is on the list of due timers, in the order of the deadlines. */
static void turn(struct timers *timers, uint64_t now_ms)
{
    uint64_t start_ms;
    struct list *slot;
    while ((slot = next_slot(timers, &start_ms)) != NULL && start_ms <= now_ms) {
        timers->now_ms = start_ms;
        for (size_t left = slot->length; left > 0; left--) {
            struct timer *timer = container_of(list_first(slot), struct timer, link);
            timers_stop(timers, timer);
            place(timers, timer);
        }
    }
    if (timers->now_ms < now_ms)
        timers->now_ms = now_ms;
}

void timers_run(struct timers *timers, uint64_t now_ms)
{
    assert(!timers->running);
    turn(timers, now_ms);
    /* A second list: what a function starts with a deadline in the past waits for the next run, so a run always ends. */
    struct link *link;
    while ((link = list_take(&timers->due)) != NULL) {
        list_append(&timers->firing, link);
        container_of(link, struct timer, link)->slot = &timers->firing;
    }
    timers->running = true;
    while ((link = list_take(&timers->firing)) != NULL) {
        struct timer *timer = container_of(link, struct timer, link);
        timer->slot = NULL;
        timer->fire(timer); /* may free the timer */
    }
    timers->running = false;
}

uint64_t timers_next_ms(const struct timers *timers)
{
    uint64_t start_ms;
    if (!list_is_empty(&timers->due) || !list_is_empty(&timers->firing))
        return timers->now_ms;
    return next_slot(timers, &start_ms) == NULL ? UINT64_MAX : start_ms;
}
