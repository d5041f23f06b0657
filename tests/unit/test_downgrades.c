/* Who gets HTTP/1.1, and for how long. */
#include "delivery/downgrades.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct downgrades *downgrades;

static void begin(void)
{
    downgrades = downgrades_create();
}

static void end(void)
{
    downgrades_destroy(downgrades);
}

TestSuite(downgrades, .init = begin, .fini = end);

Test(downgrades, last_for_an_hour_and_for_one_origin)
{
    const uint64_t one = 1, other = 2;
    cr_expect_not(downgrades_hold(downgrades, one, 1000));
    downgrades_add(downgrades, one, 1000);
    downgrades_prove(downgrades, one, 1000);
    cr_expect(downgrades_hold(downgrades, one, 1000) && downgrades_hold(downgrades, one, 999 + DOWNGRADES_MS));
    cr_expect_not(downgrades_hold(downgrades, one, 1000 + DOWNGRADES_MS));
    cr_expect_not(downgrades_hold(downgrades, other, 1000));
}

Test(downgrades, are_not_for_whoever_does_not_speak_http1)
{
    downgrades_add(downgrades, 1, 1000);
    downgrades_bar(downgrades, 2, 1000);
    downgrades_doubt(downgrades, 2, 1000);
    cr_expect(downgrades_hold(downgrades, 1, 1000));
    downgrades_bar(downgrades, 1, 1000);
    downgrades_add(downgrades, 1, 999 + DOWNGRADES_BAR_MS);
    cr_expect_not(downgrades_hold(downgrades, 1, 999 + DOWNGRADES_BAR_MS));
    downgrades_add(downgrades, 1, 1000 + DOWNGRADES_BAR_MS);
    cr_expect(downgrades_hold(downgrades, 1, 1000 + DOWNGRADES_BAR_MS));
}

Test(downgrades, are_soon_tried_again_with_whoever_did_not_seem_to_speak_http1)
{
    uint64_t now_ms = 1000;
    for (uint64_t doubt_ms = DOWNGRADES_ASK_MS; doubt_ms < DOWNGRADES_BAR_MS; doubt_ms *= 2, now_ms += DOWNGRADES_BAR_MS) {
        downgrades_add(downgrades, 1, now_ms);
        cr_expect_eq(downgrades_hold(downgrades, 1, now_ms), DOWNGRADE_ASKS);
        downgrades_doubt(downgrades, 1, now_ms);
        downgrades_add(downgrades, 1, now_ms + doubt_ms - 1);
        cr_expect_not(downgrades_hold(downgrades, 1, now_ms + doubt_ms - 1));
        downgrades_add(downgrades, 1, now_ms + doubt_ms);
        cr_expect(downgrades_hold(downgrades, 1, now_ms + doubt_ms));
    }
    for (int i = 0; i < 2; i++)
        downgrades_doubt(downgrades, 1, now_ms);
    downgrades_add(downgrades, 1, now_ms + DOWNGRADES_BAR_MS);
    cr_expect(downgrades_hold(downgrades, 1, now_ms + DOWNGRADES_BAR_MS));
}

Test(downgrades, are_for_all_where_tls_agrees_until_three_in_a_row_were_lost)
{
    downgrades_add(downgrades, 1, 1000);
    downgrades_agree(downgrades, 1);
    for (int losses = 0; losses < 2; losses++) {
        downgrades_doubt(downgrades, 1, 1000);
        cr_expect_eq(downgrades_hold(downgrades, 1, 1000), DOWNGRADE_AGREED);
    }
    downgrades_doubt(downgrades, 1, 1000);
    downgrades_agree(downgrades, 1); /* one that was under way */
    cr_expect_not(downgrades_hold(downgrades, 1, 1000));
    downgrades_add(downgrades, 1, 1000 + DOWNGRADES_ASK_MS);
    cr_expect_eq(downgrades_hold(downgrades, 1, 1000 + DOWNGRADES_ASK_MS), DOWNGRADE_ASKS);
}

Test(downgrades, are_for_whoever_answered_though_another_was_lost)
{
    downgrades_add(downgrades, 1, 1000);
    downgrades_bar(downgrades, 1, 1000);
    downgrades_prove(downgrades, 1, 2000);
    cr_expect_eq(downgrades_hold(downgrades, 1, 1999 + DOWNGRADES_MS), DOWNGRADE_PROVEN);
    cr_expect_not(downgrades_hold(downgrades, 1, 2000 + DOWNGRADES_MS));
}

Test(downgrades, are_as_many_as_there_are_places)
{
    size_t held = 0;
    for (uint64_t key = 0; key < 2 * DOWNGRADES_PLACES; key++)
        downgrades_add(downgrades, key, 1);
    for (uint64_t key = 0; key < 2 * DOWNGRADES_PLACES; key++)
        held += downgrades_hold(downgrades, key, 1);
    cr_expect_eq(held, DOWNGRADES_PLACES);
}

Test(downgrades, are_not_ended_by_a_failure_of_whoever_has_spoken_http1)
{
    downgrades_add(downgrades, 1, 1000);
    downgrades_prove(downgrades, 1, 1000);
    downgrades_bar(downgrades, 1, 2000);
    cr_expect(downgrades_hold(downgrades, 1, 2000));
    downgrades_add(downgrades, 1, 3000);
    downgrades_bar(downgrades, 1, 4000);
    cr_expect(downgrades_hold(downgrades, 1, 4000));
}

Test(downgrades, are_tried_by_one_until_it_has_answered)
{
    downgrades_add(downgrades, 1, 1000);
    cr_expect(downgrades_hold(downgrades, 1, 1000));
    downgrades_add(downgrades, 1, 1001); /* another one that was under way */
    cr_expect_not(downgrades_hold(downgrades, 1, 1002));
    cr_expect(downgrades_hold(downgrades, 1, 1000 + DOWNGRADES_ASK_MS), "nothing was heard of that one");
    cr_expect_not(downgrades_hold(downgrades, 1, 1001 + DOWNGRADES_ASK_MS));
    downgrades_ask_again(downgrades, 1);
    downgrades_ask_again(downgrades, 2);
    cr_expect_eq(downgrades_hold(downgrades, 1, 1001 + DOWNGRADES_ASK_MS), DOWNGRADE_ASKS, "that one did not get there");
    cr_expect_not(downgrades_hold(downgrades, 1, 1001 + DOWNGRADES_ASK_MS));
    downgrades_prove(downgrades, 1, 1000);
    cr_expect_eq(downgrades_hold(downgrades, 1, 1002 + DOWNGRADES_ASK_MS), DOWNGRADE_PROVEN);
    cr_expect_eq(downgrades_hold(downgrades, 1, 1002 + DOWNGRADES_ASK_MS), DOWNGRADE_PROVEN);
}
