#include "consumer/envelope.h"

#include <criterion/criterion.h>
#include <string.h>

enum { HEADERS_MAX = 32 };

static struct event event_of(struct event_header *headers, size_t count)
{
    return (struct event){ .headers = headers, .header_count = count };
}

static struct event_header header(const char *name, const char *value)
{
    return (struct event_header){ slice_of(name), slice_of(value), true };
}

/* A complete retry record's headers; `skip` leaves one out, `change` gives one another value. */
static size_t retry_headers(struct event_header *headers, const char *skip, struct event_header change)
{
    const struct event_header all[] = {
        header("traceparent", "00-1"),
        header("jobhook-attempt", "3"),
        header("jobhook-epoch", "2"),
        header("jobhook-deferral", "4"),
        header("jobhook-deferred-since-ms", "17"),
        header("jobhook-due-ms", "1700000000123"),
        header("jobhook-first-ms", "1600"),
        header("jobhook-origin", "a/b.c/7/123456789012"),
        header("jobhook-error", "http_503"),
        header("jobhook-url", "https://new.example.com/x"),
    };
    size_t count = 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (skip != NULL && slice_is(all[i].name, skip))
            continue;
        headers[count++] = change.name.start != NULL && slice_equal(all[i].name, change.name) ? change : all[i];
    }
    return count;
}

Test(envelope, reads_every_header_of_a_retry_record)
{
    struct event_header headers[HEADERS_MAX];
    struct event event = event_of(headers, retry_headers(headers, NULL, (struct event_header){ 0 }));
    struct attempt attempt;
    const char *problem = NULL;
    cr_assert(envelope_read(&event, &attempt, &problem), "%s", problem);
    cr_expect_eq(attempt.number, 3);
    cr_expect_eq(attempt.epoch, 2);
    cr_expect_eq(attempt.deferral, 4);
    cr_expect_eq(attempt.deferred_since_ms, 17);
    cr_expect_eq(attempt.due_ms, 1700000000123);
    cr_expect_eq(attempt.first_ms, 1600);
    cr_expect(slice_is(attempt.origin.topic, "a/b.c"));
    cr_expect_eq(attempt.origin.partition, 7);
    cr_expect_eq(attempt.origin.offset, 123456789012);
    cr_expect_str_eq(attempt.error, "http_503");
    cr_expect(slice_is(attempt.url, "https://new.example.com/x"));
}

Test(envelope, does_without_the_optional_headers)
{
    static const char *const optional[] = { "jobhook-deferral", "jobhook-deferred-since-ms", "jobhook-error", "jobhook-url", "traceparent" };
    for (size_t i = 0; i < sizeof optional / sizeof optional[0]; i++) {
        struct event_header headers[HEADERS_MAX];
        struct event event = event_of(headers, retry_headers(headers, optional[i], (struct event_header){ 0 }));
        struct attempt attempt;
        const char *problem;
        cr_expect(envelope_read(&event, &attempt, &problem), "without %s", optional[i]);
    }
}

Test(envelope, refuses_a_record_without_a_required_header)
{
    static const char *const required[] = { "jobhook-attempt", "jobhook-epoch", "jobhook-due-ms", "jobhook-first-ms", "jobhook-origin" };
    for (size_t i = 0; i < sizeof required / sizeof required[0]; i++) {
        struct event_header headers[HEADERS_MAX];
        struct event event = event_of(headers, retry_headers(headers, required[i], (struct event_header){ 0 }));
        struct attempt attempt;
        const char *problem = NULL;
        cr_expect_not(envelope_read(&event, &attempt, &problem), "without %s", required[i]);
        cr_expect(strstr(problem, required[i]) != NULL, "%s names %s", problem, required[i]);
    }
}

static const struct bad {
    const char *name, *value;
} bad_headers[] = {
    { "jobhook-attempt", "0" },
    { "jobhook-attempt", "302" },
    { "jobhook-attempt", "-1" },
    { "jobhook-attempt", "1x" },
    { "jobhook-attempt", "" },
    { "jobhook-attempt", "01" },
    { "jobhook-attempt", " 1" },
    { "jobhook-epoch", "4294967296" },
    { "jobhook-epoch", "1000000001" },
    { "jobhook-deferral", "x" },
    { "jobhook-due-ms", "9223372036854775808" },
    { "jobhook-due-ms", "1.5" },
    { "jobhook-origin", "topic" },
    { "jobhook-origin", "t/1" },
    { "jobhook-origin", "/1/2" },
    { "jobhook-origin", "t/1/" },
    { "jobhook-origin", "t//2" },
    { "jobhook-origin", "t/-1/2" },
    { "jobhook-origin", "t/2147483648/1" },
    { "jobhook-origin", "t t/1/1" },
    { "jobhook-origin", "t\n/1/1" },
    { "jobhook-origin", "t\303\274/1/1" },
    { "jobhook-deferred-since-ms", "soon" },
};

Test(envelope, refuses_unreadable_headers_and_names_them)
{
    for (size_t i = 0; i < sizeof bad_headers / sizeof bad_headers[0]; i++) {
        struct event_header headers[HEADERS_MAX];
        struct event event = event_of(headers, retry_headers(headers, NULL, header(bad_headers[i].name, bad_headers[i].value)));
        struct attempt attempt;
        const char *problem = NULL;
        cr_expect_not(envelope_read(&event, &attempt, &problem), "%s: '%s'", bad_headers[i].name, bad_headers[i].value);
        cr_expect(problem != NULL && strstr(problem, bad_headers[i].name) != NULL, "%s", bad_headers[i].name);
    }
}

Test(envelope, shows_only_harmless_bytes_of_a_last_error)
{
    struct event_header headers[HEADERS_MAX];
    struct event event = event_of(headers, retry_headers(headers, NULL,
                                                         header("jobhook-error", "a\r\nb\033[31m<script>_9"
                                                                                 "0123456789012345678901234567890123456789")));
    struct attempt attempt;
    const char *problem;
    cr_assert(envelope_read(&event, &attempt, &problem));
    cr_expect_str_eq(attempt.error, "ab31mscript_9012345678901234567");
}

Test(envelope, keeps_the_records_own_headers_in_order_and_replaces_ours)
{
    struct event_header own[] = {
        header("b", "2"), header("jobhook-attempt", "99"), header("a", ""), header("b", "3"), { slice_of("null"), { NULL, 0 }, false }
    };
    struct event event = event_of(own, sizeof own / sizeof own[0]);
    struct attempt attempt = { .number = 2, .epoch = 1, .due_ms = 5, .first_ms = 4, .origin = { slice_of("jobs"), 3, 8 }, .error = "timeout" };
    struct envelope_letter letter = { .event = &event, .attempt = &attempt, .reason = DEAD_EXHAUSTED, .detail = "why", .cut_from = 77 };
    struct envelope envelope;
    envelope_write(&envelope, &letter);
    static const struct {
        const char *name, *value;
    } expected[] = {
        { "b", "2" },
        { "a", "" },
        { "b", "3" },
        { "null", NULL },
        { "jobhook-attempt", "2" },
        { "jobhook-epoch", "1" },
        { "jobhook-due-ms", "5" },
        { "jobhook-first-ms", "4" },
        { "jobhook-origin", "jobs/3/8" },
        { "jobhook-error", "timeout" },
        { "jobhook-reason", "exhausted" },
        { "jobhook-detail", "why" },
        { "jobhook-cut-from-bytes", "77" },
    };
    cr_assert_eq(envelope.count, sizeof expected / sizeof expected[0]);
    for (size_t i = 0; i < envelope.count; i++) {
        cr_expect_str_eq(envelope.headers[i].name, expected[i].name);
        cr_expect_eq(envelope.headers[i].has_value, expected[i].value != NULL);
        if (expected[i].value != NULL)
            cr_expect(slice_is(envelope.headers[i].value, expected[i].value), "%s", expected[i].name);
    }
    envelope_finish(&envelope);
}

Test(envelope, reads_back_what_it_wrote)
{
    struct event_header none[1];
    struct event event = event_of(none, 0);
    struct attempt before = { .number = 301,
                              .epoch = 1000000000,
                              .deferral = 12,
                              .deferred_since_ms = INT64_MAX,
                              .due_ms = INT64_MAX,
                              .first_ms = 1,
                              .url = slice_of("https://x.example.com/"),
                              .origin = { slice_of("t.u/v"), INT32_MAX, INT64_MAX },
                              .error = "http_500" };
    struct envelope envelope;
    envelope_write(&envelope, &(struct envelope_letter){ .event = &event, .attempt = &before });

    struct event_header headers[HEADERS_MAX];
    for (size_t i = 0; i < envelope.count; i++)
        headers[i] = (struct event_header){ slice_of(envelope.headers[i].name), envelope.headers[i].value, envelope.headers[i].has_value };
    struct event again = event_of(headers, envelope.count);
    struct attempt after;
    const char *problem = "";
    cr_assert(envelope_read(&again, &after, &problem), "%s", problem);
    cr_expect_eq(after.number, before.number);
    cr_expect_eq(after.epoch, before.epoch);
    cr_expect_eq(after.deferral, before.deferral);
    cr_expect_eq(after.deferred_since_ms, before.deferred_since_ms);
    cr_expect_eq(after.due_ms, before.due_ms);
    cr_expect_eq(after.first_ms, before.first_ms);
    cr_expect(slice_equal(after.url, before.url));
    cr_expect(slice_equal(after.origin.topic, before.origin.topic));
    cr_expect_eq(after.origin.partition, before.origin.partition);
    cr_expect_eq(after.origin.offset, before.origin.offset);
    cr_expect_str_eq(after.error, before.error);
    envelope_finish(&envelope);
}
