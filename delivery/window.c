#include "delivery/window.h"

#include "consumer/base/check.h"

void window_init(struct window *window, uint32_t max)
{
    assert(max > 0);
    *window = (struct window){ .max = max, .size = max < WINDOW_START ? max : WINDOW_START };
}

static uint32_t cohort(const struct window *window)
{
    return window->size > WINDOW_COHORT_MIN ? window->size : WINDOW_COHORT_MIN;
}

static void grow(struct window *window, uint32_t by)
{
    window->size = window->max - window->size < by ? window->max : window->size + by;
}

static void shrink(struct window *window, uint32_t by)
{
    window->size = window->size > by ? window->size - by : 1;
}

static void start_cohort(struct window *window, enum window_phase phase, uint32_t pass_over)
{
    window->phase = phase;
    window->good = window->bad = 0;
    window->pass_over = pass_over;
}

/* The cohort of a trial is complete: what does it say about the window? */
static void judge_trial(struct window *window, uint32_t in_flight)
{
    uint32_t ended = window->good + window->bad;
    uint32_t step = 1 + window->size / 8;
    if (window->bad <= 1) {
        start_cohort(window, WINDOW_CALM, 0);
    } else if (window->bad * 3 <= ended) {
        grow(window, step);
        start_cohort(window, WINDOW_ON_TRIAL, 0);
    } else {
        shrink(window, window->bad * 2 <= ended ? step : window->size / 2);
        start_cohort(window, WINDOW_ON_TRIAL, in_flight - 1);
    }
}

/* True when this end belongs to a trial and needs no further attention. */
static bool ends_in_trial(struct window *window, uint32_t in_flight, bool good)
{
    if (window->phase != WINDOW_ON_TRIAL)
        return false;
    if (window->pass_over > 0) {
        window->pass_over--;
        return true;
    }
    *(good ? &window->good : &window->bad) += 1;
    if (window->good + window->bad >= cohort(window))
        judge_trial(window, in_flight);
    return true;
}

void window_good(struct window *window, uint32_t in_flight)
{
    assert(in_flight > 0);
    if (ends_in_trial(window, in_flight, true))
        return;
    if (window->size >= in_flight + WINDOW_START) /* not used: says nothing about a wider one */
        return;
    if (window->phase == WINDOW_OPENING) {
        grow(window, 1);
        if (window->size == window->max)
            start_cohort(window, WINDOW_CALM, 0);
    } else if (++window->good >= cohort(window)) {
        grow(window, 1);
        window->good = 0;
    }
}

void window_bad(struct window *window, uint32_t in_flight)
{
    assert(in_flight > 0);
    if (ends_in_trial(window, in_flight, false))
        return;
    shrink(window, window->phase == WINDOW_OPENING ? window->size / 2 : 1);
    start_cohort(window, WINDOW_ON_TRIAL, in_flight - 1);
}
