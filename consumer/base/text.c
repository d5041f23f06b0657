#include "consumer/base/text.h"

#include "consumer/base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct slice slice_of(const char *string)
{
    return string == NULL ? (struct slice){ "", 0 } : (struct slice){ string, strlen(string) };
}

bool slice_equal(struct slice a, struct slice b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.start, b.start, a.length) == 0);
}

bool slice_is(struct slice a, const char *string)
{
    return slice_equal(a, slice_of(string));
}

bool slice_starts_with(struct slice a, const char *prefix)
{
    struct slice start = slice_of(prefix);
    return a.length >= start.length && slice_equal((struct slice){ a.start, start.length }, start);
}

/* The length of the well-formed sequence at `bytes` (RFC 3629, table in section 4), or 0. `left` > 0. */
static size_t utf8_length(const unsigned char *bytes, size_t left)
{
    unsigned char first = bytes[0], low = 0x80, high = 0xbf; /* bounds of the second byte */
    size_t length;
    if (first < 0x80)
        return 1;
    if (first >= 0xc2 && first <= 0xdf)
        length = 2;
    else if (first >= 0xe0 && first <= 0xef)
        length = 3;
    else if (first >= 0xf0 && first <= 0xf4)
        length = 4;
    else
        return 0;
    if (first == 0xe0)
        low = 0xa0; /* shorter forms exist */
    else if (first == 0xed)
        high = 0x9f; /* surrogates */
    else if (first == 0xf0)
        low = 0x90; /* shorter forms exist */
    else if (first == 0xf4)
        high = 0x8f; /* above U+10FFFF */
    if (left < length || bytes[1] < low || bytes[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

size_t utf8_decode(const unsigned char *bytes, size_t left, uint32_t *code)
{
    size_t length = utf8_length(bytes, left);
    if (length == 0)
        return 0;
    *code = length == 1 ? bytes[0] : bytes[0] & (0xffU >> (length + 1));
    for (size_t i = 1; i < length; i++)
        *code = *code << 6 | (bytes[i] & 0x3fU);
    return length;
}

bool slice_is_utf8(struct slice a)
{
    const unsigned char *bytes = (const unsigned char *)a.start;
    size_t left = a.length;
    while (left > 0) {
        uint64_t eight;
        if (left >= sizeof(eight)) { /* most text is ASCII: eight bytes at once */
            memcpy(&eight, bytes, sizeof(eight));
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                bytes += sizeof(eight);
                left -= sizeof(eight);
                continue;
            }
        }
        size_t length = utf8_length(bytes, left);
        if (length == 0)
            return false;
        bytes += length;
        left -= length;
    }
    return true;
}

bool slice_to_u64(struct slice a, uint64_t most, uint64_t *value)
{
    uint64_t number = 0;
    if (a.length == 0 || (a.length > 1 && a.start[0] == '0'))
        return false;
    for (size_t i = 0; i < a.length; i++) {
        if (a.start[i] < '0' || a.start[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(a.start[i] - '0');
        if (digit > most || number > (most - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *value = number;
    return true;
}

struct slice slice_trim(struct slice a, const char *blanks)
{
    size_t count = strlen(blanks);
    while (a.length > 0 && memchr(blanks, a.start[0], count) != NULL)
        a = (struct slice){ a.start + 1, a.length - 1 };
    while (a.length > 0 && memchr(blanks, a.start[a.length - 1], count) != NULL)
        a.length--;
    return a;
}

int text_hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int slice_take_decoded(struct slice a, size_t *at)
{
    unsigned char byte = (unsigned char)a.start[(*at)++];
    if (byte != '%')
        return byte;
    if (a.length - *at < 2)
        return -1;
    int high = text_hex_value(a.start[*at]), low = text_hex_value(a.start[*at + 1]);
    if (high < 0 || low < 0)
        return -1;
    *at += 2;
    return high << 4 | low;
}

void text_init(struct text *text, size_t limit)
{
    assert(limit < SIZE_MAX); /* room for the NUL */
    *text = (struct text){ .limit = limit };
}

void text_finish(struct text *text)
{
    free(text->start);
    *text = (struct text){ 0 };
}

void text_clear(struct text *text)
{
    text->length = 0;
    text->overflowed = false;
    if (text->start != NULL)
        text->start[0] = '\0';
}

static bool grow(struct text *text, size_t more)
{
    if (more > text->limit - text->length) {
        text->overflowed = true;
        return false;
    }
    size_t needed = text->length + more + 1;
    size_t capacity = text->capacity < 64 ? 64 : text->capacity;
    while (capacity < needed)
        capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
    if (capacity > text->limit + 1)
        capacity = text->limit + 1;
    text->start = memory_resize(text->start, capacity);
    text->capacity = capacity;
    return true;
}

/* Makes room for `more` bytes and the NUL; false, and overflowed, when the limit is in the way. Memory never exceeds the limit, so what fits into
 * it is within the limit, too. */
static inline bool reserve(struct text *text, size_t more)
{
    return more < text->capacity - text->length || grow(text, more);
}

void text_reserve(struct text *text, size_t bytes)
{
    size_t room = text->limit - text->length;
    bool there = reserve(text, bytes < room ? bytes : room);
    assert(there);
}

void text_append(struct text *text, struct slice slice)
{
    if (!reserve(text, slice.length))
        return;
    if (slice.length > 0)
        memcpy(text->start + text->length, slice.start, slice.length);
    text->length += slice.length;
    text->start[text->length] = '\0';
}

void text_append_string(struct text *text, const char *string)
{
    text_append(text, slice_of(string));
}

void text_append_char(struct text *text, char c)
{
    if (!reserve(text, 1))
        return;
    text->start[text->length++] = c;
    text->start[text->length] = '\0';
}

size_t text_write_u64(char *to, uint64_t value)
{
    size_t count = 1;
    for (uint64_t rest = value; rest >= 10; rest /= 10)
        count++;
    for (size_t at = count; at > 0; at--, value /= 10)
        to[at - 1] = (char)('0' + value % 10);
    return count;
}

void text_append_u64(struct text *text, uint64_t value)
{
    char digits[TEXT_U64_MAX];
    text_append(text, (struct slice){ digits, text_write_u64(digits, value) });
}

void text_append_i64(struct text *text, int64_t value)
{
    if (value < 0)
        text_append_char(text, '-');
    text_append_u64(text, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void text_printf(struct text *text, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    size_t room = text->capacity - text->length;
    int length = vsnprintf(room > 0 ? text->start + text->length : NULL, room, format, arguments);
    assert(length >= 0);
    bool written = (size_t)length < room;
    if (!written && reserve(text, (size_t)length)) {
        vsnprintf(text->start + text->length, (size_t)length + 1, format, again);
        written = true;
    }
    if (written)
        text->length += (size_t)length;
    else if (room > 0)
        text->start[text->length] = '\0'; /* as it was before */
    va_end(again);
    va_end(arguments);
}

void text_append_member(struct text *text, const char *name, bool comma)
{
    size_t length = strlen(name);
    if (!reserve(text, length + 4))
        return;
    char *at = text->start + text->length;
    *at = ',';
    at += comma;
    *at++ = '"';
    memcpy(at, name, length);
    memcpy(at + length, "\":", 3); /* with the NUL */
    text->length = (size_t)(at - text->start) + length + 2;
}

/* A table, because most of what is logged and sent goes through it byte by byte: printable ASCII but '"' and '\\'. */
static inline bool json_is_plain(unsigned char c)
{
    static const uint32_t plain[8] = { 0, 0xfffffffb, 0xefffffff, 0x7fffffff };
    return (plain[c >> 5] >> (c & 31) & 1) != 0;
}

static size_t plain_run(const unsigned char *bytes, size_t left)
{
    size_t run = 0;
    while (run < left && json_is_plain(bytes[run]))
        run++;
    return run;
}

/* Nearly every string is plain as a whole. */
static bool append_json_plain(struct text *text, struct slice slice)
{
    if (slice.length >= SIZE_MAX - 2 || plain_run((const unsigned char *)slice.start, slice.length) < slice.length ||
        !reserve(text, slice.length + 2))
        return false;
    char *at = text->start + text->length;
    *at = '"';
    if (slice.length > 0)
        memcpy(at + 1, slice.start, slice.length);
    memcpy(at + 1 + slice.length, "\"", 2); /* with the NUL */
    text->length += slice.length + 2;
    return true;
}

/* Appends the ASCII character `c`, which may not stand in a JSON string as it is. */
static void append_json_escape(struct text *text, unsigned char c)
{
    static const char short_escapes[][2] = {
        { '"', '"' }, { '\\', '\\' }, { '\b', 'b' }, { '\f', 'f' }, { '\n', 'n' }, { '\r', 'r' }, { '\t', 't' }
    };
    for (size_t i = 0; i < COUNT_OF(short_escapes); i++) {
        if (short_escapes[i][0] == (char)c) {
            text_append(text, (struct slice){ (const char[]){ '\\', short_escapes[i][1] }, 2 });
            return;
        }
    }
    text_printf(text, "\\u%04x", c);
}

/* What some terminals obey (C1), line ends in JavaScript, and what makes text be shown in another order than it has, or not at all. */
static bool is_deceptive(uint32_t code)
{
    return (code >= 0x80 && code <= 0x9f) || code == 0x061c || (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2060 && code <= 0x206f) || code == 0xfeff || (code >= 0xe0000 && code <= 0xe007f);
}

/* Appends the character at `bytes`, and returns how many bytes it took. */
static size_t append_json_character(struct text *text, const unsigned char *bytes, size_t left)
{
    if (bytes[0] < 0x80) {
        append_json_escape(text, bytes[0]);
        return 1;
    }
    uint32_t code = 0;
    size_t length = utf8_decode(bytes, left, &code);
    if (length == 0) {
        text_append_string(text, "\xef\xbf\xbd"); /* U+FFFD for each such byte */
        return 1;
    }
    if (!is_deceptive(code))
        text_append(text, (struct slice){ (const char *)bytes, length });
    else if (code < 0x10000)
        text_printf(text, "\\u%04x", (unsigned)code);
    else
        text_printf(text, "\\u%04x\\u%04x", (unsigned)(0xd7c0 + (code >> 10)), (unsigned)(0xdc00 + (code & 0x3ff)));
    return length;
}

void text_append_json(struct text *text, struct slice slice)
{
    const unsigned char *bytes = (const unsigned char *)slice.start;
    bool overflowed_before = text->overflowed;
    if (append_json_plain(text, slice))
        return;
    size_t length_before = text->length;
    text->overflowed = false;
    text_append_char(text, '"');
    for (size_t at = 0; at < slice.length && !text->overflowed;) {
        size_t run = plain_run(bytes + at, slice.length - at);
        text_append(text, (struct slice){ slice.start + at, run });
        at += run;
        if (at < slice.length)
            at += append_json_character(text, bytes + at, slice.length - at);
    }
    text_append_char(text, '"');
    if (text->overflowed && text->start != NULL) {
        text->length = length_before;
        text->start[length_before] = '\0';
    }
    text->overflowed |= overflowed_before;
}
