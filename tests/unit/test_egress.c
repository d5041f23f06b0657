#include "delivery/egress.h"

#include <criterion/criterion.h>

enum { MARKS = 200, HOUR = 3600 * 1000 };

static struct egress egress;
static struct egress_mark marks[MARKS];

static void begin(void)
{
    egress_init(&egress);
    for (int i = 0; i < MARKS; i++)
        marks[i] = (struct egress_mark){ 0 };
}

static void connect_all(int from, int to, uint64_t now_ms)
{
    for (int i = from; i < to; i++)
        egress_note_connected(&egress, &marks[i], now_ms);
}

static void fail_all(int from, int to, uint64_t now_ms)
{
    for (int i = from; i < to; i++)
        egress_note_failed(&egress, &marks[i], now_ms);
}

TestSuite(egress, .init = begin);

Test(egress, trips_when_ten_origins_that_used_to_connect_fail)
{
    connect_all(0, 10, 1000);
    fail_all(0, 9, 100000);
    cr_assert_not(egress.down, "nine are not ten");
    fail_all(9, 10, 100000);
    cr_assert(egress.down);
}

Test(egress, needs_nine_tenths_of_those_tried)
{
    connect_all(0, 40, 1000);
    connect_all(0, 4, 100000);
    fail_all(4, 39, 100000);
    cr_assert_not(egress.down, "35 of 39 are less than 90 percent");
    fail_all(39, 40, 100000);
    cr_assert(egress.down, "36 of 40 are 90 percent");
}

Test(egress, forgets_tries_after_ten_seconds)
{
    connect_all(0, 10, 1000);
    fail_all(0, 5, 100000);
    fail_all(5, 10, 110001);
    cr_assert_not(egress.down);
    cr_assert_eq(egress.tried.length, 5);
    cr_assert_eq(egress.failed, 5);
    fail_all(0, 5, 115000);
    cr_assert(egress.down);
}

Test(egress, counts_an_origin_once_and_by_its_latest_try)
{
    connect_all(0, 20, 100000);
    for (int again = 0; again < 100; again++)
        fail_all(0, 9, 100000);
    cr_assert_eq(egress.tried.length, 20);
    cr_assert_eq(egress.failed, 9);
    connect_all(0, 9, 100001);
    cr_assert_eq(egress.failed, 0);
    cr_assert_not(egress.down);
}

Test(egress, dead_names_that_never_connected_say_nothing)
{
    for (uint64_t now_ms = 0; now_ms < 100000; now_ms += 500)
        fail_all(0, MARKS, now_ms);
    cr_assert_not(egress.down);
    cr_assert_eq(egress.tried.length, 0);
}

Test(egress, origins_that_connected_more_than_an_hour_ago_say_nothing)
{
    connect_all(0, 20, 1000);
    fail_all(0, 20, 1000 + HOUR + 1);
    cr_assert_not(egress.down);
    begin();
    connect_all(0, 20, 1000);
    fail_all(0, 20, 1000 + HOUR);
    cr_assert(egress.down);
}

Test(egress, one_that_connects_ends_it_and_it_takes_ten_new_tries_to_trip_again)
{
    connect_all(0, 30, 1000);
    fail_all(0, 10, 50000);
    cr_assert(egress.down);
    connect_all(3, 4, 80000);
    cr_assert_not(egress.down);
    cr_assert_eq(egress.up_since_ms, 80000);
    cr_assert_eq(egress.tried.length, 1);
    fail_all(10, 18, 80001);
    cr_assert_not(egress.down, "nine tried");
    fail_all(18, 19, 80001);
    cr_assert(egress.down, "nine of ten are 90 percent");
}

Test(egress, what_failed_before_it_ended_says_nothing_until_it_connects_again)
{
    connect_all(0, 100, 1000);
    fail_all(0, 10, 50000);
    cr_assert(egress.down);
    fail_all(10, 50, 70000);
    cr_assert(egress_knows(&egress, &marks[20], 70000), "while it is down, these are who to ask");
    connect_all(99, 100, 80000);
    for (uint64_t now_ms = 80000; now_ms < 200000; now_ms += 1000)
        fail_all(0, 50, now_ms);
    cr_assert_not(egress.down);
    connect_all(0, 10, 200000);
    fail_all(0, 10, 200001);
    cr_assert(egress.down);
}

Test(egress, even_an_unknown_origin_that_connects_ends_it)
{
    connect_all(0, 10, 1000);
    fail_all(0, 10, 50000);
    connect_all(100, 101, 60000);
    cr_assert_not(egress.down);
}

Test(egress, probes_are_made_at_their_pace_and_only_while_down)
{
    connect_all(0, 10, 1000);
    cr_assert_not(egress_may_probe(&egress, 1000));
    fail_all(0, 10, 50000);
    uint64_t now_ms = 50000;
    for (int i = 0; i < 60; i++) {
        cr_assert_not(egress_may_probe(&egress, now_ms + EGRESS_PROBE_MS - 1));
        now_ms += EGRESS_PROBE_MS;
        cr_assert(egress_may_probe(&egress, now_ms));
        egress_note_probe(&egress, &marks[0], now_ms);
    }
    connect_all(0, 10, now_ms);
    cr_assert_not(egress_may_probe(&egress, now_ms + 10000));
}

static uint64_t rank(int mark)
{
    return egress_probe_rank(&egress, &marks[mark], 60000);
}

Test(egress, probes_go_round_the_sites)
{
    for (int i = 0; i < 12; i++)
        marks[i].site = i < 10 ? 7 : (uint16_t)i;
    connect_all(0, 12, 1000);
    fail_all(0, 10, 50000);
    cr_assert_eq(rank(10), EGRESS_RANK_BEST);
    egress_note_probe(&egress, &marks[10], 50100);
    egress_note_probe(&egress, &marks[0], 50200);
    egress_note_probe(&egress, &marks[11], 50300);
    cr_assert_lt(rank(10), rank(9));
    cr_assert_lt(rank(9), rank(11), "its site was probed before, though at another origin");
}

Test(egress, of_one_site_an_origin_that_did_not_fail_is_probed_first)
{
    connect_all(0, 11, 1000);
    fail_all(0, 10, 50000);
    egress_note_probe(&egress, &marks[0], 50100);
    cr_assert_lt(rank(10), rank(9));
    cr_assert_lt(rank(9), rank(50), "one that is known, though it failed, before one that never connected");
}

Test(egress, one_probe_of_three_goes_to_whoever_was_not_heard_longest)
{
    marks[50].site = 50;
    connect_all(0, 10, 1000);
    fail_all(0, 10, 50000);
    for (int i = 0; i < 30; i++) {
        bool unknown = rank(50) < rank(0);
        cr_assert_eq(unknown, i % 3 == 2);
        egress_note_probe(&egress, &marks[0], 50100);
    }
}

Test(egress, its_clock_stands_still_while_down)
{
    connect_all(0, 10, 1000);
    cr_assert_eq(egress_working_ms(&egress, 50000), 50000);
    fail_all(0, 10, 50000);
    cr_assert_eq(egress_working_ms(&egress, 70000), 50000);
    connect_all(0, 1, 80000);
    cr_assert_eq(egress_working_ms(&egress, 80000), 50000);
    cr_assert_eq(egress_working_ms(&egress, 90000), 60000);
    connect_all(0, 10, 90000);
    fail_all(0, 10, 90000);
    connect_all(0, 1, 95000);
    cr_assert_eq(egress_working_ms(&egress, 100000), 65000);
}

Test(egress, origins_known_when_it_broke_stay_known_however_long_it_takes)
{
    connect_all(0, 10, 1000);
    fail_all(0, 10, 50000);
    cr_assert(egress_knows(&egress, &marks[0], 50000 + 5 * (uint64_t)HOUR));
    cr_assert_not(egress_knows(&egress, &marks[50], 50000));
}

Test(egress, a_forgotten_origin_leaves_the_count)
{
    connect_all(0, 20, 1000);
    fail_all(0, 5, 1000);
    egress_forget(&egress, &marks[0]);
    egress_forget(&egress, &marks[19]);
    egress_forget(&egress, &marks[150]);
    cr_assert_eq(egress.tried.length, 18);
    cr_assert_eq(egress.failed, 4);
}
