#include "delivery/retry.h"

#include <criterion/criterion.h>
#include <string.h>

static struct retry_delays parsed(const char *text)
{
    struct retry_delays delays;
    const char *problem;
    cr_assert(retry_delays_parse(slice_of(text), &delays, &problem), "%s: %s", text, problem);
    return delays;
}

static struct retry_schedule schedule_of(const char *retries, const char *defers)
{
    return (struct retry_schedule){ parsed(retries), parsed(defers) };
}

static void expect_delays(const struct retry_delays *delays, const uint64_t *wanted, size_t count)
{
    cr_assert_eq(delays->count, count);
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(delays->ms[i], wanted[i], "delay %zu is %lu", i, (unsigned long)delays->ms[i]);
}

Test(retry, reads_whole_numbers_with_their_units)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } cases[] = {
        { "1ms", 1 },     { "500ms", 500 },  { "1s", 1000 },        { "16s", 16000 },        { "60s", 60000 },         { "1m", 60000 },
        { "5m", 300000 }, { "1h", 3600000 }, { "168h", 604800000 }, { "10080m", 604800000 }, { "604800s", 604800000 }, { "604800000ms", 604800000 },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct retry_delays delays = parsed(cases[i].text);
        expect_delays(&delays, &cases[i].ms, 1);
    }
}

Test(retry, keeps_the_order_and_the_doubles_of_a_list)
{
    struct retry_delays delays = parsed("1s,2s,500ms,2s");
    expect_delays(&delays, (const uint64_t[]){ 1000, 2000, 500, 2000 }, 4);
}

Test(retry, takes_an_empty_text_for_no_delays)
{
    cr_assert_eq(parsed("").count, 0);
    struct retry_delays delays = { .count = 7 };
    const char *problem;
    cr_assert(retry_delays_parse((struct slice){ NULL, 0 }, &delays, &problem));
    cr_assert_eq(delays.count, 0);
}

Test(retry, refuses_what_is_not_a_delay_and_says_how_to_write_one)
{
    static const char *const cases[] = {
        "s",   "1",    "1 s", " 1s", "1s ",  "1s, 2s", "1s,,2s", ",",    ",1s",  "1s,",       "1S",   "1sec", "1d", "1.5s", "+1s",
        "-1s", "0x1s", "01s", "00s", "1s2s", "1s;2s",  "ms",     "1mss", "1m s", "\xc2\xb2s", "1e3s", "1sm",  "h1", "1,2s",
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct retry_delays delays;
        const char *problem = NULL;
        cr_assert_not(retry_delays_parse(slice_of(cases[i]), &delays, &problem), "%s", cases[i]);
        cr_assert(strstr(problem, "ms, s, m or h") != NULL, "%s: %s", cases[i], problem);
    }
}

Test(retry, refuses_a_nul_byte_behind_a_delay)
{
    struct retry_delays delays;
    const char *problem;
    cr_assert_not(retry_delays_parse(SLICE("1s\0"), &delays, &problem));
}

Test(retry, refuses_delays_below_a_millisecond_and_above_a_week)
{
    static const char *const cases[] = {
        "0s",    "0ms", "0h", "169h", "10081m", "604801s", "604800001ms", "18446744073709551616ms", "5124095576030431h", "99999999999999999999999s",
        "1s,0s",
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct retry_delays delays;
        const char *problem = NULL;
        cr_assert_not(retry_delays_parse(slice_of(cases[i]), &delays, &problem), "%s", cases[i]);
        cr_assert_str_eq(problem, "a delay must be at least 1ms and at most 168h (7 days)", "%s: %s", cases[i], problem);
    }
}

Test(retry, takes_300_delays_and_not_one_more)
{
    char text[3 * 301];
    for (size_t i = 0; i < 301; i++)
        memcpy(text + 3 * i, "1s,", 3);
    struct retry_delays delays;
    const char *problem = NULL;
    cr_assert(retry_delays_parse((struct slice){ text, 3 * 300 - 1 }, &delays, &problem));
    cr_assert_eq(delays.count, 300);
    cr_assert_not(retry_delays_parse((struct slice){ text, 3 * 301 - 1 }, &delays, &problem));
    cr_assert_str_eq(problem, "there are more than 300 delays");
}

Test(retry, waits_1_2_4_8_16_seconds_between_six_attempts)
{
    struct retry_schedule schedule = schedule_of("1s,2s,4s,8s,16s", "1m,5m");
    static const uint64_t wanted[] = { 1000, 2000, 4000, 8000, 16000 };
    uint64_t delay_ms;
    for (uint32_t number = 1; number <= 5; number++) {
        cr_assert(retry_delay_after(&schedule, number, &delay_ms));
        cr_assert_eq(delay_ms, wanted[number - 1]);
    }
    cr_assert_not(retry_delay_after(&schedule, 6, &delay_ms));
    cr_assert_not(retry_delay_after(&schedule, 7, &delay_ms));
    cr_assert_not(retry_delay_after(&schedule, UINT32_MAX, &delay_ms));
}

Test(retry, makes_one_attempt_when_the_schedule_is_empty)
{
    struct retry_schedule schedule = schedule_of("", "1m");
    uint64_t delay_ms;
    cr_assert_not(retry_delay_after(&schedule, 1, &delay_ms));
    cr_assert_eq(retry_total_ms(&schedule), 0);
}

Test(retry, defers_by_the_shortest_delay_that_covers_the_wait_else_by_the_longest)
{
    static const struct {
        const char *retries, *defers;
        uint64_t wait_ms, delay_ms;
    } cases[] = {
        { "1s,2s,4s,8s,16s", "1m,5m", 0, 1000 },
        { "1s,2s,4s,8s,16s", "1m,5m", 1000, 1000 },
        { "1s,2s,4s,8s,16s", "1m,5m", 1001, 2000 },
        { "1s,2s,4s,8s,16s", "1m,5m", 16000, 16000 },
        { "1s,2s,4s,8s,16s", "1m,5m", 16001, 60000 },
        { "1s,2s,4s,8s,16s", "1m,5m", 60001, 300000 },
        { "1s,2s,4s,8s,16s", "1m,5m", 300001, 300000 },
        { "1s,2s,4s,8s,16s", "1m,5m", UINT64_MAX, 300000 },
        { "5s,1s,3s", "", 2000, 3000 },
        { "5s,1s,3s", "", 9000, 5000 },
        { "", "5m,1m", 1, 60000 },
        { "", "5m,1m", 100000, 300000 },
        { "10m", "1m", 400000, 600000 },
        { "7s", "", 0, 7000 },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct retry_schedule schedule = schedule_of(cases[i].retries, cases[i].defers);
        uint64_t delay_ms = retry_defer_delay(&schedule, cases[i].wait_ms);
        cr_assert_eq(delay_ms, cases[i].delay_ms, "case %zu: %lu", i, (unsigned long)delay_ms);
    }
}

Test(retry, knows_the_longest_of_a_list)
{
    struct retry_schedule schedule = schedule_of("5s,1m,1s", "");
    cr_assert_eq(retry_longest_ms(&schedule.retries), 60000);
    cr_assert_eq(retry_longest_ms(&schedule.defers), 0);
}

Test(retry, lists_distinct_delays_of_both_lists_in_ascending_order)
{
    struct retry_schedule schedule = schedule_of("2s,1s,60s,1000ms,2s", "5m,1m,1m");
    struct retry_delays distinct;
    retry_distinct_delays(&schedule, &distinct);
    expect_delays(&distinct, (const uint64_t[]){ 1000, 2000, 60000, 300000 }, 4);
    schedule = schedule_of("", "");
    retry_distinct_delays(&schedule, &distinct);
    cr_assert_eq(distinct.count, 0);
}

Test(retry, has_room_for_the_distinct_delays_of_two_full_lists)
{
    static struct retry_schedule schedule;
    for (size_t i = 0; i < RETRY_DELAYS_MAX; i++) {
        schedule.retries.ms[i] = 2 * i + 1;
        schedule.defers.ms[i] = 2 * (RETRY_DELAYS_MAX - i);
    }
    schedule.retries.count = schedule.defers.count = RETRY_DELAYS_MAX;
    struct retry_delays distinct;
    retry_distinct_delays(&schedule, &distinct);
    cr_assert_eq(distinct.count, 2 * RETRY_DELAYS_MAX);
    for (size_t i = 0; i < distinct.count; i++)
        cr_assert_eq(distinct.ms[i], i + 1);
}

Test(retry, sums_the_retries_only)
{
    struct retry_schedule schedule = schedule_of("1s,2s,4s,8s,16s", "1m,5m");
    cr_assert_eq(retry_total_ms(&schedule), 31000);
}

static void expect_written(uint64_t delay_ms, const char *wanted)
{
    struct text text;
    text_init(&text, 64);
    retry_delay_write(delay_ms, &text);
    cr_assert_str_eq(text.start, wanted);
    struct retry_delays delays = parsed(wanted);
    expect_delays(&delays, &delay_ms, 1);
    text_finish(&text);
}

Test(retry, writes_delays_in_the_longest_unit_that_divides_them)
{
    expect_written(1, "1ms");
    expect_written(500, "500ms");
    expect_written(1000, "1s");
    expect_written(1500, "1500ms");
    expect_written(59000, "59s");
    expect_written(60000, "1m");
    expect_written(90000, "90s");
    expect_written(300000, "5m");
    expect_written(3600000, "1h");
    expect_written(5400000, "90m");
    expect_written(86400000, "24h");
    expect_written(604800000, "168h");
    expect_written(604799999, "604799999ms");
}

Test(retry, names_topics_and_reads_the_names_back)
{
    static const uint64_t delays[] = { 1, 999, 1000, 16000, 60000, 300000, 3600000, 604800000 };
    for (size_t i = 0; i < COUNT_OF(delays); i++) {
        struct text name;
        uint64_t delay_ms = 0;
        text_init(&name, 300);
        retry_topic_write("jobs.completed", delays[i], &name);
        cr_assert(retry_topic_read("jobs.completed", text_slice(&name), &delay_ms), "%s", name.start);
        cr_assert_eq(delay_ms, delays[i]);
        text_finish(&name);
    }
    struct text name;
    text_init(&name, 300);
    retry_topic_write("jobs.completed", 60000, &name);
    cr_assert_str_eq(name.start, "jobs.completed.retry.1m");
    text_finish(&name);
}

Test(retry, reads_topics_whose_delay_is_not_written_canonically)
{
    uint64_t delay_ms;
    cr_assert(retry_topic_read("jobs", SLICE("jobs.retry.60s"), &delay_ms));
    cr_assert_eq(delay_ms, 60000);
    cr_assert(retry_topic_read("jobs", SLICE("jobs.retry.1000ms"), &delay_ms));
    cr_assert_eq(delay_ms, 1000);
}

Test(retry, takes_no_other_topic_for_a_retry_topic)
{
    static const char *const cases[] = {
        "jobs",
        "jobs.dlq",
        "jobs.retry",
        "jobs.retry.",
        "jobs.retry.s",
        "jobs.retry.1",
        "jobs.retry.1s.dlq",
        "other.retry.1s",
        "jobs2.retry.1s",
        "job.retry.1s",
        "jobs.retry.0s",
        "jobs.retry.169h",
        "jobs.retry.01s",
        "jobs.retry.1s,2s",
        "xjobs.retry.1s",
        "jobs.Retry.1s",
        "jobs.retry.retry.1s",
        "jobs-retry-1s",
        "",
        "jobs.retry.1s ",
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint64_t delay_ms;
        cr_assert_not(retry_topic_read("jobs", slice_of(cases[i]), &delay_ms), "%s", cases[i]);
    }
}
