#include "delivery/retry_after.h"

#include <criterion/criterion.h>

static const int64_t NOW_S = 784111777; /* Sun, 06 Nov 1994 08:49:37 GMT */

struct example {
    const char *value;
    int32_t seconds;
};

static void hold(const struct example *examples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int32_t seconds = retry_after_parse(slice_of(examples[i].value), NOW_S);
        cr_expect(seconds == examples[i].seconds, "%s: %d, not %d", examples[i].value, seconds, examples[i].seconds);
    }
}

Test(retry_after, reads_seconds)
{
    static const struct example examples[] = {
        { "0", 0 }, { "1", 1 }, { "120", 120 }, { "0120", 120 }, { "  7 ", 7 }, { "\t7\r\n", 7 },
    };
    hold(examples, COUNT_OF(examples));
}

Test(retry_after, believes_no_wait_beyond_its_limit)
{
    static const struct example examples[] = {
        { "604800", RETRY_AFTER_MAX_S },
        { "604801", RETRY_AFTER_MAX_S },
        { "4294967297", RETRY_AFTER_MAX_S },
        { "18446744073709551617", RETRY_AFTER_MAX_S },
        { "99999999999999999999999999999999999999999999", RETRY_AFTER_MAX_S },
        { "Fri, 31 Dec 9999 23:59:59 GMT", RETRY_AFTER_MAX_S },
    };
    hold(examples, COUNT_OF(examples));
}

Test(retry_after, reads_the_three_forms_of_a_date)
{
    static const struct example examples[] = {
        { "Sun, 06 Nov 1994 08:49:37 GMT", 0 },   { "Sun, 06 Nov 1994 08:50:37 GMT", 60 }, { "Mon, 07 Nov 1994 08:49:37 GMT", 86400 },
        { "Sunday, 06-Nov-94 08:49:47 GMT", 10 }, { "Sun Nov  6 08:49:40 1994", 3 },       { "Thu Nov 10 08:49:37 1994", 4 * 86400 },
        { "Sun, 06 Nov 1994 08:49:60 GMT", 23 },
    };
    hold(examples, COUNT_OF(examples));
}

Test(retry_after, takes_a_date_that_is_past_as_now)
{
    static const struct example examples[] = {
        { "Sun, 06 Nov 1994 08:49:36 GMT", 0 },
        { "Thu, 01 Jan 1970 00:00:00 GMT", 0 },
        { "Sat, 01 Jan 0000 00:00:00 GMT", 0 },
        { "Sunday, 06-Nov-50 08:49:37 GMT", 0 },
    };
    hold(examples, COUNT_OF(examples));
}

Test(retry_after, knows_leap_years)
{
    cr_expect_eq(retry_after_parse(SLICE("Tue, 29 Feb 2000 00:00:10 GMT"), 951782400), 10);
    cr_expect_eq(retry_after_parse(SLICE("Wed, 01 Mar 2000 00:00:00 GMT"), 951782400), 86400);
    cr_expect_eq(retry_after_parse(SLICE("Thu, 29 Feb 1900 00:00:00 GMT"), 0), -1);
    cr_expect_eq(retry_after_parse(SLICE("Wed, 29 Feb 2023 00:00:00 GMT"), 0), -1);
    cr_expect_eq(retry_after_parse(SLICE("Thu, 29 Feb 2024 00:00:00 GMT"), 1709164799), 1);
}

Test(retry_after, refuses_what_is_malformed)
{
    static const struct example examples[] = {
        { "", -1 },
        { "   ", -1 },
        { "-1", -1 },
        { "+1", -1 },
        { "1.5", -1 },
        { "1 2", -1 },
        { "0x10", -1 },
        { "soon", -1 },
        { "1s", -1 },
        { "Sun, 06 Nov 1994 08:49:37", -1 },
        { "Sun, 06 Nov 1994 08:49:37 CET", -1 },
        { "Sun, 06 Nov 1994 08:49:37 GMT+1", -1 },
        { "Sun, 6 Nov 1994 08:49:37 GMT", -1 },
        { "Sun, 32 Nov 1994 08:49:37 GMT", -1 },
        { "Sun, 00 Nov 1994 08:49:37 GMT", -1 },
        { "Sun, 06 Nox 1994 08:49:37 GMT", -1 },
        { "Sun, 06 Nov 1994 24:49:37 GMT", -1 },
        { "Sun, 06 Nov 1994 08:60:37 GMT", -1 },
        { "Sun, 06 Nov 1994 08:49:61 GMT", -1 },
        { "Sun, 06 Nov 1994", -1 },
        { "Sunday, 06-Nov-1994 08:49:37 GMT", -1 },
        { "Sun Nov 6 08:49:37 1994", -1 },
        { "Sunday", -1 },
        { "Sun", -1 },
    };
    hold(examples, COUNT_OF(examples));
}

Test(retry_after, looks_no_further_than_the_value)
{
    cr_expect_eq(retry_after_parse((struct slice){ "12345", 2 }, NOW_S), 12);
    cr_expect_eq(retry_after_parse((struct slice){ "Sun, 06 Nov 1994 08:49:37 GMT", 28 }, NOW_S), -1);
    cr_expect_eq(retry_after_parse((struct slice){ "x\0y", 3 }, NOW_S), -1);
}
