#include "delivery/json_string.h"

#include <string.h>

enum { BYTE_END = -1, BYTE_BROKEN = -2 };

/* Gives the decoded bytes one by one. An escape may stand for up to four; those not yet given are pending. */
struct decoder {
    const char *at, *end;
    unsigned char pending[4];
    unsigned pending_count, pending_given;
};

static struct decoder decoder_of(struct slice inside)
{
    return (struct decoder){ .at = inside.start, .end = inside.start + inside.length };
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* The length of the escape at `at`, which begins with a backslash; 0: it is none. */
static size_t escape_length(const char *at, const char *end)
{
    if (end - at < 2 || memchr("\"\\/bfnrtu", at[1], 9) == NULL)
        return 0;
    if (at[1] != 'u')
        return 2;
    if (end - at < 6)
        return 0;
    return is_hex(at[2]) && is_hex(at[3]) && is_hex(at[4]) && is_hex(at[5]) ? 6 : 0;
}

bool json_string_is_well_formed(struct slice raw)
{
    if (raw.length < 2 || raw.start[0] != '"' || raw.start[raw.length - 1] != '"')
        return false;
    const char *at = raw.start + 1, *end = raw.start + raw.length - 1;
    while (at < end) {
        size_t length = *at == '\\' ? escape_length(at, end) : 1;
        if (length == 0 || *at == '"' || (unsigned char)*at < 0x20)
            return false;
        at += length;
    }
    return true;
}

struct slice json_string_inside(struct slice raw)
{
    assert(raw.length >= 2 && raw.start[0] == '"' && raw.start[raw.length - 1] == '"');
    return (struct slice){ raw.start + 1, raw.length - 2 };
}

bool json_string_is_plain(struct slice raw)
{
    return memchr(raw.start, '\\', raw.length) == NULL;
}

static uint32_t hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return (uint32_t)(c - '0');
    return (uint32_t)((c | 0x20) - 'a') + 10;
}

static uint32_t hex_read(const char *four)
{
    uint32_t unit = 0;
    for (int i = 0; i < 4; i++)
        unit = unit << 4 | hex_digit(four[i]);
    return unit;
}

static void pend_utf8(struct decoder *decoder, uint32_t code)
{
    unsigned char *out = decoder->pending;
    unsigned following; /* continuation bytes */
    if (code < 0x80) {
        out[0] = (unsigned char)code;
        following = 0;
    } else if (code < 0x800) {
        out[0] = (unsigned char)(0xc0 | code >> 6);
        following = 1;
    } else if (code < 0x10000) {
        out[0] = (unsigned char)(0xe0 | code >> 12);
        following = 2;
    } else {
        out[0] = (unsigned char)(0xf0 | code >> 18);
        following = 3;
    }
    for (unsigned i = 1; i <= following; i++)
        out[i] = (unsigned char)(0x80 | (code >> 6 * (following - i) & 0x3f));
    decoder->pending_count = following + 1;
    decoder->pending_given = 0;
}

/* Reads XXXX of \uXXXX, and the second half when it is the first half of a pair. False: a half without the other. */
static bool read_unicode_escape(struct decoder *decoder, uint32_t *code)
{
    *code = hex_read(decoder->at);
    decoder->at += 4;
    if (*code < 0xd800 || *code > 0xdfff)
        return true;
    if (*code > 0xdbff || decoder->end - decoder->at < 6 || decoder->at[0] != '\\' || decoder->at[1] != 'u')
        return false;
    uint32_t low = hex_read(decoder->at + 2);
    if (low < 0xdc00 || low > 0xdfff)
        return false;
    decoder->at += 6;
    *code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

static uint32_t short_escape(char c)
{
    switch (c) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default: /* quote, slash and backslash stand for themselves */
        return (unsigned char)c;
    }
}

static int next_byte(struct decoder *decoder)
{
    if (decoder->pending_given < decoder->pending_count)
        return decoder->pending[decoder->pending_given++];
    if (decoder->at == decoder->end)
        return BYTE_END;
    char c = *decoder->at++;
    if (c != '\\')
        return (unsigned char)c;
    c = *decoder->at++;
    uint32_t code;
    if (c != 'u')
        code = short_escape(c);
    else if (!read_unicode_escape(decoder, &code))
        return BYTE_BROKEN;
    pend_utf8(decoder, code);
    return decoder->pending[decoder->pending_given++];
}

bool json_string_decode(struct slice raw, char *decoded, size_t most, size_t *length)
{
    struct decoder decoder = decoder_of(json_string_inside(raw));
    size_t count = 0;
    int byte;
    while ((byte = next_byte(&decoder)) >= 0) {
        if (count < most)
            decoded[count] = (char)byte;
        count++;
    }
    *length = count;
    return byte == BYTE_END;
}

static bool decoders_agree(struct decoder a, struct decoder b)
{
    for (;;) {
        int byte = next_byte(&a);
        if (byte != next_byte(&b) || byte == BYTE_BROKEN)
            return false;
        if (byte == BYTE_END)
            return true;
    }
}

bool json_string_equal(struct slice a, struct slice b)
{
    if (json_string_is_plain(a) && json_string_is_plain(b))
        return slice_equal(a, b);
    return decoders_agree(decoder_of(json_string_inside(a)), decoder_of(json_string_inside(b)));
}

bool json_string_is(struct slice raw, const char *meaning)
{
    if (json_string_is_plain(raw))
        return slice_is(json_string_inside(raw), meaning);
    struct decoder wanted = { .at = meaning, .end = meaning + strlen(meaning) };
    assert(memchr(meaning, '\\', strlen(meaning)) == NULL); /* it is decoded already */
    return decoders_agree(decoder_of(json_string_inside(raw)), wanted);
}

/* FNV-1a (Fowler, Noll, Vo), of the decoded bytes. */
uint64_t json_string_hash(struct slice raw)
{
    struct decoder decoder = decoder_of(json_string_inside(raw));
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (int byte; (byte = next_byte(&decoder)) >= 0;)
        hash = (hash ^ (uint64_t)byte) * UINT64_C(0x100000001b3);
    return hash;
}
