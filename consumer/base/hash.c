#include "consumer/base/hash.h"

#include <endian.h>
#include <string.h>

struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate(uint64_t value, unsigned bits)
{
    return (value << bits) | (value >> (64 - bits));
}

static inline void sip_round(struct sip *s)
{
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 = rotate(s->v0, 32);
    s->v2 += s->v1;
    s->v0 += s->v3;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 = rotate(s->v2, 32);
}

static inline void sip_word(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    sip_round(s);
    s->v0 ^= word;
}

/* Up to eight bytes, the first one lowest, whatever the machine's byte order. */
static inline uint64_t little_endian(const unsigned char *bytes, size_t count)
{
    uint64_t word = 0;
    if (count > 0)
        memcpy(&word, bytes, count);
    return le64toh(word);
}

uint64_t hash_slice(struct hash_key key, struct slice slice)
{
    struct sip s = {
        .v0 = key.k0 ^ 0x736f6d6570736575u,
        .v1 = key.k1 ^ 0x646f72616e646f6du,
        .v2 = key.k0 ^ 0x6c7967656e657261u,
        .v3 = key.k1 ^ 0x7465646279746573u,
    };
    const unsigned char *bytes = (const unsigned char *)slice.start;
    size_t left = slice.length;
    for (; left >= 8; left -= 8, bytes += 8)
        sip_word(&s, little_endian(bytes, 8));
    sip_word(&s, little_endian(bytes, left) | (uint64_t)slice.length << 56);
    s.v2 ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
