#include "delivery/endpoint.h"
#include "delivery/scheduler.h"

#include "consumer/base/memory.h"
#include "delivery/egress.h"
#include "delivery/witnesses.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static const struct attempt_end delivered = { .blame = BLAME_NOBODY, .delivered = true, .answered = true, .connected = true, .retry_after_s = -1 };
static const struct attempt_end silent = { .blame = BLAME_ENDPOINT, .connected = true, .timed_out = true, .retry_after_s = -1 };
static const struct attempt_end refused = { .blame = BLAME_ORIGIN, .retry_after_s = -1 };
static const struct attempt_end broken = { .blame = BLAME_EVENT, .answered = true, .connected = true, .retry_after_s = -1 };
static const struct attempt_end busy = { .blame = BLAME_ENDPOINT, .answered = true, .connected = true, .retry_after_s = 30 };
static const struct attempt_end ours = { .blame = BLAME_US, .retry_after_s = -1 };
static const struct attempt_end blocked = { .blame = BLAME_EVENT, .retry_after_s = -1 };

static struct scheduler *scheduler;
static struct scheduler_options options;
static uint64_t now_ms;
static struct ticket tickets[2000];

static void begin(void)
{
    options = (struct scheduler_options){ .max_in_flight = 100,
                                          .endpoint_max_in_flight = 64,
                                          .origin_max_connections = 256,
                                          .attempt_timeout_ms = 10000,
                                          .held_bytes_max = 1 << 20,
                                          .give_up_after_ms = 3600 * 1000,
                                          .hash_key = { 3, 4 } };
    for (size_t i = 0; i < COUNT_OF(tickets); i++)
        tickets[i] = (struct ticket){ .task = i + 1, .bytes = 100 };
    now_ms = 1000;
}

static void open_scheduler(void)
{
    scheduler = scheduler_create(&options);
}

static void end(void)
{
    scheduler_destroy(scheduler);
}

TestSuite(scheduler, .init = begin, .fini = end);

static struct url make_url(char text[200], const char *host, const char *path)
{
    struct url url = { .https = true, .port = 443 };
    url.origin_length = (uint16_t)snprintf(url.origin, sizeof url.origin, "https://%s", host);
    int length = snprintf(text, 200, "https://%s%s", host, path);
    url.text = url.endpoint = (struct slice){ text, (size_t)length };
    return url;
}

static bool enqueue_at(struct ticket *ticket, const char *host, const char *path)
{
    char text[200];
    struct url url = make_url(text, host, path);
    return scheduler_enqueue(scheduler, ticket, &url, now_ms);
}

static bool enqueue(struct ticket *ticket)
{
    return enqueue_at(ticket, "a.example", "/");
}

static uint64_t expected_wait_ms(const char *host)
{
    char text[200];
    struct url url = make_url(text, host, "/");
    return scheduler_expected_wait_ms(scheduler, &url, now_ms);
}

static uint64_t rests_until_ms(const char *host)
{
    char text[200];
    struct url url = make_url(text, host, "/");
    return scheduler_rests_until_ms(scheduler, &url);
}

static uint64_t silent_ms(const char *host)
{
    char text[200];
    struct url url = make_url(text, host, "/");
    return scheduler_silent_ms(scheduler, &url, now_ms);
}

static struct ticket *start(void)
{
    return scheduler_start(scheduler, now_ms);
}

static enum attempt_fault finish(struct ticket *ticket, const struct attempt_end *how)
{
    return scheduler_finish(scheduler, ticket, how, now_ms);
}

/* Ten tasks give an endpoint a record of its own. */
static void introduce(const char *host, const char *path)
{
    for (size_t i = 1900; i < 1910; i++) {
        cr_assert(enqueue_at(&tickets[i], host, path));
        scheduler_remove(scheduler, &tickets[i]);
    }
}

/* Tries until the endpoint rests. */
static void put_to_rest(const char *host)
{
    introduce(host, "/");
    for (size_t i = 0; i < 20; i++) {
        cr_assert(enqueue_at(&tickets[1000 + i], host, "/"));
        cr_assert_eq(start(), &tickets[1000 + i]);
        now_ms += 10000;
        cr_assert_eq(finish(&tickets[1000 + i], &silent), ATTEMPT_COUNTS);
    }
    cr_assert_eq(scheduler_counts(scheduler).resting, 1);
}

/* Queues `count` tickets of a kind, each at a host of its own. */
static void enqueue_apart(struct ticket *first, int count, bool retry)
{
    char host[40];
    for (int i = 0; i < count; i++) {
        snprintf(host, sizeof host, "%c%d.example", retry ? 'r' : 'f', i);
        first[i].retry = retry;
        cr_assert(enqueue_at(&first[i], host, "/"));
    }
}

/* As many hosts of that kind have answered before. */
static void hear_from(int count, bool retry)
{
    enqueue_apart(&tickets[1800], count, retry);
    for (struct ticket *ticket = start(); ticket != NULL; ticket = start())
        (void)finish(ticket, &delivered);
}

Test(scheduler, sends_in_order_and_counts)
{
    open_scheduler();
    for (int i = 0; i < 3; i++)
        cr_assert(enqueue(&tickets[i]));
    cr_assert_eq(scheduler_counts(scheduler).queued, 3);
    cr_assert_eq(scheduler_counts(scheduler).queued_bytes, 300);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(start(), &tickets[i]);
        cr_assert(tickets[i].in_flight);
    }
    cr_assert_null(start());
    cr_assert_eq(scheduler_counts(scheduler).queued, 0);
    cr_assert_eq(scheduler_counts(scheduler).in_flight[0], 3);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(finish(&tickets[i], &delivered), ATTEMPT_COUNTS);
    cr_assert_eq(scheduler_counts(scheduler).in_flight[0], 0);
    cr_assert_eq(scheduler_counts(scheduler).queued_bytes, 0);
}

Test(scheduler, never_exceeds_the_slots)
{
    options.max_in_flight = 10;
    open_scheduler();
    hear_from(50, false);
    enqueue_apart(&tickets[0], 50, false);
    for (int i = 0; i < 10; i++)
        cr_assert_not_null(start());
    cr_assert_null(start());
    (void)finish(&tickets[3], &delivered);
    cr_assert_not_null(start());
    cr_assert_null(start());
}

Test(scheduler, endpoints_that_never_answered_hold_all_slots_only_while_nobody_answers)
{
    options.max_in_flight = 10;
    open_scheduler();
    enqueue_apart(&tickets[0], 50, false);
    for (int i = 0; i < 10; i++)
        cr_assert_not_null(start());
    (void)finish(&tickets[0], &delivered);
    cr_assert_null(start());
    now_ms += 60 * 1000;
    cr_assert_not_null(start());
}

Test(scheduler, endpoints_that_never_answered_hold_half_of_the_slots_at_most)
{
    options.max_in_flight = 10;
    open_scheduler();
    cr_assert(enqueue_at(&tickets[0], "well.example", "/"));
    cr_assert_eq(start(), &tickets[0]);
    (void)finish(&tickets[0], &delivered);
    enqueue_apart(&tickets[0], 50, false);
    enqueue_apart(&tickets[100], 50, true);
    for (int i = 0; i < 5; i++)
        cr_assert_not_null(start());
    cr_assert_null(start());
    cr_assert_eq(scheduler_next_ms(scheduler, now_ms), now_ms + 10001, "no busy waiting");
    for (int round = 0; round < 95; round++) {
        for (size_t i = 0; i < 150; i++) {
            if (tickets[i].in_flight) {
                (void)finish(&tickets[i], &silent);
                break;
            }
        }
        cr_assert_not_null(start(), "round %d", round);
        cr_assert_null(start());
    }
}

Test(scheduler, endpoints_that_answer_get_their_slots_while_others_are_silent)
{
    options.max_in_flight = 10;
    open_scheduler();
    hear_from(20, false);
    for (size_t i = 100; i < 110; i++)
        cr_assert(enqueue_at(&tickets[i], i % 2 ? "silent.example" : "silent.example.org", "/"));
    enqueue_apart(&tickets[0], 20, false);
    int in_doubt = 0;
    for (int i = 0; i < 10; i++) {
        struct ticket *ticket = start();
        cr_assert_not_null(ticket);
        in_doubt += ticket >= &tickets[100];
    }
    cr_assert_null(start());
    cr_assert_eq(in_doubt, 5, "both want more than there are: each gets half");
}

Test(scheduler, an_endpoint_is_in_doubt_while_its_latest_attempt_got_no_answer)
{
    static const struct {
        const struct attempt_end *end;
        bool in_doubt;
    } cases[] = { { &delivered, false }, { &broken, false }, { &silent, true }, { &refused, true }, { &delivered, false } };
    options.max_in_flight = 2;
    open_scheduler();
    hear_from(1, false);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        now_ms += 10;
        cr_assert(enqueue_at(&tickets[0], "f0.example", "/"));
        cr_assert_eq(start(), &tickets[0]);
        (void)finish(&tickets[0], cases[i].end);
        now_ms += 10;
        cr_assert(enqueue_at(&tickets[0], "f0.example", "/"));
        cr_assert(enqueue_at(&tickets[1], "f0.example", "/"));
        cr_assert_not_null(start());
        cr_assert_eq(start() == NULL, cases[i].in_doubt, "case %zu", i);
        if (tickets[1].in_flight)
            scheduler_unstart(scheduler, &tickets[1]);
        else
            scheduler_remove(scheduler, &tickets[1]);
        scheduler_unstart(scheduler, &tickets[0]);
    }
}

/* Holds a slot nearly as long as one that is silent. */
static void have_answered_after(uint64_t ms)
{
    cr_assert(enqueue_at(&tickets[0], "f0.example", "/"));
    cr_assert_eq(start(), &tickets[0]);
    now_ms += ms;
    (void)finish(&tickets[0], &delivered);
}

static bool is_in_doubt(void)
{
    cr_assert(enqueue_at(&tickets[0], "f0.example", "/"));
    cr_assert_eq(start(), &tickets[0]);
    scheduler_unstart(scheduler, &tickets[0]);
    return tickets[0].in_doubt;
}

Test(scheduler, an_endpoint_is_in_doubt_while_it_answers_slowly)
{
    open_scheduler();
    have_answered_after(9000);
    cr_expect(is_in_doubt());
    for (int i = 0; i < 15; i++)
        have_answered_after(10);
    cr_expect_not(is_in_doubt());
    have_answered_after(9000);
    cr_expect_not(is_in_doubt(), "one slow answer is none too many");
    have_answered_after(9000);
    have_answered_after(9000);
    cr_expect(is_in_doubt());
}

static bool enqueue_bytes(struct ticket *ticket, const char *host, uint32_t bytes)
{
    ticket->bytes = bytes;
    return enqueue_at(ticket, host, "/");
}

/* The intake would stand still with the bytes of those that hang. */
Test(scheduler, endpoints_in_doubt_have_half_of_the_bytes_while_others_answer)
{
    options.held_bytes_max = 8000;
    open_scheduler();
    cr_expect(enqueue_bytes(&tickets[0], "silent.example", 4000), "nobody answers yet");
    cr_assert_eq(start(), &tickets[0]);
    hear_from(1, false);
    cr_expect_not(enqueue_bytes(&tickets[1], "silent.example.org", 100));
    cr_expect_eq(expected_wait_ms("silent.example.org"), 10000);
    cr_expect(enqueue_bytes(&tickets[2], "f0.example", 1000));
    cr_expect_eq(expected_wait_ms("f0.example"), 0);
    tickets[3].retry = true;
    cr_expect(enqueue_bytes(&tickets[3], "silent.example.net", 1000), "retries have as many");
    (void)finish(&tickets[0], &silent);
    cr_expect(enqueue_bytes(&tickets[1], "silent.example.org", 1000));
    cr_expect(enqueue_bytes(&tickets[4], "silent.example.org", 1000));
    cr_expect_not(enqueue_bytes(&tickets[5], "silent.example.org", 10), "it has more than is free");
    cr_expect(enqueue_bytes(&tickets[5], "new.example", 900), "which is left for others");
    cr_expect_not(enqueue_bytes(&tickets[6], "new.example", 10));
    scheduler_remove(scheduler, &tickets[1]);
    cr_expect(enqueue_bytes(&tickets[6], "new.example", 10));
}

/* They would leave half of the slots to nobody. */
Test(scheduler, endpoints_that_answer_slowly_have_all_slots_when_nobody_else_answers)
{
    options.max_in_flight = 10;
    open_scheduler();
    have_answered_after(9000);
    for (size_t i = 0; i < 12; i++)
        cr_assert(enqueue_at(&tickets[i], (const char *const[]){ "a.example", "b.example", "c.example", "d.example" }[i % 4], "/"));
    for (int i = 0; i < 10; i++)
        cr_assert_not_null(start());
    cr_assert_null(start());
}

Test(scheduler, never_exceeds_the_window)
{
    open_scheduler();
    introduce("a.example", "/");
    for (int i = 0; i < 20; i++)
        cr_assert(enqueue(&tickets[i]));
    for (int i = 0; i < 4; i++)
        cr_assert_not_null(start());
    cr_assert_null(start());
    (void)finish(&tickets[0], &delivered);
    cr_assert_eq(start(), &tickets[4]);
    cr_assert_eq(start(), &tickets[5], "a good end opens it by one");
    cr_assert_null(start());
}

Test(scheduler, never_exceeds_the_origins_connections_and_lets_its_endpoints_take_turns)
{
    char path[40];
    options.origin_max_connections = 3;
    options.max_in_flight = 1000; /* and the queue's places */
    open_scheduler();
    for (int endpoint = 0; endpoint < 5; endpoint++) {
        snprintf(path, sizeof path, "/%d", endpoint);
        introduce("a.example", path);
        for (int i = 0; i < 4; i++)
            cr_assert(enqueue_at(&tickets[endpoint * 100 + i], "a.example", path));
    }
    cr_assert_eq(scheduler_counts(scheduler).endpoints, 5);
    int served[5] = { 0 };
    struct ticket *started[3];
    for (int i = 0; i < 3; i++)
        started[i] = start();
    for (int round = 0; round < 20; round++) {
        cr_assert_null(start());
        struct ticket *oldest = started[round % 3];
        served[(oldest - tickets) / 100]++;
        (void)finish(oldest, &delivered);
        started[round % 3] = start();
        if (round < 17)
            cr_assert_not_null(started[round % 3]);
        for (int i = 0; i < 5; i++)
            cr_assert_leq(served[i], round / 5 + 2, "endpoint %d in round %d", i, round);
    }
    for (int i = 0; i < 5; i++)
        cr_assert_eq(served[i], 4);
}

Test(scheduler, a_connection_that_nobody_takes_goes_to_the_next_in_line)
{
    options.origin_max_connections = 1;
    open_scheduler();
    for (int i = 0; i < 3; i++)
        introduce("a.example", (const char *const[]){ "/0", "/1", "/2" }[i]);
    for (int i = 0; i < 3; i++)
        cr_assert(enqueue_at(&tickets[i], "a.example", (const char *const[]){ "/0", "/1", "/2" }[i]));
    cr_assert_eq(start(), &tickets[0]);
    cr_assert_null(start());
    (void)finish(&tickets[0], &delivered);
    scheduler_remove(scheduler, &tickets[1]); /* it was this one's turn */
    cr_assert_eq(start(), &tickets[2]);
}

Test(scheduler, one_that_keeps_coming_back_does_not_keep_its_connection)
{
    options.origin_max_connections = 1;
    open_scheduler();
    introduce("a.example", "/0");
    introduce("a.example", "/1");
    for (int i = 0; i < 10; i++)
        cr_assert(enqueue_at(&tickets[i], "a.example", "/0"));
    cr_assert_eq(start(), &tickets[0]);
    cr_assert_null(start());
    cr_assert(enqueue_at(&tickets[10], "a.example", "/1"));
    (void)finish(&tickets[0], &delivered);
    cr_assert_eq(start(), &tickets[1], "it has waited longer");
    (void)finish(&tickets[1], &delivered);
    cr_assert_eq(start(), &tickets[10]);
}

Test(scheduler, lets_endpoints_take_turns)
{
    char host[40];
    open_scheduler();
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 10; i++) {
            snprintf(host, sizeof host, "h%d.example", i);
            cr_assert(enqueue_at(&tickets[i * 10 + round], host, "/"));
        }
    }
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 10; i++)
            cr_assert_eq(start(), &tickets[i * 10 + round]);
}

Test(scheduler, gives_the_next_slot_to_the_kind_that_holds_less_than_half)
{
    options.max_in_flight = 10;
    open_scheduler();
    hear_from(30, false);
    hear_from(30, true);
    enqueue_apart(&tickets[0], 30, false);
    for (int i = 0; i < 10; i++)
        cr_assert_not(start()->retry, "nothing else waits: it gets all");
    enqueue_apart(&tickets[100], 30, true);
    for (int i = 0; i < 5; i++) {
        (void)finish(&tickets[i], &delivered);
        cr_assert(start()->retry);
    }
    for (int i = 0; i < 20; i++) { /* from now on each gets what its own kind gave back */
        bool retry = i % 3 == 0;
        struct ticket *done = retry ? &tickets[100 + i / 3] : NULL;
        for (int k = 0; !retry && done == NULL; k++)
            if (tickets[k].in_flight)
                done = &tickets[k];
        (void)finish(done, &delivered);
        cr_assert_eq(start()->retry, retry, "round %d", i);
    }
    cr_assert_eq(scheduler_counts(scheduler).in_flight[0], 5);
    cr_assert_eq(scheduler_counts(scheduler).in_flight[1], 5);
}

Test(scheduler, a_single_slot_goes_to_both_kinds_in_turn)
{
    options.max_in_flight = 1;
    open_scheduler();
    enqueue_apart(&tickets[0], 10, false);
    enqueue_apart(&tickets[100], 10, true);
    bool retry = start()->retry;
    for (int i = 0; i < 10; i++) {
        for (size_t k = 0; k < 200; k++)
            if (tickets[k].in_flight)
                (void)finish(&tickets[k], &delivered);
        bool next = start()->retry;
        cr_assert_neq(next, retry);
        retry = next;
    }
}

Test(scheduler, both_kinds_share_one_endpoints_window)
{
    open_scheduler();
    introduce("a.example", "/");
    enqueue_apart(&tickets[500], 40, false); /* others' first attempts hold many slots */
    while (start() != NULL)
        continue;
    for (int i = 0; i < 10; i++) {
        tickets[i].retry = i % 2;
        cr_assert(enqueue(&tickets[i]));
    }
    int retries = 0;
    for (int i = 0; i < 4; i++)
        retries += start()->retry;
    cr_assert_eq(retries, 2);
}

Test(scheduler, a_silent_endpoint_rests_and_its_queue_is_put_off)
{
    open_scheduler();
    introduce("a.example", "/");
    for (int i = 0; i < 19; i++) {
        cr_assert(enqueue(&tickets[i]));
        cr_assert_not_null(start());
        now_ms += 10000;
        (void)finish(&tickets[i], &silent);
    }
    cr_assert(enqueue(&tickets[20]));
    cr_assert_not_null(start());
    now_ms += 9000;
    cr_assert(enqueue(&tickets[21]));
    cr_assert(enqueue(&tickets[22]));
    now_ms += 1000;
    cr_assert_null(scheduler_overdue(scheduler, now_ms));
    (void)finish(&tickets[20], &silent);
    cr_assert_null(start());
    cr_assert_eq(scheduler_next_ms(scheduler, now_ms), now_ms);
    cr_assert_eq(scheduler_overdue(scheduler, now_ms), &tickets[21]);
    cr_assert_eq(scheduler_overdue(scheduler, now_ms), &tickets[22]);
    cr_assert_null(scheduler_overdue(scheduler, now_ms));
    cr_assert_null(tickets[21].endpoint);
    cr_assert_not(enqueue(&tickets[21]));
    cr_assert_eq(expected_wait_ms("a.example"), 16000);
}

Test(scheduler, a_probe_ends_the_rest)
{
    open_scheduler();
    put_to_rest("a.example");
    now_ms += 16000;
    cr_assert_eq(rests_until_ms("a.example"), now_ms);
    cr_assert(enqueue(&tickets[0]));
    cr_assert(tickets[0].probe);
    cr_assert_not(enqueue(&tickets[1]));
    cr_assert_eq(start(), &tickets[0]);
    (void)finish(&tickets[0], &delivered);
    cr_assert(tickets[0].rested, "before");
    cr_assert_eq(rests_until_ms("a.example"), 0);
    cr_assert_eq(scheduler_counts(scheduler).resting, 0, "%zu", scheduler_counts(scheduler).resting);
    cr_assert(enqueue(&tickets[1]));
}

Test(scheduler, a_probe_that_is_taken_back_leaves_room_for_another)
{
    open_scheduler();
    put_to_rest("a.example");
    now_ms += 16000;
    cr_assert(enqueue(&tickets[0]));
    scheduler_remove(scheduler, &tickets[0]);
    cr_assert(enqueue(&tickets[1]));
    cr_assert_eq(start(), &tickets[1]);
    scheduler_unstart(scheduler, &tickets[1]);
    cr_assert(enqueue(&tickets[2]));
    cr_assert_eq(start(), &tickets[2]);
    cr_assert_eq(finish(&tickets[2], &ours), ATTEMPT_WAS_OURS);
    cr_assert(enqueue(&tickets[3]));
}

Test(scheduler, retry_after_puts_the_queue_off)
{
    open_scheduler();
    for (int i = 0; i < 6; i++)
        cr_assert(enqueue(&tickets[i]));
    struct ticket *first = start();
    cr_assert_eq(finish(first, &busy), ATTEMPT_COUNTS);
    cr_assert(first->rested, "from now on");
    cr_assert_eq(rests_until_ms("a.example"), now_ms + 30000);
    cr_assert_null(start());
    int put_off = 0;
    while (scheduler_overdue(scheduler, now_ms) != NULL)
        put_off++;
    cr_assert_eq(put_off, 5);
    cr_assert_eq(expected_wait_ms("a.example"), 30000);
}

Test(scheduler, who_waits_longer_than_the_timeout_is_put_off)
{
    open_scheduler();
    for (int i = 0; i < 6; i++)
        cr_assert(enqueue(&tickets[i]));
    for (int i = 0; i < 4; i++)
        cr_assert_not_null(start());
    cr_assert_eq(scheduler_next_ms(scheduler, now_ms), now_ms + 10001);
    now_ms += 10000;
    cr_assert_null(scheduler_overdue(scheduler, now_ms));
    now_ms += 1;
    cr_assert_eq(scheduler_overdue(scheduler, now_ms), &tickets[4]);
    cr_assert_eq(scheduler_overdue(scheduler, now_ms), &tickets[5]);
    cr_assert_null(scheduler_overdue(scheduler, now_ms));
    cr_assert_eq(scheduler_next_ms(scheduler, now_ms), UINT64_MAX);
}

Test(scheduler, who_waits_for_one_of_our_slots_is_not_put_off)
{
    options.max_in_flight = 2;
    open_scheduler();
    hear_from(4, false);
    enqueue_apart(&tickets[0], 4, false);
    cr_assert_not_null(start());
    cr_assert_not_null(start());
    now_ms += 60000;
    cr_assert_null(scheduler_overdue(scheduler, now_ms));
    cr_assert_gt(scheduler_next_ms(scheduler, now_ms), now_ms, "no busy waiting");
    (void)finish(&tickets[0], &delivered);
    cr_assert_eq(start(), &tickets[2]);
}

Test(scheduler, an_endpoint_holds_at_most_its_share_of_places_and_bytes)
{
    open_scheduler();
    introduce("a.example", "/");
    int queued = 0;
    while (enqueue(&tickets[queued]))
        queued++;
    cr_assert_eq(queued, 100);
    cr_assert(enqueue_at(&tickets[500], "b.example", "/"));
    for (int i = 0; i < 100; i++)
        scheduler_remove(scheduler, &tickets[i]);
    for (int i = 0; i < 10; i++)
        tickets[i].bytes = 100000;
    queued = 0;
    while (enqueue(&tickets[queued]))
        queued++;
    cr_assert_eq(queued, 2, "a quarter of a MiB");
}

Test(scheduler, a_crowd_at_an_endpoint_that_stopped_draining_is_put_off_after_a_second)
{
    open_scheduler();
    introduce("b.example", "/"); /* somebody else is in need */
    introduce("a.example", "/");
    cr_assert(enqueue(&tickets[0]));
    (void)start();
    now_ms += 10;
    (void)finish(&tickets[0], &delivered); /* 10 ms each: 1,000 take a sixth of a second */
    for (int i = 0; i < 1000; i++)
        cr_assert(enqueue(&tickets[i]));
    cr_assert_eq(scheduler_next_ms(scheduler, now_ms), now_ms, "some may start");
    uint32_t started = 0;
    while (start() != NULL)
        started++;
    cr_assert_eq(scheduler_next_ms(scheduler, now_ms), now_ms + 1000);
    now_ms += 1000;
    uint32_t put_off = 0;
    while (scheduler_overdue(scheduler, now_ms) != NULL)
        put_off++;
    cr_assert_eq(put_off, 900 - started, "%u", put_off);
}

Test(scheduler, a_crowd_that_harms_nobody_is_put_up_with_for_half_the_attempt_timeout)
{
    open_scheduler();
    introduce("a.example", "/");
    cr_assert(enqueue(&tickets[0]));
    (void)start();
    now_ms += 10;
    (void)finish(&tickets[0], &delivered);
    for (int i = 0; i < 1000; i++)
        cr_assert(enqueue(&tickets[i]));
    while (start() != NULL)
        continue;
    now_ms += 4999;
    cr_assert_null(scheduler_overdue(scheduler, now_ms));
    now_ms += 1;
    cr_assert_not_null(scheduler_overdue(scheduler, now_ms));
}

Test(scheduler, a_removed_ticket_is_gone)
{
    open_scheduler();
    for (int i = 0; i < 3; i++)
        cr_assert(enqueue(&tickets[i]));
    scheduler_remove(scheduler, &tickets[1]);
    cr_assert_eq(start(), &tickets[0]);
    cr_assert_eq(start(), &tickets[2]);
    cr_assert_null(start());
    cr_assert(enqueue(&tickets[1]), "and may be queued again");
}

Test(scheduler, an_unstarted_ticket_leaves_no_trace)
{
    open_scheduler();
    cr_assert(enqueue(&tickets[0]));
    cr_assert_eq(start(), &tickets[0]);
    scheduler_unstart(scheduler, &tickets[0]);
    cr_assert_not(tickets[0].in_flight);
    cr_assert_eq(scheduler_counts(scheduler).in_flight[0], 0);
    cr_assert_eq(scheduler_counts(scheduler).queued, 0);
    cr_assert(enqueue(&tickets[0]));
}

Test(scheduler, a_call_that_looked_at_the_clock_earlier_does_no_harm)
{
    open_scheduler();
    introduce("a.example", "/");
    for (int i = 0; i < 100; i++) {
        cr_assert(enqueue(&tickets[i]));
        now_ms -= 50;
        cr_assert_null(scheduler_overdue(scheduler, now_ms));
        cr_assert_eq(start(), &tickets[i]);
        now_ms += 100;
        (void)finish(&tickets[i], i % 2 ? &delivered : &refused);
        now_ms -= 49;
        cr_assert_eq(scheduler_counts(scheduler).endpoints, 1);
        cr_assert_leq(silent_ms("a.example"), 200);
        cr_assert_leq(expected_wait_ms("a.example"), 200);
    }
}

Test(scheduler, pauses_when_descriptors_ran_out)
{
    open_scheduler();
    enqueue_apart(&tickets[0], 5, false);
    (void)start();
    cr_assert_eq(finish(&tickets[0], &ours), ATTEMPT_WAS_OURS);
    cr_assert_null(start());
    cr_assert_eq(scheduler_next_ms(scheduler, now_ms), now_ms + 100);
    now_ms += 100;
    cr_assert_not_null(start());
}

Test(scheduler, knows_how_long_an_endpoint_gave_no_2xx)
{
    open_scheduler();
    cr_assert_eq(silent_ms("a.example"), 0);
    put_to_rest("a.example");
    cr_assert_eq(silent_ms("a.example"), 200000);
    char text[200];
    struct url url = make_url(text, "a.example", "/");
    scheduler_hold(scheduler, &url, now_ms);
    now_ms += 500000;
    cr_assert_eq(silent_ms("a.example"), 200000, "time held does not count");
    cr_assert(enqueue(&tickets[0]));
    (void)start();
    (void)finish(&tickets[0], &delivered);
    cr_assert_eq(silent_ms("a.example"), 0);
}

/* ---- when it is us ---- */

static void connect_hosts(int count)
{
    enqueue_apart(&tickets[0], count, false);
    for (int i = 0; i < count; i++)
        cr_assert_eq(start(), &tickets[i]);
    for (int i = 0; i < count; i++)
        cr_assert_eq(finish(&tickets[i], &delivered), ATTEMPT_COUNTS);
}

static void break_way_out(void)
{
    connect_hosts(12);
    now_ms += 60000;
    enqueue_apart(&tickets[0], 12, false);
    for (int i = 0; i < 12; i++)
        cr_assert_eq(start(), &tickets[i]);
    for (int i = 0; i < 12; i++)
        cr_assert_eq(finish(&tickets[i], &refused), i < 9 ? ATTEMPT_COUNTS : ATTEMPT_WAS_OURS, "the tenth trips it");
    cr_assert(scheduler_counts(scheduler).egress_down);
}

Test(scheduler, nothing_is_put_off_while_the_way_out_is_broken)
{
    open_scheduler();
    put_to_rest("resting.example");
    break_way_out();
    for (size_t i = 100; i < 600; i++)
        cr_assert(enqueue_at(&tickets[i], i % 2 ? "f1.example" : "resting.example", "/"));
    now_ms += 3600 * 1000;
    cr_assert_null(scheduler_overdue(scheduler, now_ms));
}

Test(scheduler, only_probes_go_out_while_it_is_broken_each_to_another_origin)
{
    open_scheduler();
    break_way_out();
    enqueue_apart(&tickets[0], 12, false);
    cr_assert_null(start());
    for (int i = 0; i < 12; i++) {
        cr_assert_eq(scheduler_next_ms(scheduler, now_ms), now_ms + EGRESS_PROBE_MS);
        now_ms += EGRESS_PROBE_MS;
        cr_assert_not_null(start());
        cr_assert_null(start());
    }
    for (int i = 0; i < 11; i++) {
        cr_assert_eq(finish(&tickets[i], i % 2 ? &silent : &refused), ATTEMPT_WAS_OURS);
        cr_assert_null(start());
    }
    cr_assert_eq(finish(&tickets[11], &delivered), ATTEMPT_COUNTS);
    cr_assert_not(scheduler_counts(scheduler).egress_down);
}

Test(scheduler, probes_prefer_origins_that_used_to_connect)
{
    char host[40];
    open_scheduler();
    break_way_out();
    for (int i = 0; i < 200; i++) {
        snprintf(host, sizeof host, "dead%d.example", i);
        cr_assert(enqueue_at(&tickets[100 + i], host, "/"));
    }
    cr_assert(enqueue_at(&tickets[0], "f3.example", "/"));
    now_ms += 1000;
    cr_assert_eq(start(), &tickets[0]);
}

Test(scheduler, a_stranger_with_many_origins_does_not_keep_others_from_being_probed)
{
    char host[40];
    open_scheduler();
    break_way_out();
    for (int i = 0; i < 1000; i++) {
        snprintf(host, sizeof host, "h%d.evil.example", i);
        tickets[100 + i].retry = i % 2;
        cr_assert(enqueue_at(&tickets[100 + i], host, "/"));
    }
    cr_assert(enqueue_at(&tickets[0], "never.seen", "/"));
    for (int i = 0; i < 6; i++) {
        now_ms += EGRESS_PROBE_MS;
        struct ticket *probe = start();
        if (probe == &tickets[0])
            return;
        cr_assert_eq(finish(probe, &refused), ATTEMPT_WAS_OURS);
    }
    cr_assert_fail("it has not been probed");
}

Test(scheduler, retries_that_hang_do_not_keep_first_attempts_from_being_probed)
{
    open_scheduler();
    break_way_out();
    enqueue_apart(&tickets[100], 100, true);
    enqueue_apart(&tickets[0], 12, false);
    int firsts = 0;
    for (int i = 0; i < 10; i++) {
        now_ms += EGRESS_PROBE_MS;
        struct ticket *probe = start();
        firsts += !probe->retry;
        if (!probe->retry)
            continue;
        cr_assert_eq(finish(probe, &refused), ATTEMPT_WAS_OURS);
    }
    cr_assert_eq(firsts, 5, "those in flight are of one kind, and still the kinds take turns");
}

Test(scheduler, a_resting_endpoint_may_be_the_probe_that_finds_the_way_out_again)
{
    open_scheduler();
    put_to_rest("a.example");
    break_way_out();
    cr_assert(enqueue(&tickets[100]));
    now_ms += 1000;
    cr_assert_eq(start(), &tickets[100]);
    cr_assert_eq(finish(&tickets[100], &silent), ATTEMPT_WAS_OURS);
    cr_assert(enqueue(&tickets[100]));
    now_ms += 1000;
    cr_assert_eq(start(), &tickets[100]);
    cr_assert_eq(finish(&tickets[100], &delivered), ATTEMPT_COUNTS);
    cr_assert_eq(scheduler_counts(scheduler).resting, 0);
}

Test(scheduler, after_it_works_again_waits_begin_anew_and_resting_endpoints_are_put_off)
{
    open_scheduler();
    put_to_rest("a.example");
    break_way_out();
    cr_assert(enqueue(&tickets[100]));
    cr_assert(enqueue_at(&tickets[101], "f1.example", "/"));
    cr_assert(enqueue_at(&tickets[102], "f1.example", "/"));
    now_ms += 8000;
    struct ticket *probe = start();
    if (probe == &tickets[100]) { /* the resting one had its turn first */
        cr_assert_eq(finish(probe, &silent), ATTEMPT_WAS_OURS);
        cr_assert(enqueue(&tickets[100]));
        now_ms += 1000;
        probe = start();
    }
    cr_assert_eq(probe, &tickets[101]);
    cr_assert_eq(finish(probe, &delivered), ATTEMPT_COUNTS);
    cr_assert_eq(scheduler_overdue(scheduler, now_ms), &tickets[100], "its endpoint rests");
    cr_assert_null(scheduler_overdue(scheduler, now_ms), "but the others have not waited for theirs");
    cr_assert_eq(start(), &tickets[102]);
    cr_assert_null(start());
}

Test(scheduler, a_broken_way_out_blames_nobody_and_stops_their_clocks)
{
    open_scheduler();
    break_way_out();
    uint64_t before_ms = silent_ms("f0.example");
    for (int i = 0; i < 100; i++) {
        cr_assert(enqueue_at(&tickets[i], "f0.example", "/"));
        now_ms += 10000;
        cr_assert_eq(start(), &tickets[i]);
        cr_assert_eq(finish(&tickets[i], &silent), ATTEMPT_WAS_OURS);
    }
    cr_assert_eq(scheduler_counts(scheduler).resting, 0);
    cr_assert_eq(silent_ms("f0.example"), before_ms);
}

Test(scheduler, what_has_nothing_to_do_with_the_way_out_counts_even_while_it_is_broken)
{
    open_scheduler();
    break_way_out();
    cr_assert(enqueue_at(&tickets[0], "f0.example", "/"));
    now_ms += 1000;
    cr_assert_eq(start(), &tickets[0]);
    cr_assert_eq(finish(&tickets[0], &blocked), ATTEMPT_COUNTS);
    cr_assert(scheduler_counts(scheduler).egress_down);
}

/* ---- everything at once ---- */

static void connect_witness(const char *host)
{
    char text[200];
    struct url url = make_url(text, host, "/");
    struct attempt_end end = delivered;
    end.url = &url;
    cr_assert(enqueue_at(&tickets[0], host, "/"));
    cr_assert_eq(start(), &tickets[0]);
    cr_assert_eq(finish(&tickets[0], &end), ATTEMPT_COUNTS);
    now_ms++;
}

/* Nine of whom were heard; the others, who came later, are the stranger's whose events wait. */
Test(scheduler, of_those_who_were_asked_the_last_ones_do_not_have_to_answer)
{
    open_scheduler();
    for (int i = 0; i < 12; i++) {
        char host[32];
        snprintf(host, sizeof(host), i < 9 ? "good%d.example" : "bad%d.example", i);
        connect_witness(host);
    }
    break_way_out();
    cr_assert(enqueue_at(&tickets[0], "f0.example", "/"));
    for (int i = 0; i < 10; i++) {
        struct witness *witness = scheduler_ask(scheduler, now_ms);
        cr_assert_not_null(witness, "%d", i);
        if (i < 9)
            witness_hear(witness);
        cr_assert_null(scheduler_ask(scheduler, now_ms));
        cr_assert(scheduler_counts(scheduler).egress_down, "%d", i);
        now_ms += EGRESS_PROBE_MS;
        cr_assert_leq(scheduler_next_ms(scheduler, now_ms), now_ms);
    }
    cr_assert_null(scheduler_ask(scheduler, now_ms));
    cr_assert_not(scheduler_counts(scheduler).egress_down);
}

static struct ticket *queued[2000], *flying[2000];
static size_t queued_count, flying_count;

static size_t flying_in_doubt(void)
{
    size_t in_doubt = 0;
    for (size_t i = 0; i < flying_count; i++)
        in_doubt += flying[i]->in_doubt;
    return in_doubt;
}

static void take(struct ticket **from, size_t *count, const struct ticket *ticket)
{
    for (size_t i = 0; i < *count; i++) {
        if (from[i] == ticket) {
            from[i] = from[--*count];
            return;
        }
    }
    cr_assert_fail("the scheduler handed out a ticket that it did not have");
}

Test(scheduler, keeps_its_promises_whatever_comes)
{
    static const struct attempt_end *const ends[] = { &delivered, &silent, &refused, &busy, &ours, &blocked, &delivered, &delivered };
    uint64_t random = 42, divided_until_ms = 0;
    char host[40], path[40];
    options.max_in_flight = 50;
    options.origin_max_connections = 7;
    open_scheduler();
    for (int step = 0; step < 300000; step++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint32_t dice = (uint32_t)(random >> 33);
        now_ms += dice % 97 == 0 ? dice % 5000 : dice % 20;
        struct ticket *ticket = &tickets[dice % COUNT_OF(tickets)];
        if (ticket->endpoint == NULL) {
            snprintf(host, sizeof host, "h%u.example", dice / 7 % 25);
            snprintf(path, sizeof path, "/%u", dice / 11 % 5);
            ticket->retry = dice / 13 % 2;
            if (enqueue_at(ticket, host, path))
                queued[queued_count++] = ticket;
        } else if (ticket->in_flight) {
            uint32_t how = dice / 17 % 9;
            const struct endpoint *endpoint = ticket->endpoint;
            take(flying, &flying_count, ticket);
            const struct attempt_end *end = how == 8 || (step / 30000) % 3 == 2 ? &refused : ends[how];
            if (how == 8)
                scheduler_unstart(scheduler, ticket);
            else
                (void)finish(ticket, end);
            if (end->answered && endpoint->record.answers)
                divided_until_ms = now_ms + 60 * 1000;
            cr_assert_null(ticket->endpoint);
        } else if (dice / 19 % 10 == 0) {
            take(queued, &queued_count, ticket);
            scheduler_remove(scheduler, ticket);
        }
        while ((ticket = scheduler_overdue(scheduler, now_ms)) != NULL)
            take(queued, &queued_count, ticket);
        while ((ticket = start()) != NULL) {
            take(queued, &queued_count, ticket);
            flying[flying_count++] = ticket;
            cr_assert(!ticket->in_doubt || now_ms >= divided_until_ms || flying_in_doubt() <= 25);
        }
        struct scheduler_counts counts = scheduler_counts(scheduler);
        cr_assert_eq(counts.queued, queued_count);
        cr_assert_eq(counts.in_flight[0] + counts.in_flight[1], flying_count);
        cr_assert_leq(flying_count, 50);
        cr_assert_leq(counts.resting, counts.endpoints + counts.origins);
        cr_assert_gt(scheduler_next_ms(scheduler, now_ms), now_ms, "no busy waiting");
    }
}

Test(scheduler, a_ticket_stays_small)
{
    open_scheduler();
    cr_assert_leq(sizeof(struct ticket), 80);
}
