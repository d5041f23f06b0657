/* Spans: whose trace an attempt belongs to, and what OTLP is told of it. */
#include "consumer/span_headers.h"
#include "consumer/span_record.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define TRACE  "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00f067aa0ba902b7"

static const uint8_t id[SPAN_ID_BYTES] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef };

static const char *header_of(const struct span *span, struct text *text)
{
    text_init(text, 256);
    span_append_traceparent(span, text);
    return text->start;
}

Test(span, continues_the_trace_of_the_event)
{
    const struct span_root root = { SLICE("task"), 1 };
    struct span span;
    struct text text;
    span_begin(&span, SLICE("00-" TRACE "-" PARENT "-03"), &root, id);
    cr_expect(span.recorded && span.has_parent);
    cr_expect_str_eq(header_of(&span, &text), "00-" TRACE "-0123456789abcdef-03");
    text_clear(&text);
    span_append_hex(&text, span.parent, sizeof(span.parent));
    cr_expect_str_eq(text.start, PARENT);
    text_finish(&text);
}

Test(span, does_not_record_what_the_producer_did_not_sample)
{
    const struct span_root root = { SLICE("task"), 1 };
    struct span span;
    span_begin(&span, SLICE("00-" TRACE "-" PARENT "-02"), &root, id);
    cr_expect_not(span.recorded);
}

static void trace_of(const char *task_id, int64_t first_ms, struct span *span)
{
    const struct span_root root = { slice_of(task_id), first_ms };
    span_begin(span, SLICE("00-" TRACE "-" PARENT "-xx"), &root, id);
    cr_assert(span->recorded && !span->has_parent && span->flags == 1);
}

Test(span, without_a_trace_all_attempts_of_a_task_share_one)
{
    struct span first, second, other, replayed;
    trace_of("a", 5, &first);
    trace_of("a", 5, &second);
    trace_of("b", 5, &other);
    trace_of("a", 6, &replayed);
    cr_expect_eq(memcmp(first.trace, second.trace, SPAN_TRACE_BYTES), 0);
    cr_expect_neq(memcmp(first.trace, other.trace, SPAN_TRACE_BYTES), 0);
    cr_expect_neq(memcmp(first.trace, replayed.trace, SPAN_TRACE_BYTES), 0);
    cr_expect_neq(memcmp(first.trace, first.trace + 8, 8), 0);
}

Test(span, is_written_as_otlp_has_it)
{
    const struct event event = { .task_id = SLICE("t\"1"), .task_type = SLICE("find_email") };
    const struct attempt attempt = { .number = 2, .origin = { SLICE("jobs"), 3, 42 }, .error = "http_503" };
    const struct url url = { .https = true, .host = SLICE("example.com"), .port = 443, .text = SLICE("https://example.com/a?secret") };
    const struct outcome outcome = { .kind = OUTCOME_ANSWERED, .status = 503, .total_ms = 250, .snippet = "body", .snippet_bytes = 4, .detail = "" };
    const struct span_root root = { SLICE("task"), 1 };
    struct span span;
    struct text text;
    span_begin(&span, SLICE("00-" TRACE "-" PARENT "-01"), &root, id);
    text_init(&text, 8192);
    span_record_append(&text, &(struct attempted){ &event, &attempt, &url, &outcome, &span }, 1700000000250);
    const char *const parts[] = { "{\"traceId\":\"" TRACE "\",\"spanId\":\"0123456789abcdef\",\"parentSpanId\":\"" PARENT "\",",
                                  "\"startTimeUnixNano\":\"1700000000000000000\",\"endTimeUnixNano\":\"1700000000250000000\"",
                                  "{\"key\":\"http.response.status_code\",\"value\":{\"intValue\":\"503\"}}",
                                  "{\"key\":\"jobhook.task_id\",\"value\":{\"stringValue\":\"t\\\"1\"}}",
                                  "\"status\":{\"message\":\"http_503\",\"code\":2}}" };
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        cr_expect_not_null(strstr(text.start, parts[i]), "%s is not in %s", parts[i], text.start);
    cr_expect_null(strstr(text.start, "secret"));
    text_finish(&text);
}

static bool parses(const char *given, struct span_headers *headers)
{
    struct text problem;
    text_init(&problem, 512);
    bool fine = span_headers_parse(slice_of(given), headers, &problem);
    cr_expect_eq(fine, problem.length == 0);
    cr_expect(problem.length == 0 || strstr(problem.start, "secret") == NULL, "the problem shows the value");
    text_finish(&problem);
    return fine;
}

Test(span_headers, are_read_as_exporters_of_opentelemetry_read_them)
{
    struct span_headers headers;
    cr_assert(parses("authorization=Basic%20dTpw%3d%3D , x-team = ops,\r\nx-odd=100%25,", &headers));
    cr_assert_eq(headers.count, 3);
    cr_expect_str_eq(headers.lines[0], "authorization: Basic dTpw==");
    cr_expect_str_eq(headers.lines[1], "x-team: ops");
    cr_expect_str_eq(headers.lines[2], "x-odd: 100%");
    cr_assert(parses("", &headers));
    cr_expect_eq(headers.count, 0);
    cr_assert(parses(" \n,", &headers));
    cr_expect_eq(headers.count, 0);
}

/* With content-length=3 libcurl announced three bytes and sent them all: the collector took the rest for another request. */
Test(span_headers, those_that_frame_the_request_are_ours)
{
    static const char *const names[] = { "content-length", "Transfer-Encoding", "HOST", "connection", "expect", "Content-Type", "content-encoding" };
    struct span_headers headers;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char given[64];
        snprintf(given, sizeof(given), "a=b,%s=secret", names[i]);
        cr_expect_not(parses(given, &headers), "%s", names[i]);
        cr_expect_eq(headers.count, 0);
    }
    cr_expect(parses("hosts=a,x-content-length=b,t=c", &headers));
}

Test(span_headers, what_could_not_be_sent_is_refused)
{
    static const char *const cases[] = { "secret",       "=secret",      "a=",           "a b=secret",      "a:=secret",  "a=secret%0d%0ab:%20c",
                                         "a=secret%00b", "a=secret\x01", "a=secret\xc3", "a=1,b=secret%7F", "a=1,secret", "a=secret%zz",
                                         "a=secret%1",   "a=secret%" };
    char many[9 * 10 + 1] = "", long_one[SPAN_HEADER_BYTES_MAX + 2];
    struct span_headers headers;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        cr_expect_not(parses(cases[i], &headers), "%s", cases[i]);
        cr_expect_eq(headers.count, 0);
    }
    for (size_t i = 0; i < 9; i++)
        memcpy(many + i * 10, "a=secret1,", 11);
    cr_expect_not(parses(many, &headers));
    memset(long_one, 'a', sizeof(long_one));
    long_one[1] = '=';
    long_one[SPAN_HEADER_BYTES_MAX + 1] = '\0';
    cr_expect_not(parses(long_one, &headers));
    long_one[SPAN_HEADER_BYTES_MAX - 1] = '\0';
    cr_expect(parses(long_one, &headers));
    memset(long_one, 'a', sizeof(long_one) - 3);
    memcpy(long_one + sizeof(long_one) - 3, "=b", 3);
    cr_expect_not(parses(long_one, &headers));
}
