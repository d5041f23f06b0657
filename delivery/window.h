/* How many attempts an endpoint may have in flight: found by trying, in integers. Pure.
 *
 * It opens by one for every attempt that ends well, which doubles it per round trip, until the first bad end; then it halves once and goes on in
 * small steps: a bad end takes one at once ("a correction for overload would be made too late otherwise": Postfix's SCHEDULER_README), then
 * attempts that were already in flight are passed over, since N attempts launched together fail together, and the next cohort is a trial:
 *
 *   at most one of the cohort ended badly    shrinking helped: grow by one after each whole cohort of good ends
 *   up to a third                            noise that a smaller window does not cure: grow (one bad server behind a balancer pins nobody)
 *   up to a half                             shrink by an eighth
 *   more                                     halve
 *
 * Good ends count only while the window is used: an idle endpoint's window does not grow beyond what was tried. */
#ifndef JOBHOOK_DELIVERY_WINDOW_H
#define JOBHOOK_DELIVERY_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

enum {
    WINDOW_START = 4,       /* or the largest allowed, when that is smaller */
    WINDOW_COHORT_MIN = 16, /* a cohort is as many ends as the window is wide, at least this many */
};

enum window_phase { WINDOW_OPENING, WINDOW_CALM, WINDOW_ON_TRIAL };

struct window {
    uint32_t size, max; /* 1 … max */
    uint32_t good, bad; /* ends of the current cohort */
    uint32_t pass_over; /* ends still to come of attempts launched before the window last shrank */
    enum window_phase phase;
};

void window_init(struct window *window, uint32_t max);
/* An attempt ended; `in_flight` includes it. Good: in time and not asking to be left alone, whatever the answer. */
void window_good(struct window *window, uint32_t in_flight);
void window_bad(struct window *window, uint32_t in_flight);

#endif
