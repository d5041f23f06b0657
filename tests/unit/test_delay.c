#include "consumer/delay.h"

#include <criterion/criterion.h>

/* Redis's clock and ours have nothing to do with each other. */
static const struct delay_clocks now = { .monotonic_ms = 5000, .redis_ms = 1000000 };

static const struct delay_case {
    const char *says;
    int64_t due_ms;
    uint64_t delay_ms, until_ms;
} cases[] = {
    { "due long ago: at once", 0, 1000, 5000 },
    { "due now: at once", 1000000, 1000, 5000 },
    { "due in a millisecond: one more, because clocks are rounded down", 1000001, 1000, 5002 },
    { "due after the topic's delay", 1016000, 16000, 21001 },
    { "a writer whose clock is an hour ahead holds the head for the delay and a second", 4600000, 16000, 22000 },
    { "the farthest due time there is", INT64_MAX, 1000, 7000 },
};

Test(delay, waits_until_due_but_never_longer_than_the_topics_delay_and_a_second)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(delay_until_ms(cases[i].due_ms, cases[i].delay_ms, &now), cases[i].until_ms, "%s", cases[i].says);
}
