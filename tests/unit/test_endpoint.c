#include "delivery/endpoint.h"
#include "delivery/scheduler.h"

#include <criterion/criterion.h>

static const struct endpoint_limits limits = {
    .queue_max = 100, .bytes_max = 10000, .wait_max_ms = 10000, .slow_ms = 2500, .crowd_wait_ms = ENDPOINT_SHORT_WAIT_MS
};
static const struct attempt_end delivered = { .blame = BLAME_NOBODY, .delivered = true, .answered = true, .connected = true, .retry_after_s = -1 };
static const struct attempt_end silent = { .blame = BLAME_ENDPOINT, .connected = true, .timed_out = true, .retry_after_s = -1 };
static const struct attempt_end black_hole = { .blame = BLAME_ORIGIN, .timed_out = true, .retry_after_s = -1 };
static const struct attempt_end refused = { .blame = BLAME_ORIGIN, .retry_after_s = -1 };
static const struct attempt_end failed = { .blame = BLAME_EVENT, .answered = true, .connected = true, .retry_after_s = -1 };
static const struct attempt_end busy = { .blame = BLAME_ENDPOINT, .answered = true, .connected = true, .retry_after_s = -1 };

static struct endpoint endpoint;
static uint64_t now_ms;

static void begin(void)
{
    endpoint_init(&endpoint, NULL, 64);
    now_ms = 1000000;
}

TestSuite(endpoint, .init = begin);

static void try_as(struct ticket *ticket, const struct attempt_end *end, uint64_t took_ms)
{
    ticket->started_ms = now_ms;
    endpoint_note_start(&endpoint, ticket, now_ms);
    now_ms += took_ms;
    endpoint_note_end(&endpoint, ticket, end, &limits, now_ms);
    endpoint.in_flight[ticket->retry]--;
}

static void try_once(uint64_t task, const struct attempt_end *end, uint64_t took_ms)
{
    struct ticket ticket = { .task = task };
    try_as(&ticket, end, took_ms);
}

static void be_silent(uint32_t attempts, uint64_t tasks)
{
    for (uint32_t i = 0; i < attempts; i++)
        try_once(i % tasks, &silent, 10000);
}

static bool admit(struct ticket *ticket)
{
    return endpoint_admit(&endpoint, ticket, &limits, now_ms);
}

static void probe(const struct attempt_end *end, uint64_t took_ms)
{
    struct ticket ticket = { .task = 1 };
    now_ms = endpoint.record.rest_until_ms;
    cr_assert(admit(&ticket));
    cr_assert(ticket.probe);
    try_as(&ticket, end, took_ms);
}

Test(endpoint, rests_after_twenty_silent_attempts_of_ten_tasks)
{
    be_silent(19, 10);
    cr_assert_eq(endpoint.record.rest, ENDPOINT_AWAKE);
    be_silent(1, 1);
    cr_assert_eq(endpoint.record.rest, ENDPOINT_RESTING);
    cr_assert_eq(endpoint.record.rest_until_ms, now_ms + 16000);
}

Test(endpoint, a_few_tasks_tried_often_never_rest_it)
{
    be_silent(1000, 9);
    cr_assert_eq(endpoint.record.rest, ENDPOINT_AWAKE);
    try_once(9, &silent, 10000);
    cr_assert_eq(endpoint.record.rest, ENDPOINT_RESTING);
}

Test(endpoint, anything_that_ends_in_time_breaks_the_row)
{
    const struct attempt_end *const quick[] = { &delivered, &refused, &failed, &busy };
    for (size_t i = 0; i < COUNT_OF(quick); i++) {
        begin();
        for (int again = 0; again < 10; again++) {
            be_silent(19, 19);
            try_once(99, quick[i], 5);
        }
        cr_expect_eq(endpoint.record.rest, ENDPOINT_AWAKE, "case %zu", i);
    }
}

Test(endpoint, hosts_that_swallow_connections_are_silent_too)
{
    for (uint64_t i = 0; i < 20; i++)
        try_once(i, &black_hole, 10000);
    cr_assert_eq(endpoint.record.rest, ENDPOINT_RESTING);
}

Test(endpoint, quick_failures_never_rest_it)
{
    const struct attempt_end *const quick[] = { &refused, &failed, &busy };
    for (size_t i = 0; i < COUNT_OF(quick); i++)
        for (uint64_t task = 0; task < 1000; task++)
            try_once(task, quick[i], 5);
    cr_assert_eq(endpoint.record.rest, ENDPOINT_AWAKE);
}

Test(endpoint, takes_nothing_while_it_rests_and_then_one_probe)
{
    struct ticket first = { 0 }, second = { 0 };
    be_silent(20, 20);
    cr_assert_not(admit(&first));
    now_ms = endpoint.record.rest_until_ms - 1;
    cr_assert_not(admit(&first));
    now_ms++;
    cr_assert(admit(&first));
    endpoint_queue(&endpoint, &first);
    cr_assert(endpoint_is_open(&endpoint));
    cr_assert_not(admit(&second));
    endpoint_unqueue(&endpoint, &first);
    endpoint_note_start(&endpoint, &first, now_ms);
    cr_assert_not(admit(&second));
    cr_assert_not(endpoint_is_open(&endpoint));
}

Test(endpoint, rests_double_up_to_five_minutes)
{
    static const uint64_t rests_s[] = { 16, 32, 64, 128, 256, 300, 300, 300 };
    be_silent(20, 20);
    for (size_t i = 0; i < COUNT_OF(rests_s); i++) {
        cr_assert_eq(endpoint.record.rest_until_ms - now_ms, rests_s[i] * 1000, "rest %zu", i);
        probe(&silent, 10000);
    }
}

Test(endpoint, a_probe_that_ends_in_time_wakes_it_and_starts_afresh)
{
    const struct attempt_end *const quick[] = { &delivered, &refused, &failed, &busy };
    for (size_t i = 0; i < COUNT_OF(quick); i++) {
        begin();
        be_silent(20, 20);
        probe(&silent, 10000);
        probe(quick[i], 7);
        cr_expect_eq(endpoint.record.rest, ENDPOINT_AWAKE, "case %zu", i);
        cr_expect_eq(endpoint.record.window.size, 4);
        cr_expect_eq(endpoint.record.duration_x8_ms, 7 * 8);
        be_silent(20, 20);
        cr_expect_eq(endpoint.record.rest_until_ms - now_ms, 16000, "the next rest is a first one");
    }
}

Test(endpoint, a_probe_that_came_to_nothing_is_followed_by_another)
{
    struct ticket ticket = { 0 };
    be_silent(20, 20);
    now_ms = endpoint.record.rest_until_ms;
    cr_assert(admit(&ticket));
    endpoint_lose_probe(&endpoint, &ticket);
    cr_assert_not(ticket.probe);
    cr_assert(admit(&ticket));
}

Test(endpoint, a_late_2xx_ends_a_rest_after_silence_but_not_one_that_was_asked_for)
{
    struct attempt_end asked = busy;
    asked.retry_after_s = 60;
    be_silent(20, 20);
    try_once(1, &silent, 1);
    cr_assert_eq(endpoint.record.rest, ENDPOINT_RESTING);
    try_once(1, &delivered, 1);
    cr_assert_eq(endpoint.record.rest, ENDPOINT_AWAKE);
    try_once(1, &asked, 1);
    try_once(1, &delivered, 1);
    cr_assert_eq(endpoint.record.rest, ENDPOINT_RESTING);
}

Test(endpoint, retry_after_is_believed_up_to_five_minutes)
{
    static const struct {
        int32_t asked_s;
        uint64_t rest_s;
    } cases[] = { { 1, 1 }, { 60, 60 }, { 300, 300 }, { 301, 300 }, { INT32_MAX, 300 } };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct attempt_end end = busy;
        begin();
        end.retry_after_s = cases[i].asked_s;
        try_once(1, &end, 5);
        cr_expect_eq(endpoint.record.rest, ENDPOINT_RESTING);
        cr_expect_eq(endpoint.record.rest_until_ms - now_ms, cases[i].rest_s * 1000);
    }
}

Test(endpoint, retry_after_counts_only_on_429_and_503)
{
    struct attempt_end ends[] = { failed, delivered, silent, busy };
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        ends[i].retry_after_s = i == 3 ? 0 : 60;
        try_once(1, &ends[i], 5);
        cr_expect_eq(endpoint.record.rest, ENDPOINT_AWAKE, "case %zu", i);
    }
}

Test(endpoint, the_longest_rest_asked_for_holds)
{
    struct attempt_end end = busy;
    end.retry_after_s = 100;
    try_once(1, &end, 0);
    uint64_t until_ms = endpoint.record.rest_until_ms;
    end.retry_after_s = 5;
    try_once(2, &end, 0);
    cr_assert_eq(endpoint.record.rest_until_ms, until_ms);
}

Test(endpoint, a_rest_that_was_asked_for_keeps_the_window)
{
    struct attempt_end end = busy;
    end.retry_after_s = 30;
    endpoint.record.window = (struct window){ .size = 40, .max = 64, .phase = WINDOW_CALM };
    try_once(1, &end, 0);
    probe(&delivered, 5);
    cr_assert_eq(endpoint.record.rest, ENDPOINT_AWAKE);
    cr_assert_eq(endpoint.record.window.size, 39);
}

Test(endpoint, the_window_shrinks_on_timeouts_429_and_503_only)
{
    static const struct {
        const struct attempt_end *end;
        uint32_t size;
    } cases[] = { { &delivered, 5 }, { &failed, 5 }, { &refused, 5 }, { &silent, 2 }, { &black_hole, 2 }, { &busy, 2 } };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        begin();
        try_once(1, cases[i].end, 5);
        cr_expect_eq(endpoint.record.window.size, cases[i].size, "case %zu", i);
    }
}

Test(endpoint, is_open_up_to_its_window)
{
    endpoint.in_flight[0] = 2;
    endpoint.in_flight[1] = 1;
    cr_assert(endpoint_is_open(&endpoint));
    endpoint.in_flight[1] = 2;
    cr_assert_not(endpoint_is_open(&endpoint));
}

static struct ticket tickets[1000];

static uint32_t fill(uint32_t bytes)
{
    for (uint32_t i = 0; i < COUNT_OF(tickets); i++) {
        tickets[i] = (struct ticket){ .bytes = bytes, .queued_ms = now_ms, .retry = i % 2 };
        if (!admit(&tickets[i]))
            return i;
        endpoint_queue(&endpoint, &tickets[i]);
    }
    return COUNT_OF(tickets);
}

Test(endpoint, its_queue_is_full_at_its_count_and_its_bytes)
{
    cr_assert_eq(fill(1), 100);
    begin();
    cr_assert_eq(fill(1000), 10);
    begin();
    cr_assert_eq(fill(1000000), 1, "one event larger than the share may wait");
}

Test(endpoint, a_queue_that_drains_within_a_second_is_never_full)
{
    try_once(1, &delivered, 50);
    cr_assert_eq(fill(1000), COUNT_OF(tickets), "1,000 × 50 ms over 64 at once: 780 ms");
    now_ms += 1000;
    cr_assert_not(admit(&(struct ticket){ .bytes = 1 }), "but it did not drain");
}

Test(endpoint, a_queue_that_cannot_be_sent_in_time_is_full)
{
    try_once(1, &delivered, 9000);
    cr_assert_eq(fill(1), 72, "72 × 9 s over 64 at once are more than 10 s");
}

Test(endpoint, what_is_turned_away_is_spread_over_time)
{
    uint64_t before_ms = 0;
    endpoint.record.window = (struct window){ .size = 10, .max = 64, .phase = WINDOW_CALM };
    try_once(1, &delivered, 1000);
    for (int i = 0; i < 100; i++) {
        endpoint_turn_away(&endpoint, now_ms);
        uint64_t wait_ms = endpoint_expected_wait_ms(&endpoint, 10000, now_ms);
        cr_assert_geq(wait_ms, before_ms);
        before_ms = wait_ms;
    }
    cr_assert_eq(before_ms, 100 * 100 / 4);
}

Test(endpoint, those_who_come_to_a_resting_one_stay_away_until_its_probe)
{
    struct ticket ticket = { 0 };
    be_silent(20, 20);
    cr_assert_eq(endpoint_expected_wait_ms(&endpoint, 10000, now_ms), 16000);
    now_ms += 15000;
    cr_assert_eq(endpoint_expected_wait_ms(&endpoint, 10000, now_ms), 1000);
    now_ms += 2000;
    cr_assert_eq(endpoint_expected_wait_ms(&endpoint, 10000, now_ms), 0);
    cr_assert(admit(&ticket));
    cr_assert_eq(endpoint_expected_wait_ms(&endpoint, 10000, now_ms), 10000);
}

Test(endpoint, its_clock_runs_from_the_first_attempt_to_a_2xx)
{
    cr_assert_eq(endpoint_silent_ms(&endpoint, now_ms + 99999), 0, "never tried");
    try_once(1, &failed, 500);
    cr_assert_eq(endpoint_silent_ms(&endpoint, now_ms), 500);
    try_once(1, &silent, 10000);
    cr_assert_eq(endpoint_silent_ms(&endpoint, now_ms), 10500);
    try_once(1, &delivered, 10);
    cr_assert_eq(endpoint_silent_ms(&endpoint, now_ms + 99999), 0);
    now_ms += 50000;
    try_once(1, &failed, 7);
    cr_assert_eq(endpoint_silent_ms(&endpoint, now_ms), 7);
}

Test(endpoint, its_clock_stands_still_while_held)
{
    try_once(1, &failed, 500);
    endpoint_stop_clock(&endpoint, now_ms);
    now_ms += 99999;
    endpoint_stop_clock(&endpoint, now_ms);
    cr_assert_eq(endpoint_silent_ms(&endpoint, now_ms), 500);
    try_once(1, &failed, 100);
    cr_assert_eq(endpoint_silent_ms(&endpoint, now_ms), 600);
    try_once(1, &delivered, 100);
    cr_assert_eq(endpoint_silent_ms(&endpoint, now_ms), 0);
}

Test(endpoint, the_oldest_of_both_kinds_is_found)
{
    struct ticket first = { .queued_ms = 5 }, retry = { .queued_ms = 4, .retry = true };
    cr_assert_null(endpoint_oldest(&endpoint));
    endpoint_queue(&endpoint, &first);
    cr_assert_eq(endpoint_oldest(&endpoint), &first);
    endpoint_queue(&endpoint, &retry);
    cr_assert_eq(endpoint_oldest(&endpoint), &retry);
    endpoint_unqueue(&endpoint, &retry);
    cr_assert_eq(endpoint_oldest(&endpoint), &first);
}
