/* JSON as RFC 8259 has it: what yajl lets pass and event.c must not, and what both must let pass. */
#include "consumer/base/memory.h"
#include "delivery/event.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static bool passes(struct slice value, struct slice *raw_result)
{
    const struct event_record record = { .has_value = true, .value = value };
    struct event *event = event_create(&record);
    const char *problem = NULL;
    bool passed = event_parse(event, &problem);
    cr_assert(passed == (problem == NULL));
    if (passed && raw_result != NULL) /* as a slice of the caller's value */
        *raw_result = (struct slice){ value.start + (event->raw_result.start - event->value.start), event->raw_result.length };
    event_destroy(event);
    return passed;
}

/* `json` at the top level, and inside the result. */
static bool passes_everywhere(struct slice json, bool wanted)
{
    bool agreed = true;
    for (int place = 0; place < 3; place++) {
        static const char *const before[] = { "{\"x\":", "{\"x\":{\"y\":", "{\"x\":[" };
        static const char *const after[] = { "", "}", "]" };
        struct text value;
        text_init(&value, 1 << 20);
        text_append_string(&value, before[place]);
        text_append(&value, json);
        text_append_string(&value, after[place]);
        text_append_string(&value, ",\"result\":{\"r\":[1]},\"task_id\":\"t\",\"status\":\"completed\",\"task_type\":\"x\"}");
        struct slice result;
        bool passed = passes(text_slice(&value), &result);
        cr_expect_eq(passed, wanted, SLICE_FORMAT " at place %d", SLICE_ARGS(json), place);
        cr_expect(!passed || slice_is(result, "{\"r\":[1]}"), SLICE_FORMAT " at place %d", SLICE_ARGS(json), place);
        agreed = agreed && passed == wanted;
        text_finish(&value);
    }
    return agreed;
}

static const char *const valid_values[] = {
    /* numbers */
    "0",
    "-0",
    "1",
    "-1",
    "10",
    "1234567890",
    "0.0",
    "-0.0",
    "0.5",
    "1.50",
    "1e1",
    "1E1",
    "1e+1",
    "1e-1",
    "1E+01",
    "0e0",
    "0E-0",
    "-0e+0",
    "1.0e10",
    "1e400",
    "-1e400",
    "1e-400",
    "123456789012345678901234567890",
    "-9223372036854775809",
    "18446744073709551616",
    "0.1e00000000001",
    "100000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    "3.141592653589793238462643383279502884197169399375105820974944592307816406286208998628034825342117067982148086513282306647",
    /* words */
    "true",
    "false",
    "null",
    /* strings */
    "\"\"",
    "\" \"",
    "\"a\"",
    "\"\\\"\"",
    "\"\\\\\"",
    "\"\\/\"",
    "\"/\"",
    "\"\\b\\f\\n\\r\\t\"",
    "\"\\u0000\"",
    "\"\\u001f\"",
    "\"\\u0020\"",
    "\"\\uabcd\\uEF01\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud800\"",
    "\"\\udc00\"",
    "\"\\ud800\\u0041\"",
    "\"\\udc00\\ud800\"",
    "\"\\\\u0000\"",
    "\"\\\\\\\"\"",
    "\"\x7f\"",
    "\"'\"",
    "\"\xc2\x80\"",
    "\"\xdf\xbf\"",
    "\"\xe0\xa0\x80\"",
    "\"\xed\x9f\xbf\"",
    "\"\xee\x80\x80\"",
    "\"\xef\xbf\xbf\"",
    "\"\xf0\x90\x80\x80\"",
    "\"\xf4\x8f\xbf\xbf\"",
    "\"\xe2\x80\xa8\xe2\x80\xa9\"",
    "\"\xef\xbb\xbf\"",
    "\"{\\\"task_id\\\":1}\"",
    "\"//\"",
    "\"/* */\"",
    "\"],}\"",
    /* arrays and objects */
    "[]",
    "[ ]",
    "[[]]",
    "[1]",
    "[1,2]",
    "[1 , 2]",
    "[null,true,false,\"\",0,{},[]]",
    "{}",
    "{ }",
    "{\"\":0}",
    "{\"a\":1,\"a\":1}",
    "{\"a\":{\"b\":[{}]}}",
    "{\"\\u0000\":0}",
    "{\"\\ud800\":0}",
    /* white space */
    " 1",
    "1 ",
    "\t1\t",
    "\n1\n",
    "\r1\r",
    " \t\r\n1 \t\r\n",
    "[\n]",
    "{\r\n}",
    "{\t\"a\"\n:\r1 }",
};

Test(event_json, takes_every_valid_value)
{
    for (size_t i = 0; i < COUNT_OF(valid_values); i++)
        cr_assert(passes_everywhere(slice_of(valid_values[i]), true));
}

static const char *const invalid_values[] = {
    /* numbers */
    "+1",
    "-",
    "--1",
    "- 1",
    "01",
    "-01",
    "00",
    "1.",
    ".1",
    "-.1",
    "1.e1",
    "1e",
    "1e+",
    "1E-",
    "e1",
    "1e1.5",
    "0x1",
    "1_000",
    "1 2",
    "0 1",
    "NaN",
    "nan",
    "Infinity",
    "-Infinity",
    "inf",
    "1f",
    "1L",
    "0b1",
    "0o1",
    "\xd9\xa1",
    "1e\xd9\xa1",
    "1.2.3",
    "0e",
    "0.e1",
    "1eE2",
    "1e++2",
    "1-1",
    "1+1",
    /* words */
    "True",
    "FALSE",
    "nul",
    "tru",
    "nulll",
    "truefalse",
    "undefined",
    "None",
    "a",
    "true false",
    /* strings */
    "\"",
    "\"a",
    "a\"",
    "'a'",
    "\"\\\"",
    "\"\\x41\"",
    "\"\\a\"",
    "\"\\'\"",
    "\"\\0\"",
    "\"\\u\"",
    "\"\\u1\"",
    "\"\\u12\"",
    "\"\\u123\"",
    "\"\\u123g\"",
    "\"\\uD83D\\u\"",
    "\"\\U0041\"",
    "\"\\u 041\"",
    "\"\\u+041\"",
    "\"\n\"",
    "\"\t\"",
    "\"\r\"",
    "\"\x01\"",
    "\"\x1f\"",
    "\"a\"b\"",
    "\"a\" \"b\"",
    "\"\\",
    "\"\\u00",
    "\"\\\n\"",
    "`a`",
    /* arrays and objects */
    "[",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "[,]",
    "[1,,2]",
    "[1 2]",
    "[1}",
    "[\"a\":1]",
    "[1:2]",
    "{",
    "{\"a\"",
    "{\"a\":",
    "{\"a\":1",
    "{\"a\":1,",
    "{\"a\":1,}",
    "{,}",
    "{,\"a\":1}",
    "{\"a\":1,,\"b\":2}",
    "{\"a\" 1}",
    "{\"a\"::1}",
    "{\"a\":1:2}",
    "{\"a\",1}",
    "{a:1}",
    "{'a':1}",
    "{1:1}",
    "{null:1}",
    "{[]:1}",
    "{\"a\":}",
    "{:1}",
    "{\"a\"}",
    "{\"a\":1]",
    "{\"a\":1 \"b\":2}",
    "{{}}",
    "[[]",
    "(1)",
    "<1>",
    /* white space and comments */
    "\f1",
    "1\f",
    "\v1",
    "1\v",
    "\b1",
    "\x1c"
    "1",
    "\xc2\xa0"
    "1",
    "\xe2\x80\xa8"
    "1",
    "\xef\xbb\xbf"
    "1",
    "\xe3\x80\x80"
    "1",
    "/**/1",
    "1//\n",
    "//\n1",
    "#1\n1",
    "1;",
    "[\f]",
    "{\v}",
    "1\\n",
    "\\u0020"
    "1",
    "@",
    "$",
    "&1",
    "*1",
    "1=1",
    "?",
    "\x7f"
    "1",
};

Test(event_json, refuses_every_value_that_is_not_json)
{
    for (size_t i = 0; i < COUNT_OF(invalid_values); i++)
        cr_assert(passes_everywhere(slice_of(invalid_values[i]), false));
}

Test(event_json, refuses_bytes_that_are_not_utf8_wherever_they_stand)
{
    static const char *const cases[] = {
        "\x80",
        "\xbf",
        "\xc0\x80",
        "\xc1\xbf",
        "\xc2",
        "\xc2\x20",
        "\xc3\xc3",
        "\xe0\x80\x80",
        "\xe0\x9f\xbf",
        "\xe1\x80",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xed\xa0\xbd\xed\xb8\x80",
        "\xf0\x80\x80\x80",
        "\xf0\x8f\xbf\xbf",
        "\xf0\x90\x80",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xf8\x88\x80\x80\x80",
        "\xfc\x84\x80\x80\x80\x80",
        "\xfe",
        "\xff",
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct text string;
        text_init(&string, 100);
        text_printf(&string, "\"%s\"", cases[i]);
        cr_assert(passes_everywhere(text_slice(&string), false));
        cr_assert(passes_everywhere(slice_of(cases[i]), false));
        text_clear(&string);
        text_printf(&string, "{\"%s\":1}", cases[i]);
        cr_assert(passes_everywhere(text_slice(&string), false));
        text_finish(&string);
    }
}

static const char sample[] =
    " { \"task_id\" : \"t-\\u0031\" , \"status\":\"completed\",\n\"task_type\":\"find_email\",\"result\": {\"a\":[1,-2.5e+10,true,null],"
    "\"b\":\"\xc3\xbc\\ud83d\\ude00\\n\"} ,\"x\":{\"y\":[]},\"n\":12, \"webhook_url\":\"https:\\/\\/example.com\"} ";

Test(event_json, refuses_an_event_cut_at_any_byte)
{
    size_t closing = sizeof(sample) - 3;
    cr_assert_eq(sample[closing], '}');
    for (size_t length = 0; length < sizeof(sample); length++) {
        char *cut = memory_copy(sample, length);
        cut = memory_resize(cut, length > 0 ? length : 1); /* so that a sanitizer sees a step beyond the end */
        cr_expect_eq(passes((struct slice){ cut, length }, NULL), length > closing, "%zu bytes", length);
        free(cut);
    }
}

/* What a valid event is left with when one byte is taken out, doubled or replaced must never crash the parser, and a result that passes is still
 * an object. */
Test(event_json, survives_any_change_of_one_byte)
{
    size_t length = sizeof(sample) - 1, passed = 0;
    for (size_t at = 0; at < length; at++) {
        for (int byte = 0; byte < 256; byte++) {
            char *changed = memory_copy(sample, length);
            changed[at] = (char)byte;
            struct slice result;
            if (passes((struct slice){ changed, length }, &result)) {
                cr_expect(result.length >= 2 && result.start[0] == '{' && result.start[result.length - 1] == '}');
                passed++;
            }
            free(changed);
        }
    }
    cr_assert_geq(passed, length, "the unchanged event passes once for each byte");
}

Test(event_json, takes_four_kinds_of_white_space_between_tokens_and_nothing_else)
{
    static const char *const around[] = {
        "", "{", "\"x\"", ":", "[", "1", ",", "2", "]", ",\"task_id\"", ":\"t\",\"status\":\"failed\",\"task_type\":\"x\",\"error\":\"\"", "}"
    };
    for (size_t at = 0; at < COUNT_OF(around); at++) {
        for (int byte = 0; byte < 256; byte++) {
            struct text value;
            text_init(&value, 1000);
            for (size_t i = 0; i < COUNT_OF(around); i++) {
                text_append_string(&value, around[i]);
                if (i == at)
                    text_append_char(&value, (char)byte);
            }
            bool space = byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
            bool digit = byte >= '0' && byte <= '9'; /* makes a number longer, or is one in front of it */
            bool passed = passes(text_slice(&value), NULL);
            bool in_number = (at == 4 || at == 5 || at == 6 || at == 7) && (digit || (byte == '-' && at != 5 && at != 7));
            in_number = in_number && !(byte == '0' && (at == 4 || at == 6)); /* no leading zero */
            cr_expect_eq(passed, space || in_number, "byte %d behind %s", byte, around[at]);
            text_finish(&value);
        }
    }
}

Test(event_json, refuses_whatever_follows_the_object)
{
    static const char *const cases[] = { "{}", "[]", "1", "\"", "\"a", "\"a\"", "n",        "nul", "null",
                                         "}",  "]",  ",", ":",  "-",   "tru",   "\xc3\xbc", "x",   "//" };
    static const char good[] = "{\"task_id\":\"t\",\"status\":\"failed\",\"task_type\":\"x\",\"error\":\"\"}";
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        for (int spaced = 0; spaced < 2; spaced++) {
            struct text value;
            text_init(&value, 1000);
            text_printf(&value, "%s%s%s", good, spaced ? " \n" : "", cases[i]);
            const struct event_record record = { .has_value = true, .value = text_slice(&value) };
            struct event *event = event_create(&record);
            const char *problem;
            cr_expect_not(event_parse(event, &problem), "%s", cases[i]);
            cr_expect_str_eq(problem, "something follows the JSON object", "%s: %s", cases[i], problem);
            event_destroy(event);
            text_finish(&value);
        }
    }
    cr_expect(passes(SLICE(good), NULL));
    cr_expect_not(passes(SLICE("{\"task_id\":\"t\",\"status\":\"failed\",\"task_type\":\"x\",\"error\":\"\"}\0"), NULL));
}

/* The result nested so that the whole event is `depth` deep. */
static bool passes_at_depth(size_t depth, const char *open, const char *close)
{
    struct text value;
    text_init(&value, 10 << 20);
    text_append_string(&value, "{\"task_id\":\"t\",\"status\":\"completed\",\"task_type\":\"x\",\"result\":{\"r\":");
    for (size_t i = 2; i < depth; i++)
        text_append_string(&value, open);
    text_append_string(&value, "1");
    for (size_t i = 2; i < depth; i++)
        text_append_string(&value, close);
    text_append_string(&value, "}}");
    cr_assert_not(value.overflowed);
    bool passed = passes(text_slice(&value), NULL);
    text_finish(&value);
    return passed;
}

Test(event_json, takes_512_levels_and_not_one_more)
{
    cr_assert(passes_at_depth(EVENT_DEPTH_MAX, "[", "]"));
    cr_assert(passes_at_depth(EVENT_DEPTH_MAX, "{\"a\":", "}"));
    cr_assert_not(passes_at_depth(EVENT_DEPTH_MAX + 1, "[", "]"));
    cr_assert_not(passes_at_depth(EVENT_DEPTH_MAX + 1, "{\"a\":", "}"));
    cr_assert_not(passes_at_depth(200000, "[", "]"));
    cr_assert_not(passes_at_depth(200000, "[", ""));
}

Test(event_json, finds_members_behind_values_of_any_length)
{
    for (size_t length = 1; length < 300000; length = length * 3 + 1) {
        struct text value;
        text_init(&value, 10 << 20);
        text_append_string(&value, "{\"x\":\"");
        for (size_t i = 0; i < length; i++)
            text_append_string(&value, i % 7 == 0 ? "\\n" : "a");
        text_append_string(&value, "\",\"y\":1");
        for (size_t i = 0; i < length; i++)
            text_append_char(&value, '0');
        text_append_string(&value, " , \"result\" : {\"r\":1},\"task_id\":\"t\",\"status\":\"completed\",\"task_type\":\"x\"}");
        struct slice result;
        cr_assert(passes(text_slice(&value), &result), "%zu", length);
        cr_assert(slice_is(result, "{\"r\":1}"), "%zu: " SLICE_FORMAT, length, SLICE_ARGS(result));
        text_finish(&value);
    }
}
