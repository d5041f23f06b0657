#include "consumer/commands/shown.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { ESCAPE_BYTES = 16 };

struct character {
    size_t bytes;              /* of the input */
    size_t columns;            /* of the output */
    char escape[ESCAPE_BYTES]; /* "" shown as it is */
};

struct range {
    uint32_t first, last;
};

static bool is_in(uint32_t code, const struct range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (code >= ranges[i].first && code <= ranges[i].last)
            return true;
    return false;
}

/* Format characters (Unicode's Cf), line and paragraph separators, variation selectors, private use and noncharacters of the first plane. */
static bool is_hidden(uint32_t code)
{
    static const struct range ranges[] = { { 0x00, 0x1f },     { 0x7f, 0x9f },       { 0xad, 0xad },     { 0x34f, 0x34f },   { 0x600, 0x605 },
                                           { 0x61c, 0x61c },   { 0x6dd, 0x6dd },     { 0x70f, 0x70f },   { 0x115f, 0x1160 }, { 0x17b4, 0x17b5 },
                                           { 0x180b, 0x180f }, { 0x200b, 0x200f },   { 0x2028, 0x202e }, { 0x2060, 0x206f }, { 0x3164, 0x3164 },
                                           { 0xe000, 0xf8ff }, { 0xfe00, 0xfe0f },   { 0xfeff, 0xfeff }, { 0xffa0, 0xffa0 }, { 0xfff0, 0xfffb },
                                           { 0xfffe, 0xffff }, { 0xe0000, 0x10ffff } };
    return is_in(code, ranges, COUNT_OF(ranges));
}

static size_t width_of(uint32_t code)
{
    static const struct range wide[] = { { 0x1100, 0x115f },   { 0x2e80, 0x303e },   { 0x3041, 0xa4cf },   { 0xac00, 0xd7a3 },
                                         { 0xf900, 0xfaff },   { 0xfe30, 0xfe6f },   { 0xff00, 0xff60 },   { 0xffe0, 0xffe6 },
                                         { 0x1f300, 0x1f64f }, { 0x1f680, 0x1f6ff }, { 0x1f900, 0x1f9ff }, { 0x20000, 0x3fffd } };
    static const struct range combining[] = { { 0x300, 0x36f }, { 0x1ab0, 0x1aff }, { 0x1dc0, 0x1dff }, { 0x20d0, 0x20ff }, { 0xfe20, 0xfe2f } };
    if (is_in(code, combining, COUNT_OF(combining)))
        return 0;
    return is_in(code, wide, COUNT_OF(wide)) ? 2 : 1;
}

static struct character look_at(const unsigned char *bytes, size_t left)
{
    static const char short_names[] = { ['\t'] = 't', ['\n'] = 'n', ['\r'] = 'r' };
    struct character character = { 0 };
    uint32_t code = 0;
    character.bytes = utf8_decode(bytes, left, &code);
    if (character.bytes == 0 || (code < 0x80 && is_hidden(code)))
        snprintf(character.escape, sizeof character.escape, "\\x%02x", bytes[0]);
    else if (is_hidden(code))
        snprintf(character.escape, sizeof character.escape, "\\u{%x}", (unsigned)code);
    if (character.bytes == 1 && code < sizeof short_names && short_names[code] != '\0')
        snprintf(character.escape, sizeof character.escape, "\\%c", short_names[code]);
    if (character.bytes == 0)
        character.bytes = 1;
    character.columns = character.escape[0] != '\0' ? strlen(character.escape) : width_of(code);
    return character;
}

/* How many columns all of it takes, if that is at most `columns`; else more than that. */
static size_t measure(struct slice bytes, size_t columns)
{
    size_t used = 0;
    for (size_t at = 0; at < bytes.length && used <= columns;) {
        struct character character = look_at((const unsigned char *)bytes.start + at, bytes.length - at);
        used += character.columns;
        at += character.bytes;
    }
    return used;
}

/* Printable ASCII, which is nearly everything. */
static bool is_plain(struct slice bytes)
{
    for (size_t i = 0; i < bytes.length; i++)
        if (bytes.start[i] < ' ' || bytes.start[i] > '~')
            return false;
    return true;
}

size_t shown_append(struct text *text, struct slice bytes, size_t columns)
{
    if (bytes.length <= columns && is_plain(bytes)) {
        text_append(text, bytes);
        return bytes.length;
    }
    bool cut = measure(bytes, columns) > columns;
    size_t room = cut && columns > 0 ? columns - 1 : columns, used = 0;
    for (size_t at = 0; at < bytes.length;) {
        struct character character = look_at((const unsigned char *)bytes.start + at, bytes.length - at);
        if (used + character.columns > room)
            break;
        if (character.escape[0] != '\0')
            text_append_string(text, character.escape);
        else
            text_append(text, (struct slice){ bytes.start + at, character.bytes });
        used += character.columns;
        at += character.bytes;
    }
    if (cut && columns > 0) {
        text_append_string(text, "…");
        used++;
    }
    return used;
}

void shown_append_cell(struct text *text, struct slice bytes, size_t columns)
{
    static const char spaces[] = "                                ";
    for (size_t used = shown_append(text, bytes, columns), more; used < columns; used += more) {
        more = columns - used < sizeof spaces - 1 ? columns - used : sizeof spaces - 1;
        text_append(text, (struct slice){ spaces, more });
    }
}
