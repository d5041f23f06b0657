/* Any bytes as the value of Retry-After: within its limits, the same with white space around it, one less for a clock that is one second on; and
 * every time in the three forms of a date is read as that time. */
#include "delivery/retry_after.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW_S = 1800000000 };

static void expect_spaces_ignored(struct slice value, int32_t wanted)
{
    struct text padded;
    text_init(&padded, SIZE_MAX / 2);
    text_append_string(&padded, " \t");
    text_append(&padded, value);
    text_append_string(&padded, " \r\n");
    assert(retry_after_parse(text_slice(&padded), NOW_S) == wanted);
    text_finish(&padded);
}

static void expect_digits_read(struct slice value, int32_t seconds)
{
    uint64_t number;
    if (slice_to_u64(value, UINT64_MAX, &number))
        assert(seconds == (int32_t)(number < RETRY_AFTER_MAX_S ? number : RETRY_AFTER_MAX_S));
}

static void expect_dates_read(uint32_t ahead_s)
{
    static const char *const forms[] = { "%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y" };
    time_t then = NOW_S + (time_t)ahead_s;
    struct tm parts;
    char date[64];
    gmtime_r(&then, &parts);
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        size_t length = strftime(date, sizeof(date), forms[i], &parts);
        assert(retry_after_parse((struct slice){ date, length }, NOW_S) == (int32_t)ahead_s);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice value = { (const char *)data, size };
    uint32_t ahead_s = 0;
    int32_t seconds = retry_after_parse(value, NOW_S), later = retry_after_parse(value, NOW_S + 1);
    assert(seconds >= -1 && seconds <= RETRY_AFTER_MAX_S);
    assert((seconds == -1) == (later == -1));
    assert(later == seconds || later == seconds - 1);
    expect_spaces_ignored(value, seconds);
    expect_digits_read(value, seconds);
    memcpy(&ahead_s, data, size < sizeof(ahead_s) ? size : sizeof(ahead_s));
    expect_dates_read(ahead_s % (RETRY_AFTER_MAX_S + 1));
    return 0;
}
