#include "consumer/base/text.h"

#include <criterion/criterion.h>

#define BYTES(literal)                                                                                                                               \
    {                                                                                                                                                \
        (literal), sizeof(literal) - 1                                                                                                               \
    }

Test(slice, compares_bytes_not_strings)
{
    cr_assert(slice_equal(SLICE("a\0b"), SLICE("a\0b")));
    cr_assert_not(slice_equal(SLICE("a\0b"), SLICE("a\0c")));
    cr_assert_not(slice_equal(SLICE("ab"), SLICE("abc")));
    cr_assert(slice_equal((struct slice){ NULL, 0 }, SLICE("")));
    cr_assert(slice_is(SLICE("abc"), "abc"));
    cr_assert_not(slice_is(SLICE("abc"), "ab"));
    cr_assert(slice_starts_with(SLICE("abc"), "ab"));
    cr_assert(slice_starts_with(SLICE("abc"), ""));
    cr_assert_not(slice_starts_with(SLICE("ab"), "abc"));
    cr_assert_eq(slice_of(NULL).length, 0);
    cr_assert_eq(slice_of("four").length, 4);
}

Test(slice, knows_utf8)
{
    static const struct {
        struct slice bytes;
        bool valid;
    } cases[] = {
        { BYTES(""), true },
        { BYTES("plain ASCII longer than eight bytes"), true },
        { BYTES("\0"), true },
        { BYTES("\x7f"), true },
        { BYTES("\xc2\x80"), true },             /* U+0080 */
        { BYTES("\xdf\xbf"), true },             /* U+07FF */
        { BYTES("\xe0\xa0\x80"), true },         /* U+0800 */
        { BYTES("\xed\x9f\xbf"), true },         /* U+D7FF */
        { BYTES("\xee\x80\x80"), true },         /* U+E000 */
        { BYTES("\xef\xbf\xbf"), true },         /* U+FFFF */
        { BYTES("\xf0\x90\x80\x80"), true },     /* U+10000 */
        { BYTES("\xf4\x8f\xbf\xbf"), true },     /* U+10FFFF */
        { BYTES("12345678\xe2\x82\xac"), true }, /* after eight ASCII bytes */
        { BYTES("\x80"), false },                /* a continuation alone */
        { BYTES("\xbf"), false },
        { BYTES("\xc0\x80"), false },         /* overlong NUL */
        { BYTES("\xc1\xbf"), false },         /* overlong */
        { BYTES("\xe0\x9f\xbf"), false },     /* overlong */
        { BYTES("\xf0\x8f\xbf\xbf"), false }, /* overlong */
        { BYTES("\xed\xa0\x80"), false },     /* U+D800 */
        { BYTES("\xed\xbf\xbf"), false },     /* U+DFFF */
        { BYTES("\xf4\x90\x80\x80"), false }, /* U+110000 */
        { BYTES("\xf5\x80\x80\x80"), false },
        { BYTES("\xff"), false },
        { BYTES("\xc2"), false }, /* cut short */
        { BYTES("\xe2\x82"), false },
        { BYTES("\xf0\x90\x80"), false },
        { BYTES("\xc2"
                "a"),
          false }, /* continuation missing */
        { BYTES("\xe2\x82"
                "a"),
          false },
        { BYTES("\xf0\x90\x80"
                "a"),
          false },
        { BYTES("12345678\xff"), false },
        { BYTES("1234567\xff"
                "9"),
          false },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        cr_expect_eq(slice_is_utf8(cases[i].bytes), cases[i].valid, "case %zu", i);
}

Test(slice, reads_plain_decimal_numbers_only)
{
    static const struct {
        const char *text;
        uint64_t most;
        bool valid;
        uint64_t value;
    } cases[] = {
        { "0", UINT64_MAX, true, 0 },
        { "7", 7, true, 7 },
        { "10", 10, true, 10 },
        { "18446744073709551615", UINT64_MAX, true, UINT64_MAX },
        { "18446744073709551616", UINT64_MAX, false, 0 },
        { "99999999999999999999999", UINT64_MAX, false, 0 },
        { "8", 7, false, 0 },
        { "11", 10, false, 0 },
        { "100", 10, false, 0 },
        { "1", 0, false, 0 },
        { "0", 0, true, 0 },
        { "", 10, false, 0 },
        { "00", 10, false, 0 },
        { "01", 10, false, 0 },
        { "+1", 10, false, 0 },
        { "-1", 10, false, 0 },
        { " 1", 10, false, 0 },
        { "1 ", 10, false, 0 },
        { "1.0", 10, false, 0 },
        { "0x1", 10, false, 0 },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint64_t value = 4711;
        bool valid = slice_to_u64(slice_of(cases[i].text), cases[i].most, &value);
        cr_expect_eq(valid, cases[i].valid, "%s", cases[i].text);
        cr_expect_eq(value, valid ? cases[i].value : 4711, "%s", cases[i].text);
    }
}

Test(text, grows_and_stays_terminated)
{
    struct text text;
    text_init(&text, 100000);
    for (int i = 0; i < 10000; i++)
        text_append_string(&text, "0123456789");
    cr_assert_eq(text.length, 100000);
    cr_assert_not(text.overflowed);
    cr_assert_eq(strlen(text.start), 100000);
    text_append_char(&text, 'x');
    cr_assert(text.overflowed);
    cr_assert_eq(strlen(text.start), 100000);
    text_finish(&text);
}

Test(text, leaves_out_what_does_not_fit_and_remembers_it)
{
    struct text text;
    text_init(&text, 4);
    text_append_string(&text, "abc");
    text_append_string(&text, "de");
    cr_assert(text.overflowed);
    cr_assert_str_eq(text.start, "abc");
    text_append_char(&text, 'd');
    cr_assert_str_eq(text.start, "abcd");
    cr_assert(text.overflowed, "stays set");
    text_printf(&text, "%d", 1);
    cr_assert_str_eq(text.start, "abcd");
    text_clear(&text);
    cr_assert_not(text.overflowed);
    cr_assert_str_eq(text.start, "");
    text_finish(&text);
}

Test(text, leaves_what_was_there_when_a_printf_does_not_fit)
{
    struct text text;
    text_init(&text, 20);
    text_append_string(&text, "abc");
    text_printf(&text, "%s", "more than twenty characters");
    cr_assert(text.overflowed);
    cr_assert_eq(text.length, 3);
    cr_assert_str_eq(text.start, "abc");
    text_printf(&text, "%s", "just seventeen ch");
    cr_assert_str_eq(text.start, "abcjust seventeen ch");
    text_finish(&text);
}

Test(text, does_not_move_within_the_room_that_was_reserved)
{
    struct text text;
    text_init(&text, 1000);
    text_reserve(&text, 600);
    const char *start = text.start;
    for (int i = 0; i < 600; i++)
        text_append_char(&text, 'x');
    cr_assert_eq(text.start, start);
    cr_assert_eq(text.length, 600);
    text_reserve(&text, 10000); /* no more than the limit leaves */
    cr_assert_not(text.overflowed);
    text_finish(&text);
}

Test(text, a_limit_of_nothing_takes_nothing)
{
    struct text text;
    text_init(&text, 0);
    text_append_char(&text, 'a');
    cr_assert(text.overflowed);
    cr_assert_eq(text.length, 0);
    text_append_json(&text, SLICE(""));
    cr_assert_eq(text.length, 0);
    text_finish(&text);
}

Test(text, an_empty_append_terminates)
{
    struct text text;
    text_init(&text, 10);
    text_append(&text, (struct slice){ NULL, 0 });
    cr_assert_str_eq(text.start, "");
    text_finish(&text);
}

Test(text, finish_takes_a_zeroed_text_and_leaves_one)
{
    struct text text = { 0 };
    text_finish(&text);
    cr_assert_null(text.start);
    text_finish(&text);
    cr_assert_eq(text_slice(&text).length, 0);
}

Test(text, writes_numbers_and_formats)
{
    struct text text;
    text_init(&text, 200);
    text_append_u64(&text, 0);
    text_append_char(&text, ' ');
    text_append_u64(&text, UINT64_MAX);
    text_printf(&text, " %s-%03d", "a", 7);
    cr_assert_str_eq(text.start, "0 18446744073709551615 a-007");
    text_finish(&text);
}

Test(text, writes_json_strings)
{
    static const struct {
        struct slice bytes;
        const char *json;
    } cases[] = {
        { BYTES(""), "\"\"" },
        { BYTES("plain"), "\"plain\"" },
        { BYTES("a\"b\\c"), "\"a\\\"b\\\\c\"" },
        { BYTES("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\"" },
        { BYTES("\0\x01\x1f\x7f"), "\"\\u0000\\u0001\\u001f\\u007f\"" },
        { BYTES("\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0"), "\"\\u0080\\u009b\\u009f\xc2\xa0\"" },
        { BYTES("/"), "\"/\"" },
        { BYTES("\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80"), "\"\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80\"" },
        { BYTES("\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xae\xe2\x80\xaf"), "\"\xe2\x80\xa7\\u2028\\u2029\\u202e\xe2\x80\xaf\"" },
        { BYTES("\xe2\x80\x8b\xe2\x81\xa6\xef\xbb\xbf\xef\xbb\xbe"), "\"\\u200b\\u2066\\ufeff\xef\xbb\xbe\"" },
        { BYTES("\xd8\x9c\xd8\x9d\xf3\xa0\x81\x81\xf3\xa0\x82\x80"), "\"\\u061c\xd8\x9d\\udb40\\udc41\xf3\xa0\x82\x80\"" },
        { BYTES("a\xff"
                "b"),
          "\"a\xef\xbf\xbd"
          "b\"" },
        { BYTES("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
        { BYTES("\xe2\x82"), "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
        { BYTES("\x1b[31m"), "\"\\u001b[31m\"" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct text text;
        text_init(&text, 100);
        text_append_json(&text, cases[i].bytes);
        cr_expect_str_eq(text.start, cases[i].json, "case %zu: %s", i, text.start);
        text_finish(&text);
    }
}

Test(text, a_json_string_fits_whole_or_not_at_all)
{
    for (size_t limit = 0; limit < 12; limit++) {
        struct text text;
        text_init(&text, limit + 1);
        text_append_char(&text, '[');
        text_append_json(&text, SLICE("a\n\xff"
                                      "bcd")); /* 11 bytes with quotes */
        cr_expect_eq(text.overflowed, limit < 11, "limit %zu", limit);
        cr_expect_str_eq(text.start, limit < 11 ? "["
                                                : "[\"a\\n\xef\xbf\xbd"
                                                  "bcd\"");
        text_finish(&text);
    }
}

Test(text, a_member_begins_whole_or_not_at_all)
{
    struct text text;
    text_init(&text, 12);
    text_append_member(&text, "ab", false);
    cr_assert_str_eq(text.start, "\"ab\":");
    text_append_member(&text, "cd", true);
    cr_assert_str_eq(text.start, "\"ab\":,\"cd\":");
    cr_assert_eq(text.length, 11);
    cr_assert_not(text.overflowed);
    text_append_member(&text, "e", true);
    cr_assert(text.overflowed);
    cr_assert_str_eq(text.start, "\"ab\":,\"cd\":");
    text_finish(&text);
}

Test(text, a_plain_json_string_fills_the_limit_to_the_last_byte)
{
    struct text text;
    text_init(&text, 6);
    text_append_json(&text, SLICE("four"));
    cr_assert_str_eq(text.start, "\"four\"");
    cr_assert_not(text.overflowed);
    text_clear(&text);
    text_append_json(&text, SLICE("fives"));
    cr_assert(text.overflowed);
    cr_assert_eq(text.length, 0);
    text_finish(&text);
}

Test(text, trims_only_what_it_is_told_to)
{
    cr_assert(slice_is(slice_trim(SLICE(" \t a b\t "), " \t"), "a b"));
    cr_assert(slice_is(slice_trim(SLICE(" \ra "), " "), "\ra"));
    cr_assert(slice_equal(slice_trim(SLICE("a\0"), " "), SLICE("a\0")), "a NUL is no blank");
    cr_assert_eq(slice_trim(SLICE("   "), " ").length, 0);
    cr_assert_eq(slice_trim(slice_of(NULL), " ").length, 0);
}

Test(text, appends_signed_numbers_to_their_ends)
{
    struct text text;
    text_init(&text, 64);
    text_append_i64(&text, INT64_MIN);
    text_append_i64(&text, -1);
    text_append_i64(&text, 0);
    text_append_i64(&text, INT64_MAX);
    cr_assert_str_eq(text.start, "-9223372036854775808-109223372036854775807");
    text_finish(&text);
}

Test(text, knows_hexadecimal_digits)
{
    static const char digits[] = "0123456789abcdef";
    for (int c = -128; c < 128; c++) {
        const char *lower = c > 0 ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;
        cr_assert_eq(text_hex_value((char)c), lower == NULL ? -1 : (int)(lower - digits), "%d", c);
    }
}

Test(text, percent_escapes_are_decoded_one_at_a_time)
{
    static const struct {
        const char *text;
        int byte;
        size_t behind;
    } cases[] = { { "a", 'a', 1 }, { "%41b", 'A', 3 }, { "%fF", 0xff, 3 }, { "%00", 0, 3 },
                  { "%4", -1, 1 }, { "%", -1, 1 },     { "%g1", -1, 1 },   { "%1g", -1, 1 } };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        size_t at = 0;
        cr_expect_eq(slice_take_decoded(slice_of(cases[i].text), &at), cases[i].byte, "%s", cases[i].text);
        cr_expect_eq(at, cases[i].behind, "%s", cases[i].text);
    }
}

Test(text, characters_are_decoded)
{
    static const struct {
        const char *text;
        uint32_t code;
    } cases[] = { { "A", 'A' }, { "\xc3\xbc", 0xfc }, { "\xe2\x82\xac", 0x20ac }, { "\xf0\x9f\x98\x80", 0x1f600 } };
    uint32_t code;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        size_t length = strlen(cases[i].text);
        cr_expect_eq(utf8_decode((const unsigned char *)cases[i].text, length, &code), length);
        cr_expect_eq(code, cases[i].code);
        if (length > 1)
            cr_expect_eq(utf8_decode((const unsigned char *)cases[i].text, length - 1, &code), 0, "cut off");
    }
}
