/* Slices of bytes that somebody else owns, and a buffer that grows up to a limit.
 *
 * A slice is not NUL-terminated and may hold any byte. A text never grows beyond the limit it was given: what does not fit sets `overflowed`
 * and leaves the text as it was before that call, so one check at the end is enough. */
#ifndef JOBHOOK_BASE_TEXT_H
#define JOBHOOK_BASE_TEXT_H

#include "consumer/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slice {
    const char *start;
    size_t length;
};

#define SLICE(literal) ((struct slice){ (literal), sizeof(literal) - 1 })
#define SLICE_FORMAT   "%.*s" /* with SLICE_ARGS, for printf */
#define SLICE_ARGS(s)  (int)(s).length, (s).start

struct slice slice_of(const char *string); /* of a NUL-terminated string; NULL gives the empty slice */
bool slice_equal(struct slice a, struct slice b);
bool slice_is(struct slice a, const char *string);
bool slice_starts_with(struct slice a, const char *prefix);
struct slice slice_trim(struct slice a, const char *blanks); /* without any of these at either end */
bool slice_is_utf8(struct slice a);                          /* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF */
/* The length of the character at `bytes`, of which `left` are there, and its code; 0: no UTF-8. */
size_t utf8_decode(const unsigned char *bytes, size_t left, uint32_t *code);
/* Plain decimal digits, no sign, no leading zero (but "0"), at most `most`. */
MUST_USE bool slice_to_u64(struct slice a, uint64_t most, uint64_t *value);

int text_hex_value(char c); /* of a hexadecimal digit of either case; -1: it is none */
/* The byte at `*at`, or the one for which the percent escape stands that begins there; `*at` moves behind it. -1: the escape is broken, and `*at` is behind
 * its '%'. */
int slice_take_decoded(struct slice a, size_t *at);

enum { TEXT_U64_MAX = 20 };                      /* digits of 2^64 - 1 */
size_t text_write_u64(char *to, uint64_t value); /* in decimal, no NUL; returns how many digits, TEXT_U64_MAX at most */

struct text {
    char *start; /* NUL-terminated once anything was appended; owned */
    size_t length;
    size_t capacity;
    size_t limit;
    bool overflowed;
};

void text_init(struct text *text, size_t limit);
void text_finish(struct text *text);                /* takes a zeroed one, too */
void text_clear(struct text *text);                 /* keeps the memory */
void text_reserve(struct text *text, size_t bytes); /* room for so many more, up to the limit: what is appended one by one need not grow it */
void text_append(struct text *text, struct slice slice);
void text_append_string(struct text *text, const char *string);
void text_append_char(struct text *text, char c);
void text_append_u64(struct text *text, uint64_t value);
void text_append_i64(struct text *text, int64_t value);
void text_printf(struct text *text, const char *format, ...) PRINTF_LIKE(2, 3);
/* ,"name": with the comma or without: how a member of a JSON object begins. The name is a literal of ours, in which nothing is to be escaped. */
void text_append_member(struct text *text, const char *name, bool comma);
/* A JSON string with its quotes. Escaped are control characters, DEL, line ends, and what hides text or turns it round (U+202E); bytes that are not UTF-8
 * become U+FFFD. */
void text_append_json(struct text *text, struct slice slice);

static inline struct slice text_slice(const struct text *text)
{
    return (struct slice){ text->start, text->length };
}

#endif
