#include "delivery/names_turns.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { PLACES = 4, NOW_MS = 1000 };

static struct names_turns turns;
static struct names_table table;

static void drop(struct name *name)
{
    (void)name;
}

static void begin(void)
{
    names_table_init(&table, 64);
    names_turns_init(&turns, PLACES, (struct names_patience){ .slow_ms = 500, .all_ms = 5000 });
}

static void end(void)
{
    names_table_finish(&table, drop);
    names_turns_finish(&turns);
}

static struct name *wait_for_turn(const char *host, bool wanted)
{
    struct name *name = names_table_find(&table, slice_of(host));
    if (name == NULL)
        name = names_table_add(&table, slice_of(host));
    names_turns_wait(&turns, name, wanted);
    return name;
}

static void expect_next(const char *host)
{
    struct name *name = names_turns_take(&turns, NOW_MS);
    cr_assert_not_null(name, "nobody, for %s", host);
    cr_expect(slice_equal(name->host, slice_of(host)), "%s, not %.*s", host, (int)name->host.length, name->host.start);
}

static struct name *with_all_places(int domain)
{
    char host[48];
    struct name *first = NULL;
    for (int i = 0; i < 2 * PLACES; i++) {
        snprintf(host, sizeof(host), "n%d.stranger%d.com", i / PLACES, i % PLACES);
        struct name *name = wait_for_turn(host, true);
        first = i == domain ? name : first;
    }
    while (names_turns_take(&turns, NOW_MS) != NULL)
        ;
    cr_assert_eq(names_turns_under_way(&turns), PLACES);
    return first;
}

TestSuite(names_turns, .init = begin, .fini = end);

Test(names_turns, are_first_those_of_a_domain_that_holds_no_place)
{
    struct name *first = with_all_places(0);
    wait_for_turn("hooks.example.com", true);
    names_turns_end(&turns, first);
    expect_next("hooks.example.com");
}

Test(names_turns, are_likewise_those_that_nobody_waits_for)
{
    struct name *first = with_all_places(0);
    wait_for_turn("hooks.example.com", false);
    names_turns_end(&turns, first);
    expect_next("hooks.example.com");
}

Test(names_turns, come_every_second_time_to_those_that_nobody_waits_for)
{
    for (int i = 0; i < 2; i++) {
        wait_for_turn((const char *const[]){ "a.ahead1.com", "a.ahead2.com" }[i], false);
        wait_for_turn((const char *const[]){ "a.next1.com", "a.next2.com" }[i], true);
    }
    wait_for_turn("a.ahead2.com", true);
    expect_next("a.ahead1.com");
    expect_next("a.next1.com");
    expect_next("a.next2.com");
    expect_next("a.ahead2.com");
}

Test(names_turns, come_to_all_who_hold_places)
{
    struct name *first = with_all_places(1);
    names_turns_end(&turns, first);
    expect_next("n1.stranger1.com");
}

Test(names_turns, of_a_domain_are_first_those_that_somebody_waits_for)
{
    wait_for_turn("a.example.com", false);
    wait_for_turn("b.example.com", false);
    wait_for_turn("c.example.com", true);
    wait_for_turn("b.example.com", true);
    wait_for_turn("b.example.com", true);
    cr_expect_eq(turns.waiting, 3);
    expect_next("c.example.com");
    expect_next("b.example.com");
    cr_expect_eq(turns.waiting, 1);
}

/* As a customer's under a suffix where strangers have thousands that are silent. */
Test(names_turns, of_a_domain_are_first_those_that_had_an_answer)
{
    names_table_add(&table, SLICE("known.me.uk"))->answer.count = 1;
    wait_for_turn("a.stranger.me.uk", true);
    wait_for_turn("b.stranger.me.uk", true);
    wait_for_turn("known.me.uk", true);
    expect_next("known.me.uk");
    expect_next("a.stranger.me.uk");
}
