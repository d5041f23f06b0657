#include "consumer/base/moment.h"

#include <inttypes.h>
#include <string.h>

#define SECOND_MS INT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS   (60 * MINUTE_MS)
#define DAY_MS    (24 * HOUR_MS)
#define LAST_MS   INT64_C(253402300799999) /* the end of the year 9999 */

/* ---- days ---- */

/* Days since 1970-01-01 in the Gregorian calendar, counted in years that begin with March, so that the leap day comes last. */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t month_from_march = (month + 9) % 12, day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    return y * 365 + y / 4 - y / 100 + y / 400 + day_of_year - 719468;
}

struct date {
    int year, month, day;
};

static struct date date_of(int64_t days)
{
    int64_t from_march_0 = days + 719468, era = from_march_0 / 146097, in_era = from_march_0 % 146097;
    int64_t year_of_era = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int64_t day_of_year = in_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100), month = (5 * day_of_year + 2) / 153;
    struct date date = { .year = (int)(era * 400 + year_of_era), .month = (int)(month < 10 ? month + 3 : month - 9) };
    date.day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
    date.year += date.month <= 2;
    return date;
}

static int days_in_month(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

/* ---- reading ---- */

static bool take_char(struct slice *rest, const char *any_of)
{
    if (rest->length == 0 || rest->start[0] == '\0' || strchr(any_of, rest->start[0]) == NULL)
        return false;
    rest->start++;
    rest->length--;
    return true;
}

static bool take_digits(struct slice *rest, size_t count, int least, int most, int *number)
{
    *number = 0;
    for (size_t i = 0; i < count; i++) {
        if (rest->length <= i || rest->start[i] < '0' || rest->start[i] > '9')
            return false;
        *number = *number * 10 + (rest->start[i] - '0');
    }
    rest->start += count;
    rest->length -= count;
    return *number >= least && *number <= most;
}

/* The digits beyond milliseconds are read and dropped. */
static bool take_fraction(struct slice *rest, int *ms)
{
    int weight = 100, digit;
    *ms = 0;
    if (!take_char(rest, "."))
        return true;
    if (!take_digits(rest, 1, 0, 9, &digit))
        return false;
    do {
        *ms += digit * weight;
        weight /= 10;
    } while (take_digits(rest, 1, 0, 9, &digit));
    return true;
}

static bool take_zone(struct slice *rest, int64_t *ahead_ms)
{
    int hours, minutes;
    *ahead_ms = 0;
    if (take_char(rest, "Zz"))
        return true;
    bool behind = rest->length > 0 && rest->start[0] == '-';
    if (!take_char(rest, "+-") || !take_digits(rest, 2, 0, 23, &hours) || !take_char(rest, ":") || !take_digits(rest, 2, 0, 59, &minutes))
        return false;
    *ahead_ms = (behind ? -1 : 1) * (hours * HOUR_MS + minutes * MINUTE_MS);
    return true;
}

static bool take_time(struct slice *rest, int64_t *ms)
{
    int hour, minute, second, fraction_ms;
    int64_t ahead_ms;
    bool fine = take_digits(rest, 2, 0, 23, &hour) && take_char(rest, ":") && take_digits(rest, 2, 0, 59, &minute) && take_char(rest, ":") &&
                take_digits(rest, 2, 0, 60, &second) && take_fraction(rest, &fraction_ms) && take_zone(rest, &ahead_ms);
    if (fine)
        *ms = hour * HOUR_MS + minute * MINUTE_MS + second * SECOND_MS + fraction_ms - ahead_ms;
    return fine;
}

static bool read_moment(struct slice rest, int64_t *ms)
{
    struct date date;
    int64_t time_ms = 0;
    if (!take_digits(&rest, 4, 1970, 9999, &date.year) || !take_char(&rest, "-") || !take_digits(&rest, 2, 1, 12, &date.month) ||
        !take_char(&rest, "-") || !take_digits(&rest, 2, 1, days_in_month(date.year, date.month), &date.day))
        return false;
    if (rest.length > 0 && (!take_char(&rest, "Tt ") || !take_time(&rest, &time_ms)))
        return false;
    *ms = days_of(date.year, date.month, date.day) * DAY_MS + time_ms;
    return rest.length == 0 && *ms >= 0 && *ms <= LAST_MS;
}

bool moment_parse_duration(struct slice written, uint64_t *ms)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = { { "ms", 1 }, { "s", SECOND_MS }, { "m", MINUTE_MS }, { "h", HOUR_MS }, { "d", DAY_MS } };
    size_t digits = 0;
    uint64_t number;
    while (digits < written.length && written.start[digits] >= '0' && written.start[digits] <= '9')
        digits++;
    struct slice unit = { written.start + digits, written.length - digits };
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        if (!slice_is(unit, units[i].name) || !slice_to_u64((struct slice){ written.start, digits }, (uint64_t)(LAST_MS / units[i].ms), &number))
            continue;
        *ms = number * (uint64_t)units[i].ms;
        return true;
    }
    return false;
}

bool moment_parse(struct slice written, int64_t now_ms, int64_t *ms)
{
    uint64_t ago_ms;
    if (!moment_parse_duration(written, &ago_ms))
        return read_moment(written, ms);
    *ms = now_ms - (int64_t)ago_ms;
    return *ms >= 0;
}

/* ---- writing ---- */

void moment_append(struct text *text, int64_t ms)
{
    if (ms < 0 || ms > LAST_MS)
        return;
    struct date date = date_of(ms / DAY_MS);
    int in_day = (int)(ms % DAY_MS);
    text_printf(text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", date.year, date.month, date.day, in_day / (int)HOUR_MS, in_day / (int)MINUTE_MS % 60,
                in_day / (int)SECOND_MS % 60, in_day % (int)SECOND_MS);
}

void moment_append_duration(struct text *text, uint64_t ms)
{
    uint64_t seconds = ms / (uint64_t)SECOND_MS;
    if (ms < 1000)
        text_printf(text, "%" PRIu64 " ms", ms);
    else if (seconds < 60)
        text_printf(text, "%" PRIu64 ".%" PRIu64 " s", seconds, ms % 1000 / 100);
    else if (seconds < 3600)
        text_printf(text, "%" PRIu64 " min %" PRIu64 " s", seconds / 60, seconds % 60);
    else if (seconds < 86400)
        text_printf(text, "%" PRIu64 " h %" PRIu64 " min", seconds / 3600, seconds / 60 % 60);
    else
        text_printf(text, "%" PRIu64 " d %" PRIu64 " h", seconds / 86400, seconds / 3600 % 24);
}
