#include "delivery/request.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRACEPARENT      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
#define TRACEPARENT_LINE ("traceparent: " TRACEPARENT)

static const struct request_options plain_options = { .version = "0.2.0", .now_s = 1700000000 };
static const struct attempt first_attempt = { .number = 1 };

static struct event *event_with(const char *value, const struct event_header *headers, size_t count)
{
    const struct event_record record = { .has_value = true, .value = slice_of(value), .headers = headers, .header_count = count };
    struct event *event = event_create(&record);
    const char *problem;
    cr_assert(event_parse(event, &problem), "%s: %s", value, problem);
    return event;
}

static const char simple[] = "{\"task_id\":\"t-1\",\"status\":\"completed\",\"task_type\":\"find_email\",\"result\":{\"a\":1}}";

static void expect_body(const char *value, const char *wanted)
{
    struct event *event = event_with(value, NULL, 0);
    struct request request;
    request_init(&request);
    request_compose(&request, event, &first_attempt, &plain_options);
    cr_expect_str_eq(request.body.start, wanted);
    cr_expect_eq(request.body.length, strlen(wanted));
    request_finish(&request);
    event_destroy(event);
}

Test(request, sends_exactly_the_promised_members_in_their_order)
{
    expect_body(simple, "{\"task_id\":\"t-1\",\"status\":\"completed\",\"task_type\":\"find_email\",\"result\":{\"a\":1}}");
    expect_body("{\"webhook_url\":\"https://"
                "example.com\",\"error\":\"no\",\"secret\":{\"x\":1},\"task_type\":\"x\",\"status\":\"failed\",\"task_id\":\"t\",\"result\":null}",
                "{\"task_id\":\"t\",\"status\":\"failed\",\"task_type\":\"x\",\"error\":\"no\"}");
}

Test(request, splices_the_bytes_of_the_event)
{
    expect_body("{ \"task\\u005fid\" : \"t\\u002d1\" , \"status\" : \"\\u0063ompleted\", \"task_type\":\"\xc3\xbc\",\n \"result\" : { \"n\" : 1e400 "
                ",\"n\":0.10,\"s\":\"\\/\\ud800\" } }",
                "{\"task_id\":\"t\\u002d1\",\"status\":\"\\u0063ompleted\",\"task_type\":\"\xc3\xbc\",\"result\":{ \"n\" : 1e400 "
                ",\"n\":0.10,\"s\":\"\\/\\ud800\" }}");
}

static void expect_headers(const struct request *request, const char *const *wanted, size_t count)
{
    cr_expect_eq(request->header_count, count);
    for (size_t i = 0; i < count && i < request->header_count; i++)
        cr_expect_str_eq(request->headers[i], wanted[i]);
}

static void expect_lines(const struct event_header *headers, size_t header_count, const struct attempt *attempt,
                         const struct request_options *options, const char *const *wanted, size_t count)
{
    struct event *event = event_with(simple, headers, header_count);
    struct request request;
    request_init(&request);
    request_compose(&request, event, attempt, options);
    expect_headers(&request, wanted, count);
    request_finish(&request);
    event_destroy(event);
}

Test(request, has_the_promised_headers)
{
    static const char *const wanted[] = {
        "Content-Type: application/json", "User-Agent: jobhook/0.2.0", "webhook-id: t-1",
        "webhook-timestamp: 1700000000",  "jobhook-attempt: 1",        "Expect:",
    };
    expect_lines(NULL, 0, &first_attempt, &plain_options, wanted, COUNT_OF(wanted));
}

Test(request, is_signed_over_its_id_its_time_and_its_body)
{
    static const char *const wanted[] = {
        "Content-Type: application/json",
        "User-Agent: jobhook/0.2.0",
        "webhook-id: t-1",
        "webhook-timestamp: 1700000000",
        /* Made with Python's hmac over t-1.1700000000. and the body. */
        "webhook-signature: v1,AR6pxK8aYFxDaLfQSLwfsJ4vAJzdfeHGYfKnelT2a9A=",
        "jobhook-attempt: 1",
        "Expect:",
    };
    struct signature_keys keys = { .count = 1, .keys = { { .length = 24, .bytes = "twenty-four bytes of key" } } };
    const struct signature_options signature_options = { .keys = &keys };
    struct request_options options = plain_options;
    options.signature = signature_create(&signature_options);
    expect_lines(NULL, 0, &first_attempt, &options, wanted, COUNT_OF(wanted));
    signature_destroy(options.signature);
}

Test(request, has_room_for_all_headers_at_their_longest)
{
    struct signature_keys keys = { .count = SIGNATURE_KEYS_MAX };
    for (size_t i = 0; i < SIGNATURE_KEYS_MAX; i++)
        keys.keys[i] = (struct signature_key){ .asymmetric = true, .length = 64, .bytes = { (uint8_t)i } };
    const struct signature_options signature_options = { .keys = &keys };
    char tracestate[512];
    memset(tracestate, 'x', sizeof(tracestate));
    const struct event_header headers[] = { { SLICE("traceparent"), SLICE(TRACEPARENT), true }, { SLICE("tracestate"), { tracestate, 512 }, true } };
    const struct attempt attempt = { .number = INT32_MAX, .epoch = INT32_MAX };
    const struct request_options options = {
        .version = "100.100.100-rc100", .now_s = INT64_MAX, .test = true, .pass_tracestate = true, .signature = signature_create(&signature_options)
    };
    struct event *event = event_with(simple, headers, COUNT_OF(headers));
    struct request request;
    request_init(&request);
    request_compose(&request, event, &attempt, &options);
    cr_expect_eq(request.header_count, REQUEST_HEADERS_MAX - 1);
    cr_expect_eq(strlen(request.headers[4]), strlen("webhook-signature: ") + SIGNATURE_HEADER_MAX - 1);
    request_finish(&request);
    event_destroy(event);
    signature_destroy(options.signature);
}

Test(request, tells_attempts_replays_and_tests)
{
    static const char *const wanted[] = {
        "Content-Type: application/json", "User-Agent: jobhook/1.2.3-rc1", "webhook-id: t-1", "webhook-timestamp: 253402300800",
        "jobhook-attempt: 4294967295",    "jobhook-replay: 4294967295",    "jobhook-test: 1", "Expect:",
    };
    const struct attempt attempt = { .number = UINT32_MAX, .epoch = UINT32_MAX };
    const struct request_options options = { .version = "1.2.3-rc1", .now_s = INT64_C(253402300800), .test = true };
    expect_lines(NULL, 0, &attempt, &options, wanted, COUNT_OF(wanted));
}

Test(request, tells_the_first_replay)
{
    static const char *const wanted[] = {
        "Content-Type: application/json",
        "User-Agent: jobhook/0.2.0",
        "webhook-id: t-1",
        "webhook-timestamp: 1700000000",
        "jobhook-attempt: 2",
        "jobhook-replay: 1",
        "Expect:",
    };
    const struct attempt attempt = { .number = 2, .epoch = 1 };
    expect_lines(NULL, 0, &attempt, &plain_options, wanted, COUNT_OF(wanted));
}

Test(request, passes_a_traceparent_on_and_a_tracestate_only_when_asked)
{
    static const struct event_header headers[] = { { SLICE("traceparent"), SLICE(TRACEPARENT), true },
                                                   { SLICE("tracestate"), SLICE("vendor=a b,x=1"), true } };
    static const char *const wanted[] = {
        "Content-Type: application/json",
        "User-Agent: jobhook/0.2.0",
        "webhook-id: t-1",
        "webhook-timestamp: 1700000000",
        "jobhook-attempt: 1",
        TRACEPARENT_LINE,
        "tracestate: vendor=a b,x=1",
        "Expect:",
    };
    struct request_options options = plain_options;
    options.pass_tracestate = true;
    expect_lines(headers, 2, &first_attempt, &options, wanted, COUNT_OF(wanted));
    static const char *const without[] = {
        "Content-Type: application/json",
        "User-Agent: jobhook/0.2.0",
        "webhook-id: t-1",
        "webhook-timestamp: 1700000000",
        "jobhook-attempt: 1",
        TRACEPARENT_LINE,
        "Expect:",
    };
    expect_lines(headers, 2, &first_attempt, &plain_options, without, COUNT_OF(without));
}

Test(request, names_the_span_of_the_attempt_as_the_parent)
{
    static const struct event_header headers[] = { { SLICE("traceparent"), SLICE(TRACEPARENT), true }, { SLICE("tracestate"), SLICE("a=b"), true } };
    static const uint8_t id[SPAN_ID_BYTES] = { 0xab, 1 };
    const struct span_root root = { SLICE("t-1"), 1 };
    struct span span;
    struct request_options options = plain_options;
    options.pass_tracestate = true;
    options.span = &span;
    span_begin(&span, SLICE(TRACEPARENT), &root, id);
    for (size_t count = 0; count <= 2; count += 2) {
        struct event *event = event_with(simple, headers, count);
        struct request request;
        request_init(&request);
        request_compose(&request, event, &first_attempt, &options);
        cr_expect_str_eq(request.headers[5], "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-ab01000000000000-01");
        cr_expect_str_eq(request.headers[6], count == 2 ? "tracestate: a=b" : "Expect:");
        request_finish(&request);
        event_destroy(event);
    }
}

Test(request, takes_the_last_traceparent)
{
    static const struct event_header headers[] = { { SLICE("traceparent"), SLICE("nonsense"), true },
                                                   { SLICE("traceparent"), SLICE(TRACEPARENT), true } };
    struct event *event = event_with(simple, headers, 2);
    struct request request;
    request_init(&request);
    request_compose(&request, event, &first_attempt, &plain_options);
    cr_assert_str_eq(request.headers[5], TRACEPARENT_LINE);
    request_finish(&request);
    event_destroy(event);
}

static size_t headers_with(struct slice traceparent, struct slice tracestate)
{
    const struct event_header headers[] = { { SLICE("traceparent"), traceparent, true }, { SLICE("tracestate"), tracestate, true } };
    struct request_options options = plain_options;
    options.pass_tracestate = true;
    struct event *event = event_with(simple, headers, 2);
    struct request request;
    request_init(&request);
    request_compose(&request, event, &first_attempt, &options);
    size_t count = request.header_count;
    for (size_t i = 0; i < count; i++)
        cr_expect_null(strpbrk(request.headers[i], "\r\n"));
    request_finish(&request);
    event_destroy(event);
    return count - 6; /* those that every request has */
}

Test(request, leaves_out_a_traceparent_that_is_not_well_formed)
{
    static const struct slice cases[] = {
        SLICE(""),
        SLICE("00"),
        SLICE("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        SLICE("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        SLICE("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"),
        SLICE("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0"),
        SLICE("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-012"),
        SLICE("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-"),
        SLICE("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g"),
        SLICE("00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        SLICE("00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01"),
        SLICE("00-00000000000000000000000000000000-00f067aa0ba902b7-01"),
        SLICE("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"),
        SLICE(" 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1"),
        SLICE("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7\r\n1"),
        SLICE("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0\n"),
        SLICE("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0\0"),
        SLICE("00-\xc3\xbc"
              "f92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        cr_expect_eq(headers_with(cases[i], SLICE("a=b")), 0, "case %zu: a tracestate alone means nothing", i);
    cr_expect_eq(headers_with(SLICE("00-00000000000000000000000000000001-0000000000000001-00"), SLICE("")), 1);
}

/* No byte at any place may bring anything but lower-case hexadecimal digits into the header. */
Test(request, takes_no_other_byte_into_a_traceparent)
{
    for (size_t at = 0; at < sizeof(TRACEPARENT) - 1; at++) {
        for (int byte = 0; byte < 256; byte++) {
            char changed[] = TRACEPARENT;
            changed[at] = (char)byte;
            bool digit = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f');
            bool wanted = at < 3 || TRACEPARENT[at] == '-' ? byte == TRACEPARENT[at] : digit;
            if (!wanted || at % 8 == 0) /* a sample of the good ones will do */
                cr_expect_eq(headers_with((struct slice){ changed, sizeof(changed) - 1 }, SLICE("")), wanted, "byte %d at %zu", byte, at);
        }
    }
}

Test(request, leaves_out_a_tracestate_that_is_not_printable_or_too_long)
{
    static char longest[513];
    memset(longest, 'x', sizeof(longest));
    const struct slice traceparent = SLICE(TRACEPARENT);
    cr_expect_eq(headers_with(traceparent, SLICE("a=b")), 2);
    cr_expect_eq(headers_with(traceparent, SLICE("a=b , c=~")), 2);
    cr_expect_eq(headers_with(traceparent, (struct slice){ longest, 512 }), 2);
    cr_expect_eq(headers_with(traceparent, (struct slice){ longest, 513 }), 1);
    static const struct slice cases[] = { SLICE(""),      SLICE(" "),    SLICE(" a=b"),  SLICE("a=b "), SLICE("a=b\r\nX: y"),
                                          SLICE("a=b\n"), SLICE("a=\0"), SLICE("a=\tb"), SLICE("\x7f"), SLICE("a=\xc3\xbc") };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        cr_expect_eq(headers_with(traceparent, cases[i]), 1, "case %zu", i);
}

/* ---- webhook-id ---- */

Test(request, uses_a_plain_task_id_as_webhook_id)
{
    static const char *const cases[] = { "t",     "0f8fad5b-d9cb-469f-a165-70867728950e",
                                         "A_b-9", "_",
                                         "-",     "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-" };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char id[REQUEST_ID_MAX + 1];
        request_webhook_id(slice_of(cases[i]), id);
        cr_expect_str_eq(id, cases[i]);
    }
}

/* Computed once with Python: base62 (0-9A-Za-z) of the SHA-256 as a big-endian number, 43 digits. */
Test(request, derives_a_webhook_id_from_any_other_task_id)
{
    static const struct {
        struct slice task_id;
        const char *id;
    } cases[] = {
        { SLICE(""), "msg_rzWtdMwJelxEeMmeB0EiiEGkAYggupnSUjWEepHLxI5" },
        { SLICE("a b"), "msg_lWQAG4LpTLJvjaUotkdh4qyhB316TQsb72kuP7ETJNl" },
        { SLICE("task.1"), "msg_YDJ44lcIzaXxRdBEYDgXc54bvkV5kXo6cBM686t1hu2" },
        { SLICE("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), "msg_NYIRVub5quOJAfKSUhy8k1Kw2pkDfIEP6PeIxoVWguu" },
        { SLICE("z\xc3\xbcrich"), "msg_7cFbDJqk9SIHglkjFRnpRxuLJmc82a9W9GwpznCXQxK" },
        { SLICE("x\r\nX-Header: y"), "msg_4eXOTAQ4im6bGo6LOsHWcdwcNPJXHNsdpZUGaigq6kx" },
        { SLICE("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
                "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"),
          "msg_P0co6LJ4uZrqA3kF03MJgbMwW2GazwPFOJeYnxoiLb1" },
        { SLICE("lead 807"), "msg_006r5UA6U4LGG9FXt6vmvse1io3QxyYbVAgkSOmQIK0" }, /* its digest starts with zeros */
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char id[REQUEST_ID_MAX + 1];
        request_webhook_id(cases[i].task_id, id);
        cr_expect_str_eq(id, cases[i].id);
    }
}

Test(request, derives_ids_that_are_plain_whatever_the_task_id_holds)
{
    for (int byte = 0; byte < 256; byte++) {
        char task_id[] = { 'a', (char)byte, 'b' }, id[REQUEST_ID_MAX + 1];
        request_webhook_id((struct slice){ task_id, 3 }, id);
        static const char plain[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-";
        cr_expect_eq(strspn(id, plain), strlen(id));
        bool is_plain = byte != 0 && strchr(plain, byte) != NULL;
        cr_expect_eq(strlen(id), is_plain ? 3 : strlen("msg_") + 43, "byte %d", byte);
    }
}

Test(request, keeps_the_webhook_id_on_every_attempt)
{
    struct event *event = event_with("{\"task_id\":\"a b.c\\u00fc\",\"status\":\"failed\",\"task_type\":\"x\",\"error\":\"\"}", NULL, 0);
    struct request request;
    request_init(&request);
    char first[100] = "";
    for (uint32_t number = 1; number <= 6; number++) {
        const struct attempt attempt = { .number = number, .epoch = number / 3 };
        struct request_options options = plain_options;
        options.now_s += number;
        request_compose(&request, event, &attempt, &options);
        if (number == 1)
            snprintf(first, sizeof(first), "%s", request.headers[2]);
        cr_expect_str_eq(request.headers[2], first);
    }
    cr_assert(strncmp(first, "webhook-id: msg_", 16) == 0);
    request_finish(&request);
    event_destroy(event);
}

Test(request, can_be_used_again_for_a_shorter_or_longer_event)
{
    static const struct event_header headers[] = { { SLICE("traceparent"), SLICE(TRACEPARENT), true } };
    struct request request;
    request_init(&request);
    char *large = malloc(300200);
    snprintf(large, 100, "{\"task_id\":\"big\",\"status\":\"failed\",\"task_type\":\"x\",\"error\":\"");
    size_t start = strlen(large);
    memset(large + start, 'e', 300000);
    memcpy(large + start + 300000, "\"}", 3);
    for (int round = 0; round < 3; round++) {
        struct event *small_event = event_with(simple, headers, 1), *large_event = event_with(large, NULL, 0);
        request_compose(&request, large_event, &first_attempt, &plain_options);
        cr_assert_eq(request.body.length, strlen("{\"task_id\":\"big\",\"status\":\"failed\",\"task_type\":\"x\",\"error\":\"\"}") + 300000);
        cr_assert_eq(request.header_count, 6);
        request_compose(&request, small_event, &first_attempt, &plain_options);
        cr_assert_str_eq(request.body.start, simple);
        cr_assert_eq(request.header_count, 7);
        cr_assert_str_eq(request.headers[2], "webhook-id: t-1");
        event_destroy(small_event);
        event_destroy(large_event);
    }
    free(large);
    request_finish(&request);
}
