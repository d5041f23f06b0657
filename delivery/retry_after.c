#include "delivery/retry_after.h"

#include <string.h>

struct date {
    int64_t year;
    unsigned month, day, hour, minute, second; /* month 1 … 12 */
};

/* A reader moves over the value; once something does not match it stays failed. */
struct reader {
    struct slice left;
    bool failed;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void expect(struct reader *reader, const char *text)
{
    size_t length = strlen(text);
    if (!slice_starts_with(reader->left, text)) {
        reader->failed = true;
        return;
    }
    reader->left.start += length;
    reader->left.length -= length;
}

/* Exactly `digits` digits. */
static unsigned read_number(struct reader *reader, size_t digits)
{
    unsigned number = 0;
    for (size_t i = 0; i < digits; i++) {
        if (reader->left.length == 0 || !is_digit(*reader->left.start)) {
            reader->failed = true;
            return 0;
        }
        number = number * 10 + (unsigned)(*reader->left.start - '0');
        reader->left.start++;
        reader->left.length--;
    }
    return number;
}

/* The 1-based place of the name that comes next; the name's letters as written in the RFC. */
static unsigned read_name(struct reader *reader, const char *const *names, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (slice_starts_with(reader->left, names[i])) {
            expect(reader, names[i]);
            return i + 1;
        }
    }
    reader->failed = true;
    return 0;
}

static unsigned read_month(struct reader *reader)
{
    static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    return read_name(reader, months, COUNT_OF(months));
}

static void read_time(struct reader *reader, struct date *date)
{
    date->hour = read_number(reader, 2);
    expect(reader, ":");
    date->minute = read_number(reader, 2);
    expect(reader, ":");
    date->second = read_number(reader, 2);
}

/* "Sun, 06 Nov 1994 08:49:37 GMT": after the day's name. */
static void read_imf_date(struct reader *reader, struct date *date)
{
    expect(reader, ", ");
    date->day = read_number(reader, 2);
    expect(reader, " ");
    date->month = read_month(reader);
    expect(reader, " ");
    date->year = read_number(reader, 4);
    expect(reader, " ");
    read_time(reader, date);
    expect(reader, " GMT");
}

/* "Sunday, 06-Nov-94 08:49:37 GMT": after the day's name. A year of two digits is the one that is at most 50 years ahead. */
static void read_rfc850_date(struct reader *reader, struct date *date, int64_t year_now)
{
    expect(reader, ", ");
    date->day = read_number(reader, 2);
    expect(reader, "-");
    date->month = read_month(reader);
    expect(reader, "-");
    date->year = year_now - year_now % 100 + read_number(reader, 2);
    if (date->year > year_now + 50)
        date->year -= 100;
    expect(reader, " ");
    read_time(reader, date);
    expect(reader, " GMT");
}

/* "Sun Nov  6 08:49:37 1994": after the day's name. */
static void read_asctime_date(struct reader *reader, struct date *date)
{
    expect(reader, " ");
    date->month = read_month(reader);
    expect(reader, " ");
    bool one_digit = reader->left.length > 0 && *reader->left.start == ' ';
    if (one_digit)
        expect(reader, " ");
    date->day = read_number(reader, one_digit ? 1 : 2);
    expect(reader, " ");
    read_time(reader, date);
    expect(reader, " ");
    date->year = read_number(reader, 4);
}

static bool date_is_possible(const struct date *date)
{
    static const unsigned char days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (date->year % 4 == 0 && date->year % 100 != 0) || date->year % 400 == 0;
    unsigned month_days = days[date->month - 1] + (date->month == 2 && leap ? 1U : 0U);
    return date->day >= 1 && date->day <= month_days && date->hour <= 23 && date->minute <= 59 && date->second <= 60;
}

/* Days since 1970-01-01 in the Gregorian calendar; years are counted from March, so that the leap day comes last. */
static int64_t days_since_1970(const struct date *date)
{
    int64_t year = date->month <= 2 ? date->year - 1 : date->year;
    int64_t month = date->month <= 2 ? date->month + 9 : date->month - 3;
    int64_t days_before_month = (153 * month + 2) / 5;
    return year * 365 + year / 4 - year / 100 + year / 400 + days_before_month + date->day - 1 - 719468;
}

static int32_t bounded(int64_t seconds)
{
    if (seconds < 0)
        return 0;
    return seconds > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : (int32_t)seconds;
}

static int32_t parse_date(struct slice value, int64_t now_s)
{
    static const char *const long_days[] = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday" };
    static const char *const short_days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
    struct reader reader = { .left = value };
    struct date date = { .year = 0 };
    if (read_name(&reader, long_days, COUNT_OF(long_days)) != 0) {
        read_rfc850_date(&reader, &date, 1970 + now_s / 31556952);
    } else {
        reader.failed = false;
        read_name(&reader, short_days, COUNT_OF(short_days));
        if (slice_starts_with(reader.left, ","))
            read_imf_date(&reader, &date);
        else
            read_asctime_date(&reader, &date);
    }
    if (reader.failed || reader.left.length > 0 || !date_is_possible(&date))
        return -1;
    int64_t then_s = days_since_1970(&date) * 86400 + date.hour * 3600 + date.minute * 60 + date.second;
    return bounded(then_s - now_s);
}

static int32_t parse_seconds(struct slice value)
{
    int64_t seconds = 0;
    for (size_t i = 0; i < value.length; i++) {
        if (!is_digit(value.start[i]))
            return -1;
        if (seconds <= RETRY_AFTER_MAX_S)
            seconds = seconds * 10 + (value.start[i] - '0');
    }
    return bounded(seconds);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

int32_t retry_after_parse(struct slice value, int64_t now_s)
{
    while (value.length > 0 && is_space(value.start[0])) {
        value.start++;
        value.length--;
    }
    while (value.length > 0 && is_space(value.start[value.length - 1]))
        value.length--;
    if (value.length == 0)
        return -1;
    return is_digit(value.start[0]) ? parse_seconds(value) : parse_date(value, now_s);
}
