#include "delivery/witnesses.h"

#include <criterion/criterion.h>

static struct witnesses *witnesses;

static void open_witnesses(void)
{
    witnesses = witnesses_create();
}

static void close_witnesses(void)
{
    witnesses_destroy(witnesses);
}

TestSuite(witnesses, .init = open_witnesses, .fini = close_witnesses);

static void note(const char *origin, uint64_t hash, uint32_t site, uint64_t now_ms)
{
    witnesses_note(witnesses, slice_of(origin), hash, site, now_ms);
}

static bool is_next(const char *origin, uint64_t broken_since_ms, uint64_t now_ms)
{
    return slice_equal(witnesses_choose(witnesses, broken_since_ms, now_ms), slice_of(origin));
}

Test(witnesses, nobody_is_asked_when_nobody_connected)
{
    cr_assert(is_next("", 5000, 5000));
}

Test(witnesses, those_who_are_there_for_longest_are_asked_first_and_all_in_turn)
{
    note("https://b", 2, 2, 2000);
    note("https://a", 1, 1, 1000);
    note("https://c", 3, 3, 3000);
    note("https://a", 1, 1, 4000);
    cr_assert(is_next("https://a", 5000, 5000));
    cr_assert(is_next("https://b", 5000, 5050));
    cr_assert(is_next("https://c", 5000, 5100));
    cr_assert(is_next("", 5000, 5150), "all were asked a moment ago");
    cr_assert(is_next("", 5000, 5000 + WITNESS_AGAIN_MS - 1));
    cr_assert(is_next("https://a", 5000, 5000 + WITNESS_AGAIN_MS));
    cr_assert(is_next("https://b", 8000, 8000), "it broke anew, but the first one was asked a moment ago");
    cr_assert(is_next("https://a", 9000, 9000), "it broke anew");
}

Test(witnesses, one_that_connected_long_ago_knows_nothing)
{
    note("https://a", 1, 1, 1000);
    cr_assert(is_next("", 1001 + WITNESS_KNOWN_MS, 1001 + WITNESS_KNOWN_MS));
    cr_assert(is_next("https://a", 1000 + WITNESS_KNOWN_MS, 5000 + WITNESS_KNOWN_MS), "what counts is when it broke");
}

Test(witnesses, a_site_keeps_its_place_while_it_connects)
{
    note("https://a", 1, 7, 1000);
    note("https://b", 2, 7 + WITNESSES_MAX, 1000 + WITNESS_GONE_MS);
    cr_assert(is_next("https://a", 2000, 2000));
    note("https://b", 2, 7 + WITNESSES_MAX, 1001 + WITNESS_GONE_MS);
    cr_assert(is_next("https://b", 2000, 4000));
}

Test(witnesses, an_origin_that_is_silent_gives_its_place_and_standing_to_another_of_its_site)
{
    note("https://a", 1, 7, 1000);
    note("https://x", 9, 9, 1500);
    note("https://b", 2, 7, 1000 + WITNESS_SILENT_MS);
    cr_assert(is_next("https://a", 2000, 2000));
    note("https://b", 2, 7, 1001 + WITNESS_SILENT_MS);
    cr_assert(is_next("https://b", 90000, 90000), "before x, which came after its site");
}

static void ask(int count, uint64_t now_ms)
{
    for (int i = 0; i < count; i++)
        cr_assert_gt(witnesses_choose(witnesses, 5000, now_ms).length, 0);
}

Test(witnesses, of_few_one_is_enough)
{
    note("https://a", 1, 1, 1000);
    note("https://b", 2, 2, 2000);
    ask(1, 5000);
    cr_assert_not(witnesses_hear(witnesses), "the other one was not asked");
    ask(1, 5050);
    cr_assert(witnesses_hear(witnesses));
}

/* A receiver inside one's own network, in an outage of everything else. */
Test(witnesses, of_many_it_takes_more_than_a_tenth)
{
    for (uint32_t i = 1; i <= 40; i++)
        note("https://a", i, i, 1000);
    ask(9, 5000);
    cr_assert_not(witnesses_hear(witnesses), "not enough were asked");
    ask(1, 5000);
    cr_assert(witnesses_hear(witnesses), "two of ten");
    ask(30, 5000);
    cr_assert_not(witnesses_hear(witnesses), "three of forty");
}

Test(witnesses, who_was_heard_before_it_broke_anew_does_not_count)
{
    note("https://a", 1, 1, 1000);
    ask(1, 5000);
    cr_assert(witnesses_hear(witnesses));
    note("https://b", 2, 2, 9000);
    cr_assert(is_next("https://a", 10000, 10000));
    cr_assert_not(witnesses_hear(witnesses), "one of two was asked");
}
