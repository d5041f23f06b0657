#include "delivery/json_string.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

struct decode_case {
    const char *raw;
    struct slice decoded;
};

Test(json_string, decodes_what_is_between_the_quotes)
{
    static const struct decode_case cases[] = {
        { "\"\"", { "", 0 } },
        { "\"abc\"", { "abc", 3 } },
        { "\"z\xc3\xbcrich \xf0\x9f\x98\x80\"", { "z\xc3\xbcrich \xf0\x9f\x98\x80", 12 } },
        { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", { "\"\\/\b\f\n\r\t", 8 } },
        { "\"\\u0000\"", { "\0", 1 } },
        { "\"\\u0041\\u007f\\u0080\"", { "A\x7f\xc2\x80", 4 } },
        { "\"\\u07ff\\u0800\\uFFFF\"", { "\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf", 8 } },
        { "\"\\ud7ff\\ue000\"", { "\xed\x9f\xbf\xee\x80\x80", 6 } },
        { "\"\\ud800\\udc00\"", { "\xf0\x90\x80\x80", 4 } },
        { "\"\\uD83D\\uDE00!\"", { "\xf0\x9f\x98\x80!", 5 } },
        { "\"\\uDBFF\\uDFFF\"", { "\xf4\x8f\xbf\xbf", 4 } },
        { "\"\\u00e9\xc3\xa9\\u00E9\"", { "\xc3\xa9\xc3\xa9\xc3\xa9", 6 } },
        { "\"https:\\/\\/example.com\\/\"", { "https://example.com/", 20 } },
        { "\"\\\\ud800\"", { "\\ud800", 6 } },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char decoded[64];
        size_t length;
        cr_assert(json_string_decode(slice_of(cases[i].raw), decoded, sizeof(decoded), &length), "%s", cases[i].raw);
        cr_expect(slice_equal((struct slice){ decoded, length }, cases[i].decoded), "%s", cases[i].raw);
        cr_expect_leq(length, strlen(cases[i].raw) - 2);
    }
}

Test(json_string, tells_a_string_from_what_only_begins_and_ends_like_one)
{
    static const char *const strings[] = { "\"\"", "\"a\"", "\"\\\"\"", "\"\\\\\"", "\"\\u00e9\\n\"", "\"\xc3\xbc\"", "\"\\uDEAD\"" };
    static const char *const others[] = { "",        "\"",        "a",           "\"a",     "a\"",      "\"http_5\"x\"", "\"\\\"",
                                          "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\u\"", "\"\x01\"", "\"\n\"",        "\"\\\"\"\"" };
    for (size_t i = 0; i < COUNT_OF(strings); i++)
        cr_expect(json_string_is_well_formed(slice_of(strings[i])), "%s", strings[i]);
    for (size_t i = 0; i < COUNT_OF(others); i++)
        cr_expect(!json_string_is_well_formed(slice_of(others[i])), "%s", others[i]);
    cr_expect(!json_string_is_well_formed((struct slice){ "\"\\\0\"", 4 }), "an escaped NUL byte");
}

Test(json_string, refuses_half_of_a_surrogate_pair)
{
    static const char *const cases[] = {
        "\"\\ud800\"",
        "\"\\udbff\"",
        "\"\\udc00\"",
        "\"\\udfff\"",
        "\"a\\ud800b\"",
        "\"\\ud800\\n\"",
        "\"\\ud800\\u0041\"",
        "\"\\ud800\\ud800\"",
        "\"\\udc00\\udc00\"",
        "\"\\udc00\\ud800\"",
        "\"\\ud800\\udbff\"",
        "\"\\ud800\\ud800\\udc00\"",
        "\"\\ud800xudc00\"",
        "\"\\ud800\\\\udc00\"",
        "\"\\ud800\\ue000\"",
        "\"\\uDC00\"",
        "\"\\ud83d\\ude00\\ude00\"",
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char decoded[64];
        size_t length;
        cr_expect_not(json_string_decode(slice_of(cases[i]), decoded, sizeof(decoded), &length), "%s", cases[i]);
        cr_expect_not(json_string_decode(slice_of(cases[i]), NULL, 0, &length), "%s", cases[i]);
        cr_expect_not(json_string_equal(slice_of(cases[i]), slice_of(cases[i])), "%s", cases[i]);
        cr_expect_not(json_string_is(slice_of(cases[i]), "a"), "%s", cases[i]);
    }
}

/* All of Unicode: what is decoded is what an encoder of our own makes of the same number. */
Test(json_string, decodes_every_escape_and_every_pair)
{
    for (unsigned code = 0; code <= 0x10ffff; code++) {
        if (code >= 0xd800 && code <= 0xdfff)
            continue;
        char raw[16], decoded[4], wanted[4];
        size_t length, count = 0;
        if (code < 0x10000)
            snprintf(raw, sizeof(raw), "\"\\u%04x\"", code);
        else
            snprintf(raw, sizeof(raw), "\"\\u%04X\\u%04x\"", 0xd800 + ((code - 0x10000) >> 10), 0xdc00 + ((code - 0x10000) & 0x3ff));
        if (code < 0x80) {
            wanted[count++] = (char)code;
        } else {
            int shift = code < 0x800 ? 6 : code < 0x10000 ? 12 : 18;
            unsigned lead = code < 0x800 ? 0xc0 : code < 0x10000 ? 0xe0 : 0xf0;
            wanted[count++] = (char)(lead | code >> shift);
            while ((shift -= 6) >= 0)
                wanted[count++] = (char)(0x80 | (code >> shift & 0x3f));
        }
        cr_assert(json_string_decode(slice_of(raw), decoded, sizeof(decoded), &length), "%s", raw);
        cr_assert(slice_equal((struct slice){ decoded, length }, (struct slice){ wanted, count }), "%s", raw);
        cr_assert(slice_is_utf8((struct slice){ decoded, length }), "%s", raw);
    }
}

Test(json_string, writes_no_more_than_there_is_room_for_and_tells_the_length)
{
    char decoded[4] = "....";
    size_t length;
    cr_assert(json_string_decode(SLICE("\"a\\u20acbc\""), decoded, 3, &length));
    cr_assert_eq(length, 6);
    cr_assert_arr_eq(decoded, "a\xe2\x82.", 4);
    cr_assert(json_string_decode(SLICE("\"a\\u20acbc\""), NULL, 0, &length));
    cr_assert_eq(length, 6);
}

Test(json_string, tells_plain_strings_from_escaped_ones)
{
    cr_assert(json_string_is_plain(SLICE("\"\"")));
    cr_assert(json_string_is_plain(SLICE("\"z\xc3\xbcrich\"")));
    cr_assert_not(json_string_is_plain(SLICE("\"a\\nb\"")));
    cr_assert(slice_is(json_string_inside(SLICE("\"\"")), ""));
    cr_assert(slice_is(json_string_inside(SLICE("\"a\\nb\"")), "a\\nb"));
}

Test(json_string, compares_what_strings_mean)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } cases[] = {
        { "\"task_id\"", "\"task_id\"", true },
        { "\"task_id\"", "\"task\\u005fid\"", true },
        { "\"\\u0074\\u0061\\u0073\\u006b_id\"", "\"task\\u005Fid\"", true },
        { "\"\\u00fc\"", "\"\xc3\xbc\"", true },
        { "\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\"", true },
        { "\"\\/\"", "\"/\"", true },
        { "\"\\u000a\"", "\"\\n\"", true },
        { "\"\\u0000\"", "\"\\u0000\"", true },
        { "\"\\u0000\"", "\"\"", false },
        { "\"a\\u0000\"", "\"a\\u0000b\"", false },
        { "\"task_id\"", "\"task_i\"", false },
        { "\"task\\u005fid\"", "\"task_i\"", false },
        { "\"task\\u005fi\"", "\"task_id\"", false },
        { "\"Task_id\"", "\"task_id\"", false },
        { "\"\\u0041\"", "\"a\"", false },
        { "\"\\\\u0041\"", "\"A\"", false },
        { "\"\"", "\"\"", true },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        cr_expect_eq(json_string_equal(slice_of(cases[i].a), slice_of(cases[i].b)), cases[i].equal, "%s %s", cases[i].a, cases[i].b);
        cr_expect_eq(json_string_equal(slice_of(cases[i].b), slice_of(cases[i].a)), cases[i].equal, "%s %s", cases[i].b, cases[i].a);
        cr_expect_eq(json_string_hash(slice_of(cases[i].a)) == json_string_hash(slice_of(cases[i].b)), cases[i].equal, "%s %s", cases[i].a,
                     cases[i].b);
    }
    cr_assert(json_string_is(SLICE("\"\\u0066ailed\""), "failed"));
    cr_assert(json_string_is(SLICE("\"failed\""), "failed"));
    cr_assert(json_string_is(SLICE("\"\""), ""));
    cr_assert_not(json_string_is(SLICE("\"failed \""), "failed"));
    cr_assert_not(json_string_is(SLICE("\"\\u0066aile\""), "failed"));
    cr_assert_not(json_string_is(SLICE("\"\\u0066ailed!\""), "failed"));
}
