/* Timers inside the objects: O(1) to start and to stop, however many there are (a hierarchical wheel with 1 ms ticks).
 *
 * The wheel reads no clock: its owner passes `now_ms` (monotonic) and arms one timer of the event loop for timers_next_ms(). A timer fires once,
 * at its deadline or later, never before; its function may start or stop any timer, itself included. Nothing is allocated per timer. */
#ifndef JOBHOOK_BASE_TIMERS_H
#define JOBHOOK_BASE_TIMERS_H

#include "consumer/base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct timer {
    struct link link; /* zeroed: not running */
    struct list *slot;
    uint64_t deadline_ms;
    void (*fire)(struct timer *timer);
};

struct timers;

struct timers *timers_create(uint64_t now_ms);
void timers_destroy(struct timers *timers); /* timers still running are forgotten */
/* Starts the timer, or moves it when it runs already. Deadlines in the past fire at the next timers_run; at most 30 days ahead. */
void timers_start(struct timers *timers, struct timer *timer, uint64_t deadline_ms);
void timers_stop(struct timers *timers, struct timer *timer); /* no effect when it is not running */
bool timer_is_running(const struct timer *timer);
/* Fires what is due. */
void timers_run(struct timers *timers, uint64_t now_ms);
/* No timer fires before this moment; UINT64_MAX when none runs. May be earlier than the first deadline (then timers_run only turns the wheel). */
uint64_t timers_next_ms(const struct timers *timers);

#endif
