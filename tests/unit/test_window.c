#include "delivery/window.h"

#include <criterion/criterion.h>

static void good(struct window *window, uint32_t times)
{
    for (uint32_t i = 0; i < times; i++)
        window_good(window, window->size);
}

static void bad(struct window *window, uint32_t times)
{
    for (uint32_t i = 0; i < times; i++)
        window_bad(window, window->size);
}

static struct window calm(uint32_t size, uint32_t max)
{
    return (struct window){ .size = size, .max = max, .phase = WINDOW_CALM };
}

/* As if a bad end had just been passed over. */
static struct window on_trial(uint32_t size, uint32_t max)
{
    return (struct window){ .size = size, .max = max, .phase = WINDOW_ON_TRIAL };
}

Test(window, starts_at_four_or_at_the_most_allowed)
{
    for (uint32_t max = 1; max <= 64; max++) {
        struct window window;
        window_init(&window, max);
        cr_assert_eq(window.size, max < 4 ? max : 4);
    }
}

Test(window, doubles_with_every_round_trip_while_it_opens)
{
    struct window window;
    window_init(&window, 64);
    for (uint32_t size = 4; size < 64; size *= 2) {
        cr_assert_eq(window.size, size);
        for (uint32_t i = 0; i < size; i++)
            window_good(&window, window.size);
    }
    cr_assert_eq(window.size, 64);
    good(&window, 1000);
    cr_assert_eq(window.size, 64);
}

Test(window, halves_at_the_first_bad_end_of_its_opening)
{
    struct window window;
    window_init(&window, 64);
    good(&window, 16);
    cr_assert_eq(window.size, 20);
    bad(&window, 1);
    cr_assert_eq(window.size, 10);
    cr_assert_eq(window.phase, WINDOW_ON_TRIAL);
}

Test(window, takes_one_at_once_when_calm)
{
    struct window window = calm(20, 64);
    bad(&window, 1);
    cr_assert_eq(window.size, 19);
}

Test(window, passes_over_those_that_were_launched_together)
{
    struct window window = calm(20, 64);
    for (uint32_t in_flight = 20; in_flight >= 1; in_flight--)
        window_bad(&window, in_flight);
    cr_assert_eq(window.size, 19, "twenty bad ends of one launch are one bad event");
    cr_assert_eq(window.good + window.bad, 0);
}

Test(window, grows_by_one_for_each_whole_cohort_when_calm)
{
    struct window window = calm(5, 64);
    good(&window, 15);
    cr_assert_eq(window.size, 5);
    good(&window, 1);
    cr_assert_eq(window.size, 6);
    window = calm(40, 64);
    good(&window, 39);
    cr_assert_eq(window.size, 40);
    good(&window, 1);
    cr_assert_eq(window.size, 41);
}

Test(window, never_grows_while_it_is_not_used)
{
    struct window window;
    window_init(&window, 64);
    for (int i = 0; i < 1000; i++)
        window_good(&window, 1);
    cr_assert_eq(window.size, 5, "one in flight supports 1 + 4");
    window = calm(30, 64);
    for (int i = 0; i < 1000; i++)
        window_good(&window, 26);
    cr_assert_eq(window.size, 30);
    for (int i = 0; i < 30; i++)
        window_good(&window, 27);
    cr_assert_eq(window.size, 31);
}

Test(window, a_trial_decides_by_the_share_of_bad_ends)
{
    static const struct {
        uint32_t size, bad, size_after;
        enum window_phase phase_after;
    } cases[] = {
        { 10, 0, 10, WINDOW_CALM },      { 10, 1, 10, WINDOW_CALM },      { 10, 2, 12, WINDOW_ON_TRIAL }, /* noise */
        { 10, 5, 12, WINDOW_ON_TRIAL },  { 10, 6, 8, WINDOW_ON_TRIAL },                                   /* above a third */
        { 10, 8, 8, WINDOW_ON_TRIAL },   { 10, 9, 5, WINDOW_ON_TRIAL },                                   /* above a half */
        { 10, 16, 5, WINDOW_ON_TRIAL },  { 1, 16, 1, WINDOW_ON_TRIAL },   { 1, 6, 1, WINDOW_ON_TRIAL },    { 2, 16, 1, WINDOW_ON_TRIAL },
        { 48, 16, 55, WINDOW_ON_TRIAL }, { 48, 17, 41, WINDOW_ON_TRIAL }, { 64, 21, 64, WINDOW_ON_TRIAL }, { 60, 20, 64, WINDOW_ON_TRIAL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct window window = on_trial(cases[i].size, 64);
        uint32_t cohort = cases[i].size > 16 ? cases[i].size : 16;
        bad(&window, cases[i].bad);
        good(&window, cohort - cases[i].bad);
        cr_expect_eq(window.size, cases[i].size_after, "case %zu: %u", i, window.size);
        cr_expect_eq(window.phase, cases[i].phase_after, "case %zu", i);
    }
}

Test(window, stays_between_one_and_the_most_whatever_happens)
{
    uint64_t random = 1;
    for (uint32_t max = 1; max <= 100; max += 9) {
        struct window window;
        window_init(&window, max);
        for (int i = 0; i < 20000; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            uint32_t in_flight = 1 + (uint32_t)(random >> 40) % (window.size + 3);
            ((random >> 60) < (uint64_t)(i / 1250) ? window_bad : window_good)(&window, in_flight);
            cr_assert(window.size >= 1 && window.size <= max);
        }
    }
}
