/* Hostile bytes on a terminal. */
#include "consumer/commands/shown.h"

#include <criterion/criterion.h>
#include <stdint.h>

static const struct {
    const char *bytes, *shown;
    size_t columns, used;
} cases[] = {
    { "plain", "plain", SIZE_MAX, 5 },
    { "", "", 10, 0 },
    { "a\nb\tc\r", "a\\nb\\tc\\r", SIZE_MAX, 9 },
    { "\033[31mred", "\\x1b[31mred", SIZE_MAX, 11 },
    { "\x7f", "\\x7f", SIZE_MAX, 4 },
    { "\xc2\x9b"
      "31m",
      "\\u{9b}31m", SIZE_MAX, 9 }, /* CSI in eight bits */
    { "\xe2\x80\xae"
      "gpj.exe",
      "\\u{202e}gpj.exe", SIZE_MAX, 15 }, /* right to left */
    { "\xff\xc3", "\\xff\\xc3", SIZE_MAX, 8 },
    { "\xed\xa0\x80", "\\xed\\xa0\\x80", SIZE_MAX, 12 }, /* half of a surrogate pair */
    { "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f", SIZE_MAX, 4 },
    { "\xe6\xbc\xa2\xe5\xad\x97", "\xe6\xbc\xa2\xe5\xad\x97", SIZE_MAX, 4 },
    { "abcdef", "abcdef", 6, 6 },
    { "abcdefg", "abcde…", 6, 6 },
    { "\xe6\xbc\xa2\xe5\xad\x97", "\xe6\xbc\xa2…", 3, 3 },
    { "ab\033c", "ab…", 5, 3 }, /* an escape is shown whole or not at all */
    { "abc", "…", 1, 1 },
    { "abc", "", 0, 0 },
};

Test(shown, shows_every_byte_and_obeys_none)
{
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct text text;
        text_init(&text, 256);
        text_append_string(&text, "");
        size_t used = shown_append(&text, slice_of(cases[i].bytes), cases[i].columns);
        cr_expect(slice_is(text_slice(&text), cases[i].shown), "case %zu: %s", i, text.start);
        cr_expect_eq(used, cases[i].used, "case %zu", i);
        text_finish(&text);
    }
}

Test(shown, fills_cells_up)
{
    struct text text;
    text_init(&text, 256);
    shown_append_cell(&text, SLICE("ab"), 4);
    shown_append_cell(&text, SLICE("\xe6\xbc\xa2\xe5\xad\x97\xe5\xad\x97"), 4);
    text_append_char(&text, '|');
    cr_expect(slice_is(text_slice(&text), "ab  \xe6\xbc\xa2… |"), "%s", text.start);
    text_finish(&text);
}
