#include "delivery/attempt.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct attempt second = { .number = 2, .epoch = 1, .first_ms = 500, .due_ms = 900, .error = "http_503" };

Test(attempt, the_next_one_starts_without_deferrals)
{
    struct attempt deferred = attempt_deferred(&second, 1000, 3000), next = attempt_following(&deferred, 7000);
    cr_expect_eq(next.number, 3);
    cr_expect_eq(next.epoch, 1);
    cr_expect_eq(next.deferral, 0);
    cr_expect_eq(next.deferred_since_ms, 0);
    cr_expect_eq(next.due_ms, 7000);
    cr_expect_eq(next.first_ms, 500);
}

Test(attempt, a_deferral_counts_and_keeps_when_the_first_was)
{
    struct attempt once = attempt_deferred(&second, 1000, 3000), twice = attempt_deferred(&once, 3100, 8000);
    cr_expect_eq(once.number, 2);
    cr_expect_eq(once.deferral, 1);
    cr_expect_eq(once.deferred_since_ms, 1000);
    cr_expect_eq(twice.deferral, 2);
    cr_expect_eq(twice.deferred_since_ms, 1000);
    cr_expect_eq(twice.due_ms, 8000);
    cr_expect_str_eq(twice.error, "http_503", "why the attempt before failed is of more use");
    struct attempt first = { .number = 1 };
    cr_expect_str_eq(attempt_deferred(&first, 1000, 3000).error, "deferred");
}

Test(attempt, held_time_does_not_count_as_deferred)
{
    struct attempt held = attempt_held(&second, 1000, 61000);
    cr_expect_eq(held.deferral, 1);
    cr_expect_eq(held.due_ms, 61000);
    cr_expect_eq(held.deferred_since_ms, 61000, "by then it has been deferred for no time at all");
    struct attempt deferred = attempt_deferred(&held, 61000, 66000);
    cr_expect_eq(deferred.deferred_since_ms, 61000);
    held = attempt_held(&deferred, 66000, 96000);
    cr_expect_eq(held.deferred_since_ms, 91000, "at 96 s it has been deferred for 5 s");
}
