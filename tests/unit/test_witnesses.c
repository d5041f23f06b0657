#include "delivery/witnesses.h"

#include "delivery/egress.h"

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

static struct witness *chosen;

static bool is_next(const char *origin, uint64_t broken_since_ms, uint64_t now_ms)
{
    chosen = witnesses_choose(witnesses, broken_since_ms, now_ms);
    return chosen == NULL ? *origin == '\0' : slice_is(witness_origin(chosen), origin);
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

enum { BROKEN_MS = 5000 }; /* since then */

static void note_many(uint32_t count)
{
    for (uint32_t i = 1; i <= count; i++)
        note("https://a", i, i, 1000);
}

/* So many one after the other, of whom the first so many are heard. */
static uint64_t ask(int count, int heard)
{
    uint64_t now_ms = witnesses_next_ms(witnesses) > BROKEN_MS ? witnesses_next_ms(witnesses) : BROKEN_MS;
    for (int i = 0; i < count; i++, now_ms = witnesses_next_ms(witnesses)) {
        struct witness *witness = witnesses_choose(witnesses, BROKEN_MS, now_ms);
        cr_assert_not_null(witness);
        if (i < heard)
            witness_hear(witness);
    }
    return now_ms;
}

static bool suffice(void)
{
    return witnesses_suffice(witnesses, BROKEN_MS);
}

Test(witnesses, are_chosen_one_after_the_other)
{
    note_many(2);
    cr_assert(is_next("https://a", BROKEN_MS, BROKEN_MS));
    cr_assert_eq(witnesses_next_ms(witnesses), BROKEN_MS + EGRESS_PROBE_MS);
}

Test(witnesses, of_few_one_is_enough)
{
    note_many(2);
    ask(1, 1);
    cr_assert_not(suffice(), "the other one was not asked");
    ask(1, 0);
    cr_assert(suffice(), "whatever it says");
    cr_assert_not(witnesses_suffice(witnesses, BROKEN_MS + 1000), "it broke anew");
}

/* A receiver inside one's own network, in an outage of everything else. */
Test(witnesses, of_many_it_takes_more_than_a_tenth)
{
    note_many(40);
    ask(9, 2);
    cr_assert_not(suffice(), "not enough were asked");
    ask(1, 0);
    cr_assert(suffice(), "two of ten");
    ask(30, 2);
    cr_assert_not(suffice(), "four of forty");
    ask(10, 2);
    cr_assert_not(suffice(), "the same");
    ask(10, 3);
    cr_assert(suffice(), "five");
}

/* All that were asked in vain during the outage do not have to be outvoted. */
Test(witnesses, after_a_long_outage_are_soon_believed)
{
    note_many(100);
    for (int i = 0; i < 500; i++)
        ask(100, 0);
    cr_assert_not(suffice());
    ask(11, 11);
    cr_assert(suffice());
}

Test(witnesses, who_was_heard_before_it_broke_anew_does_not_count)
{
    note_many(1);
    uint64_t now_ms = ask(1, 1);
    cr_assert(suffice());
    note("https://b", 99, 99, now_ms);
    cr_assert(is_next("https://a", now_ms + WITNESS_AGAIN_MS, now_ms + WITNESS_AGAIN_MS));
    cr_assert_not(witnesses_suffice(witnesses, now_ms + WITNESS_AGAIN_MS));
}

Test(witnesses, who_is_left_out_is_not_counted)
{
    note_many(12);
    for (int i = 0; i < 11; i++) {
        cr_assert(is_next("https://a", BROKEN_MS, BROKEN_MS), "%d", i);
        witness_leave_out(chosen);
        cr_assert_leq(witnesses_next_ms(witnesses), BROKEN_MS, "the next one at once");
    }
    uint64_t now_ms = ask(1, 1);
    cr_assert(suffice(), "the only one");
    cr_assert(is_next("", BROKEN_MS, now_ms));
    cr_assert_gt(witnesses_next_ms(witnesses), now_ms);
    note("https://b", 1, 1, now_ms);
    cr_assert(is_next("https://a", BROKEN_MS, now_ms), "it connected again");
}
