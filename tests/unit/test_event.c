/* What an event must be (DESIGN §2), and what is made of it. The JSON itself is in test_event_json.c. */
#include "delivery/event.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static struct event *event_of(struct slice value)
{
    const struct event_record record = { .has_value = true, .value = value, .timestamp_ms = -1 };
    return event_create(&record);
}

static struct event *parsed(const char *value)
{
    struct event *event = event_of(slice_of(value));
    const char *problem;
    cr_assert(event_parse(event, &problem), "%s: %s", value, problem);
    return event;
}

static void expect_problem(struct slice value, const char *wanted)
{
    struct event *event = event_of(value);
    const char *problem = NULL;
    cr_expect_not(event_parse(event, &problem), SLICE_FORMAT, SLICE_ARGS(value));
    cr_expect(problem != NULL && strstr(problem, wanted) != NULL, SLICE_FORMAT ": %s", SLICE_ARGS(value), problem);
    cr_expect(slice_equal(event->value, value), "a malformed event keeps its bytes for the dead letter");
    event_destroy(event);
}

#define COMPLETED "\"status\":\"completed\",\"task_type\":\"find_email\",\"result\":{}"
#define FAILED    "\"status\":\"failed\",\"task_type\":\"find_email\",\"error\":\"x\""

/* ---- The record ---- */

Test(event, copies_key_value_and_headers_into_one_block)
{
    char key[] = "k1", value[] = "v\0w", name[] = "traceparent", text[] = "t";
    const struct event_header headers[] = {
        { .name = { name, 11 }, .value = { text, 1 }, .has_value = true },
        { .name = { "empty", 5 }, .value = { "", 0 }, .has_value = true },
        { .name = { "null", 4 }, .value = { NULL, 0 }, .has_value = false },
    };
    const struct event_record record = {
        .has_key = true,
        .has_value = true,
        .key = { key, 2 },
        .value = { value, 3 },
        .headers = headers,
        .header_count = 3,
        .timestamp_ms = 42,
    };
    struct event *event = event_create(&record);
    memset(key, '?', sizeof(key));
    memset(value, '?', sizeof(value));
    memset(name, '?', sizeof(name));
    memset(text, '?', sizeof(text));
    cr_assert(event->has_key && slice_is(event->key, "k1"));
    cr_assert(event->has_value && slice_equal(event->value, SLICE("v\0w")));
    cr_assert_eq(event->header_count, 3);
    cr_assert(slice_is(event->headers[0].name, "traceparent") && slice_is(event->headers[0].value, "t") && event->headers[0].has_value);
    cr_assert(slice_is(event->headers[1].name, "empty") && event->headers[1].value.length == 0 && event->headers[1].has_value);
    cr_assert(slice_is(event->headers[2].name, "null") && event->headers[2].value.length == 0 && !event->headers[2].has_value);
    cr_assert_eq(event->timestamp_ms, 42);
    cr_assert_geq(event->bytes, sizeof(struct event) + 3 * sizeof(struct event_header) + 2 + 3 + 11 + 1 + 5 + 4);
    const char *block = (const char *)event, *last = event->headers[2].name.start;
    cr_assert(last > block && last < block + event->bytes);
    event_destroy(event);
}

Test(event, tells_an_absent_key_and_value_from_empty_ones)
{
    const struct event_record absent = { .timestamp_ms = -1 };
    struct event *event = event_create(&absent);
    cr_assert(!event->has_key && !event->has_value);
    event_destroy(event);
    const struct event_record empty = { .has_key = true, .has_value = true };
    event = event_create(&empty);
    cr_assert(event->has_key && event->has_value && event->key.length == 0 && event->value.length == 0);
    event_destroy(event);
}

Test(event, finds_the_last_header_of_a_name)
{
    const struct event_header headers[] = {
        { SLICE("a"), SLICE("1"), true },
        { SLICE("b"), SLICE("2"), true },
        { SLICE("a"), SLICE("3"), true },
        { SLICE("c"), { NULL, 0 }, false },
    };
    const struct event_record record = { .headers = headers, .header_count = 4 };
    struct event *event = event_create(&record);
    cr_assert(slice_is(event_header(event, "a"), "3"));
    cr_assert(slice_is(event_header(event, "b"), "2"));
    cr_assert_eq(event_header(event, "c").length, 0);
    cr_assert_eq(event_header(event, "A").length, 0);
    cr_assert_eq(event_header(event, "missing").length, 0);
    event_destroy(event);
}

/* ---- Good events ---- */

Test(event, reads_a_completed_event)
{
    struct event *event = parsed("{\"task_id\":\"t-1\",\"status\":\"completed\",\"task_type\":\"find_email\",\"result\":{\"a\":1},"
                                 "\"webhook_url\":\"https://example.com/hook\"}");
    cr_assert(slice_is(event->task_id, "t-1"));
    cr_assert(slice_is(event->task_type, "find_email"));
    cr_assert(slice_is(event->webhook_url, "https://example.com/hook"));
    cr_assert_not(event->failed);
    cr_assert(slice_is(event->raw_task_id, "\"t-1\""));
    cr_assert(slice_is(event->raw_status, "\"completed\""));
    cr_assert(slice_is(event->raw_task_type, "\"find_email\""));
    cr_assert(slice_is(event->raw_result, "{\"a\":1}"));
    cr_assert_eq(event->raw_error.length, 0);
    event_destroy(event);
}

Test(event, reads_a_failed_event)
{
    struct event *event = parsed("{\"error\":\"no \\ud800 such \\n lead\",\"task_type\":\"x\",\"status\":\"failed\",\"task_id\":\"t\"}");
    cr_assert(event->failed);
    cr_assert(slice_is(event->raw_error, "\"no \\ud800 such \\n lead\""));
    cr_assert_eq(event->raw_result.length, 0);
    cr_assert_eq(event->webhook_url.length, 0);
    event_destroy(event);
}

Test(event, leaves_the_bytes_of_the_result_as_they_are)
{
    static const char *const results[] = {
        "{}",
        "{ }",
        "{\n\t\"a\" :\r\n [ 1 , 2 ]\n}",
        "{\"n\":1e400,\"m\":-0,\"o\":0.10,\"p\":123456789012345678901234567890,\"q\":1E-999}",
        "{\"a\":1,\"a\":2,\"\\u0061\":3}",
        "{\"s\":\"\\u0000\\ud800\\udc00\\udc00\\ud800\\/\\\"\\\\\"}",
        "{\"\\ud800\":{\"task_id\":\"inner\",\"status\":[]}}",
        "{\"z\":\"\xc3\xbc\xe2\x80\xa8\xf0\x9f\x98\x80\x7f\"}",
        "{\"b\":[true,false,null,[[[]]],{}]}",
    };
    for (size_t i = 0; i < COUNT_OF(results); i++) {
        char value[400];
        snprintf(value, sizeof(value), "{ \"status\" : \"completed\" , \"result\" : %s , \"task_id\" : \"t\", \"task_type\":\"x\" }", results[i]);
        struct event *event = parsed(value);
        cr_expect(slice_is(event->raw_result, results[i]), "%s", results[i]);
        event_destroy(event);
    }
}

Test(event, ignores_other_members_of_any_kind_wherever_they_stand)
{
    static const char *const others[] = {
        "\"x\":1",
        "\"x\":-1.5e+10",
        "\"x\":true",
        "\"x\":false",
        "\"x\":null",
        "\"x\":\"y\"",
        "\"x\":[]",
        "\"x\":[1,[2],{\"a\":3}]",
        "\"x\":{\"task_id\":5}",
        "\"\":1",
        "\"Task_id\":1",
        "\"task_id \":1",
        "\"Result\":{}",
        "\"\\u0000\":1",
        "\"x\":1 , \"y\" : 2.0 , \"z\":[ ]",
        "\"x\":0",
    };
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        char value[400];
        for (int place = 0; place < 3; place++) {
            static const char *const forms[] = { "{%s,\"task_id\":\"t\"," COMPLETED "}", "{\"task_id\":\"t\",%s," COMPLETED "}",
                                                 "{\"task_id\":\"t\"," COMPLETED ",%s}" };
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            snprintf(value, sizeof(value), forms[place], others[i]);
#pragma GCC diagnostic pop
            struct event *event = parsed(value);
            cr_expect(slice_is(event->raw_task_id, "\"t\"") && slice_is(event->raw_result, "{}"), "%s", value);
            event_destroy(event);
        }
    }
}

Test(event, decodes_what_is_used_and_keeps_what_is_sent)
{
    struct event *event =
        parsed("{\"task\\u005fid\":\"t\\u002d\\ud83d\\ude00\",\"stat\\u0075s\":\"\\u0063ompleted\",\"task_type\":\"find\\u005Femail\","
               "\"result\":{\"\\u0061\":\"\\/\"},\"webhook_url\":\"https:\\/\\/example.com\\/\\u0068ook\"}");
    cr_assert(slice_is(event->task_id, "t-\xf0\x9f\x98\x80"));
    cr_assert(slice_is(event->task_type, "find_email"));
    cr_assert(slice_is(event->webhook_url, "https://example.com/hook"));
    cr_assert(slice_is(event->raw_task_id, "\"t\\u002d\\ud83d\\ude00\""));
    cr_assert(slice_is(event->raw_status, "\"\\u0063ompleted\""));
    cr_assert(slice_is(event->raw_task_type, "\"find\\u005Femail\""));
    cr_assert(slice_is(event->raw_result, "{\"\\u0061\":\"\\/\"}"));
    event_destroy(event);
}

Test(event, takes_null_for_absent_where_a_member_may_be_absent)
{
    struct event *event = parsed("{\"task_id\":\"t\"," COMPLETED ",\"error\":null,\"webhook_url\":null}");
    cr_assert_eq(event->raw_error.length, 0);
    cr_assert_eq(event->webhook_url.length, 0);
    event_destroy(event);
    event = parsed("{\"task_id\":\"t\"," FAILED ",\"result\":null}");
    cr_assert_eq(event->raw_result.length, 0);
    event_destroy(event);
}

Test(event, takes_an_empty_error_for_an_error)
{
    struct event *event = parsed("{\"task_id\":\"t\",\"status\":\"failed\",\"task_type\":\"x\",\"error\":\"\"}");
    cr_assert(slice_is(event->raw_error, "\"\""));
    event_destroy(event);
}

Test(event, delivers_unknown_task_types_like_any_other)
{
    struct event *event =
        parsed("{\"task_id\":\"t\",\"status\":\"failed\",\"task_type\":\"\xe6\x97\xa5\xe6\x9c\xac never heard of!\",\"error\":\"x\"}");
    cr_assert(slice_is(event->task_type, "\xe6\x97\xa5\xe6\x9c\xac never heard of!"));
    event_destroy(event);
}

/* ---- Lengths ---- */

static bool passes_with(const char *task_id, const char *task_type)
{
    static char value[4096];
    snprintf(value, sizeof(value), "{\"task_id\":\"%s\",\"status\":\"failed\",\"task_type\":\"%s\",\"error\":\"x\"}", task_id, task_type);
    struct event *event = event_of(slice_of(value));
    const char *problem;
    bool passes = event_parse(event, &problem);
    cr_expect(passes || strstr(problem, "bytes long") != NULL, "%s", problem);
    event_destroy(event);
    return passes;
}

static const char *repeated(const char *piece, size_t count)
{
    static char text[4096];
    cr_assert_lt(strlen(piece) * count, sizeof(text));
    text[0] = '\0';
    for (size_t i = 0; i < count; i++)
        memcpy(text + i * strlen(piece), piece, strlen(piece) + 1);
    return text;
}

Test(event, limits_the_decoded_bytes_of_task_id_and_task_type)
{
    static const struct {
        const char *piece;
        size_t id_count, type_count; /* the most that pass */
    } cases[] = { { "a", 256, 128 },      { "\xc3\xbc", 128, 64 },      { "\\u0061", 256, 128 },
                  { "\\u00fc", 128, 64 }, { "\\ud83d\\ude00", 64, 32 }, { "\\/", 256, 128 } };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        cr_expect(passes_with(repeated(cases[i].piece, 1), "x"));
        cr_expect(passes_with(repeated(cases[i].piece, cases[i].id_count), "x"), "%s", cases[i].piece);
        cr_expect_not(passes_with(repeated(cases[i].piece, cases[i].id_count + 1), "x"), "%s", cases[i].piece);
        cr_expect(passes_with("t", repeated(cases[i].piece, cases[i].type_count)), "%s", cases[i].piece);
        cr_expect_not(passes_with("t", repeated(cases[i].piece, cases[i].type_count + 1)), "%s", cases[i].piece);
    }
    cr_expect_not(passes_with("", "x"));
    cr_expect_not(passes_with("t", ""));
}

Test(event, reads_all_escaped_members_at_their_longest)
{
    char id[6 * 256 + 1], type[6 * 128 + 1], *url = malloc(6 * 9000 + 1), *value = malloc(70000);
    snprintf(id, sizeof(id), "%s", repeated("\\u0069", 256));
    snprintf(type, sizeof(type), "%s", repeated("\\u0074", 128));
    for (size_t count = 8190; count <= 9000; count += count < 8195 ? 1 : 805) {
        for (size_t i = 0; i < count; i++)
            memcpy(url + 6 * i, "\\u0075", 7);
        snprintf(value, 70000, "{\"webhook_url\":\"%s\",\"task_id\":\"%s\",\"status\":\"failed\",\"task_type\":\"%s\",\"error\":\"x\"}", url, id,
                 type);
        struct event *event = parsed(value);
        cr_expect_eq(event->task_id.length, 256);
        cr_expect_eq(event->task_type.length, 128);
        cr_expect_eq(event->webhook_url.length, count < 8193 ? count : 8193, "cut, but still longer than the guard takes");
        cr_expect_eq(event->webhook_url.start[event->webhook_url.length - 1], 'u');
        event_destroy(event);
    }
    free(url);
    free(value);
}

Test(event, holds_no_room_for_decoding_when_nothing_is_escaped)
{
    static const char plain[] = "{\"task_id\":\"t\"," FAILED "}", escaped[] = "{\"task_id\":\"\\t\"," FAILED "}";
    struct event *event = event_of(SLICE(plain));
    cr_assert_eq(event->bytes, sizeof(struct event) + sizeof(plain) - 1);
    event_destroy(event);
    event = event_of(SLICE(escaped));
    cr_assert_eq(event->bytes, sizeof(struct event) + 2 * (sizeof(escaped) - 1));
    event_destroy(event);
}

/* ---- Malformed events ---- */

Test(event, says_what_is_wrong_with_a_record)
{
    const struct event_record tombstone = { .has_key = true, .key = SLICE("t"), .timestamp_ms = -1 };
    struct event *event = event_create(&tombstone);
    const char *problem;
    cr_assert_not(event_parse(event, &problem));
    cr_assert_str_eq(problem, "the record has no value (a tombstone)");
    event_destroy(event);
    expect_problem(SLICE(""), "the value is empty");
    expect_problem(SLICE(" \n\t\r "), "the value is empty");
    expect_problem(SLICE("\0\0\0\0\x07{\"task_id\":\"t\"," COMPLETED "}"), "schema-registry frame");
    expect_problem(SLICE("\0\0\0\0\x07"), "schema-registry frame");
    expect_problem(SLICE("\0\0\0\0"), "control character");
    expect_problem(SLICE("\0"), "control character");
    expect_problem(SLICE("\xef\xbb\xbf{\"task_id\":\"t\"," COMPLETED "}"), "byte order mark");
    expect_problem(SLICE("\xff\xfe{\0"), "not valid UTF-8");
    expect_problem(SLICE("[]"), "not a JSON object");
    expect_problem(SLICE("\"x\""), "not a JSON object");
    expect_problem(SLICE("1"), "not a JSON object");
    expect_problem(SLICE("null"), "not a JSON object");
    expect_problem(SLICE("task"), "not a JSON object");
    expect_problem(SLICE("{}"), "member task_id is missing");
}

Test(event, takes_256_headers_and_not_one_more)
{
    static struct event_header headers[EVENT_HEADERS_MAX + 1];
    for (size_t i = 0; i < COUNT_OF(headers); i++)
        headers[i] = (struct event_header){ SLICE("h"), SLICE("v"), true };
    struct event_record record = { .has_value = true, .value = SLICE("{\"task_id\":\"t\"," COMPLETED "}"), .headers = headers };
    const char *problem;
    record.header_count = EVENT_HEADERS_MAX;
    struct event *event = event_create(&record);
    cr_assert(event_parse(event, &problem));
    event_destroy(event);
    record.header_count = EVENT_HEADERS_MAX + 1;
    event = event_create(&record);
    cr_assert_not(event_parse(event, &problem));
    cr_assert_str_eq(problem, "the record has more than 256 headers");
    cr_assert_eq(event->header_count, EVENT_HEADERS_MAX + 1);
    event_destroy(event);
}

/* As a retry of an event that had all the headers it may have. */
Test(event, takes_headers_of_our_own_on_top_of_the_256)
{
    static struct event_header headers[EVENT_HEADERS_MAX + 12];
    for (size_t i = 0; i < COUNT_OF(headers); i++)
        headers[i] = (struct event_header){ i < EVENT_HEADERS_MAX ? SLICE("h") : SLICE("jobhook-attempt"), SLICE("2"), true };
    struct event_record record = {
        .has_value = true, .value = SLICE("{\"task_id\":\"t\"," COMPLETED "}"), .headers = headers, .header_count = COUNT_OF(headers)
    };
    const char *problem = "";
    struct event *event = event_create(&record);
    cr_expect(event_parse(event, &problem), "%s", problem);
    event_destroy(event);
}

struct problem_case {
    const char *value, *problem;
};

Test(event, says_which_member_is_wrong)
{
    static const struct problem_case cases[] = {
        { "{" COMPLETED "}", "member task_id is missing" },
        { "{\"task_id\":null," COMPLETED "}", "member task_id is not a string" },
        { "{\"task_id\":1," COMPLETED "}", "member task_id is not a string" },
        { "{\"task_id\":true," COMPLETED "}", "member task_id is not a string" },
        { "{\"task_id\":[\"t\"]," COMPLETED "}", "member task_id is not a string" },
        { "{\"task_id\":{}," COMPLETED "}", "member task_id is not a string" },
        { "{\"task_id\":\"\"," COMPLETED "}", "member task_id is not 1 to 256 bytes long" },
        { "{\"task_id\":\"a\\u0000\"," COMPLETED "}", "member task_id holds a control character" },
        { "{\"task_id\":\"\\n\"," COMPLETED "}", "member task_id holds a control character" },
        { "{\"task_id\":\"a\\u001fb\"," COMPLETED "}", "member task_id holds a control character" },
        { "{\"task_id\":\"\\u007f\"," COMPLETED "}", "member task_id holds a control character" },
        { "{\"task_id\":\"\x7f\"," COMPLETED "}", "member task_id holds a control character" },
        { "{\"task_id\":\"\\u0080\"," COMPLETED "}", "member task_id holds a control character" },
        { "{\"task_id\":\"\xc2\x9f\"," COMPLETED "}", "member task_id holds a control character" },
        { "{\"task_id\":\"\\udc00\"," COMPLETED "}", "member task_id holds half of a surrogate pair" },
        { "{\"task_id\":\"\\ud800\"," COMPLETED "}", "member task_id holds half of a surrogate pair" },
        { "{\"task_id\":\"t\",\"task_type\":\"x\",\"result\":{}}", "member status is missing" },
        { "{\"task_id\":\"t\",\"status\":null,\"task_type\":\"x\",\"result\":{}}", "member status is neither" },
        { "{\"task_id\":\"t\",\"status\":1,\"task_type\":\"x\",\"result\":{}}", "member status is neither" },
        { "{\"task_id\":\"t\",\"status\":\"\",\"task_type\":\"x\",\"result\":{}}", "member status is neither" },
        { "{\"task_id\":\"t\",\"status\":\"Completed\",\"task_type\":\"x\",\"result\":{}}", "member status is neither" },
        { "{\"task_id\":\"t\",\"status\":\"completed \",\"task_type\":\"x\",\"result\":{}}", "member status is neither" },
        { "{\"task_id\":\"t\",\"status\":\"\\ud800\",\"task_type\":\"x\",\"result\":{}}", "member status is neither" },
        { "{\"task_id\":\"t\",\"status\":\"running\",\"task_type\":\"x\",\"result\":{}}", "member status is neither" },
        { "{\"task_id\":\"t\",\"status\":\"completed\",\"result\":{}}", "member task_type is missing" },
        { "{\"task_id\":\"t\",\"status\":\"completed\",\"task_type\":7,\"result\":{}}", "member task_type is not a string" },
        { "{\"task_id\":\"t\",\"status\":\"completed\",\"task_type\":\"\",\"result\":{}}", "member task_type is not 1 to 128 bytes long" },
        { "{\"task_id\":\"t\",\"status\":\"completed\",\"task_type\":\"\\r\",\"result\":{}}", "member task_type holds a control character" },
        { "{\"task_id\":\"t\",\"status\":\"completed\",\"task_type\":\"\\udfff\",\"result\":{}}", "member task_type holds half of a surrogate pair" },
        { "{\"task_id\":\"t\",\"status\":\"completed\",\"task_type\":\"x\"}", "member result is missing" },
        { "{\"task_id\":\"t\",\"status\":\"completed\",\"task_type\":\"x\",\"result\":null}", "member result is missing" },
        { "{\"task_id\":\"t\",\"status\":\"completed\",\"task_type\":\"x\",\"result\":[]}", "member result is not an object" },
        { "{\"task_id\":\"t\",\"status\":\"completed\",\"task_type\":\"x\",\"result\":\"{}\"}", "member result is not an object" },
        { "{\"task_id\":\"t\",\"status\":\"completed\",\"task_type\":\"x\",\"result\":0}", "member result is not an object" },
        { "{\"task_id\":\"t\",\"status\":\"completed\",\"task_type\":\"x\",\"result\":false}", "member result is not an object" },
        { "{\"task_id\":\"t\"," COMPLETED ",\"error\":\"x\"}", "member error is given although the status is completed" },
        { "{\"task_id\":\"t\"," COMPLETED ",\"error\":\"\"}", "member error is given although the status is completed" },
        { "{\"task_id\":\"t\"," COMPLETED ",\"error\":0}", "member error is given although the status is completed" },
        { "{\"task_id\":\"t\",\"status\":\"failed\",\"task_type\":\"x\"}", "member error is missing" },
        { "{\"task_id\":\"t\",\"status\":\"failed\",\"task_type\":\"x\",\"error\":null}", "member error is missing" },
        { "{\"task_id\":\"t\",\"status\":\"failed\",\"task_type\":\"x\",\"error\":{}}", "member error is not a string" },
        { "{\"task_id\":\"t\",\"status\":\"failed\",\"task_type\":\"x\",\"error\":404}", "member error is not a string" },
        { "{\"task_id\":\"t\"," FAILED ",\"result\":{}}", "member result is given although the status is failed" },
        { "{\"task_id\":\"t\"," FAILED ",\"result\":false}", "member result is given although the status is failed" },
        { "{\"task_id\":\"t\"," COMPLETED ",\"webhook_url\":1}", "member webhook_url is not a string" },
        { "{\"task_id\":\"t\"," COMPLETED ",\"webhook_url\":false}", "member webhook_url is not a string" },
        { "{\"task_id\":\"t\"," COMPLETED ",\"webhook_url\":{}}", "member webhook_url is not a string" },
        { "{\"task_id\":\"t\"," COMPLETED ",\"webhook_url\":\"\"}", "member webhook_url is empty" },
        { "{\"task_id\":\"t\"," COMPLETED ",\"webhook_url\":\"https:\\/\\/\\ud800\"}", "member webhook_url holds half of a surrogate pair" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        expect_problem(slice_of(cases[i].value), cases[i].problem);
}

Test(event, leaves_odd_urls_to_the_guard)
{
    static const struct problem_case cases[] = {
        { "not a url", "not a url" }, { "\\u0000", "" }, { "\\n", "\n" }, { " ", " " }, { "ftp:\\/\\/x", "ftp://x" }
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char value[300];
        snprintf(value, sizeof(value), "{\"task_id\":\"t\"," COMPLETED ",\"webhook_url\":\"%s\"}", cases[i].value);
        struct event *event = parsed(value);
        cr_expect(event->webhook_url.length > 0 && (i == 1 || slice_is(event->webhook_url, cases[i].problem)));
        event_destroy(event);
    }
}

/* ---- Doubles ---- */

Test(event, refuses_a_member_given_twice_however_it_is_written)
{
    static const char *const cases[] = {
        "{\"task_id\":\"t\"," COMPLETED ",\"task_id\":\"t\"}",
        "{\"task_id\":\"t\"," COMPLETED ",\"task\\u005fid\":\"t\"}",
        "{\"task\\u005fid\":\"t\"," COMPLETED ",\"task_id\":\"u\"}",
        "{\"t\\u0061sk_id\":\"t\"," COMPLETED ",\"\\u0074ask_id\":\"u\"}",
        "{\"task_id\":\"t\"," COMPLETED ",\"status\":\"failed\"}",
        "{\"task_id\":\"t\"," COMPLETED ",\"result\":{}}",
        "{\"task_id\":\"t\"," COMPLETED ",\"webhook_url\":null,\"webhook_url\":\"https://example.com\"}",
        "{\"task_id\":\"t\"," COMPLETED ",\"other\":1,\"other\":1}",
        "{\"\":1,\"task_id\":\"t\"," COMPLETED ",\"\":2}",
        "{\"a\\u0000\":1,\"task_id\":\"t\"," COMPLETED ",\"a\\u0000\":2}",
        "{\"\\u00fc\":1,\"task_id\":\"t\"," COMPLETED ",\"\xc3\xbc\":2}",
        "{\"\\ud83d\\ude00\":1,\"task_id\":\"t\"," COMPLETED ",\"\xf0\x9f\x98\x80\":2}",
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        expect_problem(slice_of(cases[i]), "given twice");
}

Test(event, takes_doubles_below_the_top_level)
{
    struct event *event =
        parsed("{\"task_id\":\"t\",\"status\":\"completed\",\"task_type\":\"x\",\"result\":{\"a\":1,\"a\":2},\"other\":{\"b\":1,\"b\":2}}");
    cr_assert(slice_is(event->raw_result, "{\"a\":1,\"a\":2}"));
    event_destroy(event);
}

Test(event, tells_names_apart_that_only_look_alike)
{
    struct event *event =
        parsed("{\"task_id\":\"t\"," COMPLETED ",\"a\":1,\"A\":1,\"a\\u0000\":1,\"a\\u0000b\":1,\"\xc3\xbc\":1,\"u\xcc\x88\":1,\"\":1}");
    cr_assert(slice_is(event->task_id, "t"));
    event_destroy(event);
}

Test(event, refuses_names_that_are_not_unicode)
{
    expect_problem(SLICE("{\"task_id\":\"t\"," COMPLETED ",\"\\ud800\":1}"), "half of a surrogate pair");
    expect_problem(SLICE("{\"task_id\":\"t\"," COMPLETED ",\"a\\udc00\":1}"), "half of a surrogate pair");
}

static char *event_with_members(size_t count)
{
    struct text value;
    text_init(&value, 10000);
    text_append_string(&value, "{\"task_id\":\"t\"," COMPLETED);
    for (size_t i = 4; i < count; i++)
        text_printf(&value, ",\"m%zu\":%zu", i, i);
    text_append_char(&value, '}');
    cr_assert_not(value.overflowed);
    return value.start;
}

Test(event, takes_256_members_and_not_one_more)
{
    char *value = event_with_members(256);
    event_destroy(parsed(value));
    free(value);
    value = event_with_members(257);
    expect_problem(slice_of(value), "more than 256 members");
    free(value);
}

/* 250 names of 32 KB, each but its last bytes like the others: compared each with each they would outlast the limit. */
static struct text event_with_long_names(const char *first_letter)
{
    struct text value;
    text_init(&value, 16 << 20);
    text_append_string(&value, "{\"task_id\":\"t\"," COMPLETED);
    for (unsigned i = 0; i < 250; i++)
        text_printf(&value, ",\"%s%032000u\":1", first_letter, i);
    return value;
}

Test(event, tells_long_names_apart_that_differ_at_their_ends_only)
{
    static const char *const first_letters[] = { "a", "\\u0061" };
    const struct rlimit limit = { 8, 8 }; /* seconds of CPU */
    setrlimit(RLIMIT_CPU, &limit);
    for (size_t i = 0; i < COUNT_OF(first_letters); i++) {
        struct text value = event_with_long_names(first_letters[i]), twice = event_with_long_names(first_letters[i]);
        text_append_char(&value, '}');
        event_destroy(parsed(value.start));
        text_printf(&twice, ",\"\\u0061%032000u\":1}", 123);
        expect_problem(text_slice(&twice), "given twice");
        text_finish(&value);
        text_finish(&twice);
    }
}
