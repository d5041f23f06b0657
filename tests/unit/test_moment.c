/* Moments and durations as people write them. */
#include "consumer/base/moment.h"

#include <criterion/criterion.h>
#include <time.h>

enum { NOW = 1000000000 };

static const struct {
    const char *written;
    int64_t ms; /* -1: refused */
} moments[] = {
    { "2026-03-01T12:00:00Z", INT64_C(1772366400000) },
    { "2026-03-01t12:00:00z", INT64_C(1772366400000) },
    { "2026-03-01 12:00:00Z", INT64_C(1772366400000) },
    { "2026-03-01T13:00:00.250+01:00", INT64_C(1772366400250) },
    { "2026-03-01T06:30:00.2509999-05:30", INT64_C(1772366400250) },
    { "2026-03-01", INT64_C(1772323200000) },
    { "2024-02-29", INT64_C(1709164800000) },
    { "1970-01-01T00:00:00Z", 0 },
    { "9999-12-31T23:59:59.999Z", INT64_C(253402300799999) },
    { "500ms", NOW - 500 },
    { "90s", NOW - 90000 },
    { "15m", NOW - 900000 },
    { "2h", NOW - 7200000 },
    { "7d", NOW - 604800000 },
    { "0s", NOW },
    { "", -1 },
    { "2", -1 },
    { "h", -1 },
    { "2 h", -1 },
    { "-2h", -1 },
    { "2w", -1 },
    { "12d", -1 }, /* before 1970 by NOW */
    { "2025-02-29", -1 },
    { "2026-13-01", -1 },
    { "2026-00-01", -1 },
    { "2026-04-31", -1 },
    { "2026-3-1", -1 },
    { "1969-12-31", -1 },
    { "1970-01-01T00:00:00+01:00", -1 },
    { "2026-03-01T24:00:00Z", -1 },
    { "2026-03-01T12:60:00Z", -1 },
    { "2026-03-01T12:00Z", -1 },
    { "2026-03-01T12:00:00", -1 },
    { "2026-03-01T12:00:00.Z", -1 },
    { "2026-03-01T12:00:00+1:00", -1 },
    { "2026-03-01T12:00:00Zx", -1 },
    { "99999999999999999999d", -1 },
};

Test(moment, reads_what_it_says_and_nothing_else)
{
    for (size_t i = 0; i < COUNT_OF(moments); i++) {
        int64_t ms = -1;
        bool fine = moment_parse(slice_of(moments[i].written), NOW, &ms);
        cr_expect_eq(fine, moments[i].ms >= 0, "%s", moments[i].written);
        if (fine)
            cr_expect_eq(ms, moments[i].ms, "%s", moments[i].written);
    }
}

Test(moment, ends_where_the_bytes_end)
{
    int64_t ms;
    cr_expect(moment_parse((struct slice){ "2026-03-01T12:00:00Zjunk", 20 }, NOW, &ms));
    cr_expect(!moment_parse((struct slice){ "2026-03-01", 9 }, NOW, &ms));
    cr_expect(!moment_parse((struct slice){ "2h\0", 3 }, NOW, &ms));
}

Test(moment, writes_and_reads_back_every_day)
{
    struct text text;
    text_init(&text, 64);
    for (int64_t ms = 0; ms <= INT64_C(253402300799999); ms += INT64_C(86400000) * 17 + 3723456) {
        int64_t back = -1;
        time_t seconds = (time_t)(ms / 1000);
        struct tm utc;
        char wanted[32];
        text_clear(&text);
        moment_append(&text, ms);
        gmtime_r(&seconds, &utc);
        strftime(wanted, sizeof wanted, "%Y-%m-%dT%H:%M:%S", &utc);
        cr_assert(slice_starts_with(text_slice(&text), wanted), "%s is not %s", text.start, wanted);
        cr_assert(moment_parse(text_slice(&text), 0, &back));
        cr_assert_eq(back, ms);
    }
    text_finish(&text);
}

Test(moment, writes_nothing_that_it_cannot_say)
{
    struct text text;
    text_init(&text, 64);
    moment_append(&text, -1);
    moment_append(&text, INT64_MAX);
    cr_expect_eq(text.length, 0);
    text_finish(&text);
}

Test(moment, says_durations_in_the_two_largest_units)
{
    static const struct {
        uint64_t ms;
        const char *written;
    } cases[] = { { 0, "0 ms" },           { 999, "999 ms" },          { 1500, "1.5 s" },       { 59999, "59.9 s" },
                  { 125000, "2 min 5 s" }, { 12000000, "3 h 20 min" }, { 352800000, "4 d 2 h" } };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct text text;
        text_init(&text, 64);
        moment_append_duration(&text, cases[i].ms);
        cr_expect(slice_is(text_slice(&text), cases[i].written), "%s, not %s", text.start, cases[i].written);
        text_finish(&text);
    }
}
