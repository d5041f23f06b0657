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

Test(top_endpoints, pages_of_several_copies_are_added_up)
{
    static const char pages[] =
        "failed\tdeferred\tlast_error\tseconds_ago\tendpoint\n3\t0\thttp_500\t9\thttps://a/\n1\t1\ttimeout\t2\thttps://b/\x1b[2J\n"
        "failed\tdeferred\tlast_error\tseconds_ago\tendpoint\n9\t0\ttimeout\t1\thttps://a/\nnonsense\n\t\t\t\t\n1\t2\t3\n";
    struct text text;
    text_init(&text, 65536);
    top_endpoints_append(slice_of(pages), 0, &text);
    cr_assert_not_null(
        strstr(text.start,
               "      12        0  timeout                 1 s  https://a/\n       1        1  timeout                 2 s  https://b/\\x1b[2J\n"),
        "%s", text.start);
    cr_assert_eq(strncmp(text.start, "  FAILED", 8), 0);
    text_clear(&text);
    top_endpoints_append(slice_of(""), 20, &text);
    cr_assert_eq(strchr(text.start, '\n')[1], '\0');
    text_finish(&text);
}
