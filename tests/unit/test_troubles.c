#include "consumer/commands/top_endpoints.h"
#include "delivery/troubles.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct troubles *troubles;
static struct trouble found[TROUBLES_MAX];

static void start(void)
{
    troubles = troubles_create();
}

static void stop(void)
{
    troubles_destroy(troubles);
}

TestSuite(troubles, .init = start, .fini = stop);

static void note(const char *endpoint, const char *error, uint64_t now_ms)
{
    troubles_note(troubles, slice_of(endpoint), error, now_ms);
}

Test(troubles, counts_failures_and_deferrals_by_endpoint)
{
    note("https://a/x", "http_500", 1000);
    note("https://a/x", "timeout", 2000);
    note("https://a/x", NULL, 3000);
    note("", "timeout", 3000);
    cr_assert_eq(troubles_read(troubles, 3000, found), 1);
    cr_assert(found[0].failed == 2 && found[0].deferred == 1 && found[0].last_ms == 3000);
    cr_assert_str_eq(found[0].error, "timeout");
    cr_assert_str_eq(found[0].endpoint, "https://a/x");
}

Test(troubles, what_is_over_sinks_and_is_forgotten)
{
    for (int i = 0; i < 100; i++)
        note("https://a/x", "timeout", 1000);
    troubles_read(troubles, 1000 + 59999, found);
    cr_assert_eq(found[0].failed, 100);
    troubles_read(troubles, 1000 + 120000, found);
    cr_assert_eq(found[0].failed, 25);
    cr_assert_eq(troubles_read(troubles, 1000 + 600000, found), 0);
    note("https://a/x", "timeout", UINT64_C(1) << 50);
    cr_assert_eq(troubles_read(troubles, UINT64_C(1) << 50, found), 1);
}

Test(troubles, whoever_looked_at_the_clock_earlier_forgets_nothing)
{
    note("https://a/x", "timeout", 5000);
    cr_assert_eq(troubles_read(troubles, 4999, found), 1);
    note("https://a/x", "timeout", 4998);
    cr_assert_eq(troubles_read(troubles, 5000, found), 1);
    cr_assert_eq(found[0].failed, 2);
}

Test(troubles, the_worst_stay_when_there_are_too_many)
{
    char endpoint[400];
    for (int i = 0; i < 1000; i++) {
        snprintf(endpoint, sizeof(endpoint), "https://host%d/", i);
        note(endpoint, "timeout", 1000);
        for (int j = 0; j < 2; j++)
            note("https://worst/", "http_503", 1000);
    }
    memset(endpoint, 'x', sizeof(endpoint) - 1);
    endpoint[sizeof(endpoint) - 1] = '\0';
    note(endpoint, "timeout", 1000);
    size_t count = troubles_read(troubles, 1000, found);
    uint32_t worst = 0;
    cr_assert_eq(count, TROUBLES_MAX);
    for (size_t i = 0; i < count; i++) {
        cr_assert_leq(strlen(found[i].endpoint), TROUBLES_ENDPOINT_BYTES);
        if (strcmp(found[i].endpoint, "https://worst/") == 0)
            worst = found[i].failed;
    }
    cr_assert_eq(worst, 2000);
}

Test(troubles, a_rest_is_known_until_it_is_over_or_ended)
{
    troubles_note_rest(troubles, SLICE("https://a/x"), 9000);
    cr_assert_eq(troubles_read(troubles, 1000, found), 0, "it gave no trouble");
    note("https://a/x", "timeout", 1000);
    troubles_note_rest(troubles, SLICE("https://a/x"), 500000);
    cr_assert_eq(troubles_read(troubles, 499999, found), 1, "though its counts are nothing any more");
    cr_assert(found[0].failed == 0 && found[0].rest_until_ms == 500000);
    cr_assert_eq(troubles_read(troubles, 500000, found), 0);
    note("https://a/x", "timeout", 500000);
    troubles_note_rest(troubles, SLICE("https://a/x"), 0);
    cr_assert_eq(troubles_read(troubles, 500000, found), 1);
    cr_assert_eq(found[0].rest_until_ms, 0);
}

#define TITLES "failed\tdeferred\tlast_error\tseconds_ago\trests_seconds\tendpoint\n"

static const char pages[] = TITLES "3\t0\thttp_500\t9\t0\thttps://a/\n1\t1\ttimeout\t2\t12\thttps://b/\x1b[2J\n" TITLES
                                   "9\t0\ttimeout\t1\t0\thttps://a/\nnonsense\n\t\t\t\t\t\n1\t2\t3\n0\t7\t-\t5\t3\thttps://c/\n";

static void show(const char *of, enum top_endpoints_order order, size_t columns, struct text *text)
{
    text_clear(text);
    top_endpoints_append(&(struct top_endpoints){ slice_of(of), order, order == TOP_BY_TROUBLE ? NULL : "w f", columns }, text);
}

Test(top_endpoints, pages_of_several_copies_are_added_up)
{
    struct text text;
    text_init(&text, 65536);
    show(pages, TOP_BY_TROUBLE, 0, &text);
    cr_assert_str_eq(text.start, "  FAILED DEFERRED  LAST ERROR              AGO  RESTS  WORST ENDPOINTS LATELY\n"
                                 "      12        0  timeout                 1 s      -  https://a/\n"
                                 "       0        7  -                       5 s    3 s  https://c/\n"
                                 "       1        1  timeout                 2 s   12 s  https://b/\\x1b[2J\n");
    show("", TOP_BY_TROUBLE, 20, &text);
    cr_assert_eq(strchr(text.start, '\n')[1], '\0');
    text_finish(&text);
}

Test(top_endpoints, any_column_orders_them)
{
    static const struct {
        enum top_endpoints_order order;
        const char *names;
    } cases[] = { { TOP_BY_TROUBLE, "acb" }, { TOP_BY_FAILED, "abc" }, { TOP_BY_DEFERRED, "cba" }, { TOP_BY_LAST, "abc" }, { TOP_BY_REST, "bca" } };
    struct text text;
    text_init(&text, 65536);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        show(pages, cases[i].order, 0, &text);
        const char *at = text.start;
        for (const char *name = cases[i].names; *name != '\0'; name++) {
            at = strstr(at, "https://");
            cr_assert(at != NULL && at[8] == *name, "case %zu: %s", i, text.start);
            at++;
        }
    }
    text_finish(&text);
}

Test(top_endpoints, a_narrow_terminal_gets_two_lines_for_each)
{
    struct text text;
    text_init(&text, 65536);
    show(pages, TOP_BY_REST, 40, &text);
    cr_assert_str_eq(text.start, "ENDPOINTS, by rest (w f)\n"
                                 "https://b/\\x1b[2J\n 1 failed, 1 deferred, rests 12 s\n"
                                 "https://c/\n 0 failed, 7 deferred, rests 3 s\n"
                                 "https://a/\n 12 failed, 0 deferred, timeout\n");
    text_finish(&text);
}
