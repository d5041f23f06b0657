/* Records of attempts: written, and read back; and what strangers may have written there. */
#include "consumer/attempt_record.h"
#include "consumer/commands/attempt_row.h"

#include <criterion/criterion.h>
#include <string.h>

static void write_record(struct text *text, const char *snippet, size_t length)
{
    struct event event = { .task_id = SLICE("t \"1\""), .task_type = SLICE("find_email") };
    struct attempt attempt = { .number = 3, .epoch = 2, .origin = { SLICE("jobs"), 4, 99 }, .error = "http_503" };
    struct url url = { .origin = "https://hooks.example.com", .origin_length = 25 };
    struct outcome outcome = {
        .kind = OUTCOME_ANSWERED, .status = 503, .name_ms = 1, .connect_ms = 2, .tls_ms = 3, .first_byte_ms = 4, .total_ms = 5
    };
    outcome.snippet = snippet;
    outcome.snippet_bytes = (uint32_t)length;
    struct attempted attempted = { &event, &attempt, &url, &outcome, NULL };
    attempt_record_append(text, &(struct attempt_record){ &attempted, "host/1/0", 1772366400250 });
}

Test(attempt_row, what_is_written_is_read_back)
{
    struct text text;
    struct attempt_row row;
    text_init(&text, 65536);
    attempt_row_init(&row);
    write_record(&text, "busy", 4);
    cr_expect_str_eq(
        text.start,
        "{\"time\":\"2026-03-01T12:00:00.250Z\",\"task_id\":\"t \\\"1\\\"\",\"task_type\":\"find_email\",\"origin\":\"https://hooks.example.com\","
        "\"attempt\":3,\"epoch\":2,\"outcome\":\"http_503\",\"status\":503,\"ms\":{\"name\":1,\"connect\":2,\"tls\":3,\"first_byte\":4,"
        "\"total\":5},\"response\":\"busy\",\"worker\":\"host/1/0\",\"event\":{\"topic\":\"jobs\",\"partition\":4,\"offset\":99}}");
    cr_assert(attempt_row_read(&row, text_slice(&text)));
    cr_expect(slice_is(text_slice(&row.task_id), "t \"1\""));
    cr_expect(slice_is(text_slice(&row.origin), "https://hooks.example.com"));
    cr_expect(slice_is(text_slice(&row.outcome), "http_503"));
    cr_expect(slice_is(text_slice(&row.response), "busy"));
    cr_expect_eq(row.time_ms, 1772366400250);
    cr_expect_eq(row.attempt, 3);
    cr_expect_eq(row.epoch, 2);
    cr_expect_eq(row.total_ms, 5);
    for (size_t length = 0; length < text.length; length++)
        cr_expect_not(attempt_row_read(&row, (struct slice){ text.start, length }), "cut at %zu", length);
    attempt_row_finish(&row);
    text_finish(&text);
}

Test(attempt_row, what_would_break_the_lines_or_the_json_around_it_is_none)
{
    static const char *const behind[] = { "\n", " ", "}", "],\"complete\":true", "{}", ",\"a\":1}" };
    static const char *const instead[] = { ",\n", ",\x1b", ",\x7f", ",\"\xc2\x9b\":1,", ",\xff", ",,", ",\"a\":]," };
    struct text text, other;
    struct attempt_row row;
    text_init(&text, 65536);
    text_init(&other, 65536);
    attempt_row_init(&row);
    write_record(&text, "busy", 4);
    for (size_t i = 0; i < COUNT_OF(behind); i++) {
        text_clear(&other);
        text_printf(&other, "%s%s", text.start, behind[i]);
        cr_expect_not(attempt_row_read(&row, text_slice(&other)), "%s", other.start);
    }
    const char *worker = strstr(text.start, ",\"worker\"");
    for (size_t i = 0; i < COUNT_OF(instead); i++) {
        text_clear(&other);
        text_printf(&other, "%.*s%s%s", (int)(worker - text.start), text.start, instead[i], worker + 1);
        cr_expect_not(attempt_row_read(&row, text_slice(&other)), "%s", other.start);
    }
    attempt_row_finish(&row);
    text_finish(&text);
    text_finish(&other);
}

Test(attempt_row, an_answer_is_made_safe_for_whoever_prints_it)
{
    static const struct {
        const char *snippet, *shown;
    } cases[] = {
        { "plain \xc3\xbc", "plain \xc3\xbc" },
        { "\033[31mred\007", " [31mred " },
        { "a\r\nb\tc", "a  b c" },
        { "\xc2\x9b"
          "31m",
          "  31m" },
        { "\xe2\x80\xae"
          "gpj",
          "   gpj" },
        { "\xe2\x81\xa6x\xe2\x80\x8f", "   x   " },
        { "a\xd8\x9cz\xd8", "a  z\xef\xbf\xbd" },
        { "\x7f", " " },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct text text;
        struct attempt_row row;
        text_init(&text, 65536);
        attempt_row_init(&row);
        write_record(&text, cases[i].snippet, strlen(cases[i].snippet));
        cr_assert(attempt_row_read(&row, text_slice(&text)), "%s", text.start);
        cr_expect(slice_is(text_slice(&row.response), cases[i].shown), "case %zu: %s", i, text.start);
        attempt_row_finish(&row);
        text_finish(&text);
    }
}

Test(attempt_row, the_longest_answer_fits)
{
    static char snippet[OUTCOME_SNIPPET_MAX];
    static const char fills[] = { '"', '\\', '\0', (char)0xff, 'a' };
    for (size_t i = 0; i < sizeof fills; i++) {
        struct text text;
        memset(snippet, fills[i], sizeof snippet);
        text_init(&text, 65536);
        write_record(&text, snippet, sizeof snippet);
        cr_expect_not(text.overflowed);
        text_finish(&text);
    }
}

Test(attempt_row, members_are_found_whatever_stands_around_them)
{
    static const struct {
        const char *object, *name, *raw; /* NULL: not there */
    } cases[] = {
        { "{\"a\":1}", "a", "1" },
        { " { \"x\" : [1,{\"a\":2}] , \"a\" : {\"b\":\"}\"} }", "a", "{\"b\":\"}\"} " },
        { "{\"x\":\"\\\"a\\\":3\",\"a\":\"\\\\\"}", "a", "\"\\\\\"" },
        { "{\"a\":1,\"a\":2}", "a", "1" },
        { "{}", "a", NULL },
        { "", "a", NULL },
        { "[\"a\",1]", "a", NULL },
        { "{\"b\":1}", "a", NULL },
        { "{\"a\"", "a", NULL },
        { "{\"a\":", "a", NULL },
        { "{\"a\":\"", "a", NULL },
        { "{\"a\":\"\\", "a", NULL },
        { "{\"a\":[", "a", NULL },
        { "{\"a\":]", "a", NULL },
        { "{\"x\":1 \"a\":2}", "a", NULL },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct slice raw;
        bool found = attempt_row_find(slice_of(cases[i].object), cases[i].name, &raw);
        cr_expect_eq(found, cases[i].raw != NULL, "case %zu", i);
        if (found && cases[i].raw != NULL)
            cr_expect(slice_is(raw, cases[i].raw), "case %zu: " SLICE_FORMAT, i, SLICE_ARGS(raw));
    }
}
