#include "delivery/guard_address.h"

#include "consumer/base/memory.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { V4_BITS = 32, V6_BITS = 128, MAPPED_PREFIX_BYTES = 12 };

#define V4(a, b, c, d, prefix_bits)                                                                                                                  \
    {                                                                                                                                                \
        { false, { (a), (b), (c), (d) } }, (prefix_bits)                                                                                             \
    }
#define V6(a, b, c, d, prefix_bits)                                                                                                                  \
    {                                                                                                                                                \
        { true, { (a) >> 8, (a)&0xff, (b) >> 8, (b)&0xff, (c) >> 8, (c)&0xff, (d) >> 8, (d)&0xff } }, (prefix_bits)                                  \
    }

/* What is refused unless the settings allow it: IANA's special-purpose registries (RFC 6890 and its successors), and one cloud's wire server. */
static const struct guard_cidr refused_v4[] = {
    V4(0, 0, 0, 0, 8),        /* this network */
    V4(10, 0, 0, 0, 8),       /* private */
    V4(100, 64, 0, 0, 10),    /* behind a carrier's NAT */
    V4(127, 0, 0, 0, 8),      /* loopback */
    V4(168, 63, 129, 16, 32), /* Azure's wire server, on a public address */
    V4(169, 254, 0, 0, 16),   /* link-local: metadata services */
    V4(172, 16, 0, 0, 12),    /* private */
    V4(192, 0, 0, 0, 24),     /* protocol assignments */
    V4(192, 0, 2, 0, 24),     /* documentation */
    V4(192, 88, 99, 0, 24),   /* 6to4 relays */
    V4(192, 168, 0, 0, 16),   /* private */
    V4(198, 18, 0, 0, 15),    /* benchmarks */
    V4(198, 51, 100, 0, 24),  /* documentation */
    V4(203, 0, 113, 0, 24),   /* documentation */
    V4(224, 0, 0, 0, 4),      /* multicast */
    V4(240, 0, 0, 0, 4),      /* reserved, broadcast */
};

/* Everything outside it is refused: loopback, mapped, compatible, translated, local, multicast … */
static const struct guard_cidr global_v6 = V6(0x2000, 0, 0, 0, 3);

static const struct guard_cidr refused_v6[] = {
    V6(0x2001, 0, 0, 0, 23),     /* protocol assignments: Teredo, ORCHID … */
    V6(0x2001, 0xdb8, 0, 0, 32), /* documentation */
    V6(0x2002, 0, 0, 0, 16),     /* 6to4: carries any IPv4 address */
    V6(0x3fff, 0, 0, 0, 20),     /* documentation */
};

/* ---- Reading ---- */

bool guard_address_read_v4(struct slice text, struct guard_address *address)
{
    *address = (struct guard_address){ .v6 = false };
    for (size_t part = 0; part < 4; part++) {
        const char *dot = text.length == 0 ? NULL : memchr(text.start, '.', text.length);
        bool last = dot == NULL;
        size_t length = last ? text.length : (size_t)(dot - text.start);
        uint64_t number;
        if (last != (part == 3) || !slice_to_u64((struct slice){ text.start, length }, UINT8_MAX, &number))
            return false;
        address->bytes[part] = (uint8_t)number;
        if (!last)
            text = (struct slice){ dot + 1, text.length - length - 1 };
    }
    return true;
}

bool guard_address_read_v6(struct slice text, struct guard_address *address)
{
    char string[INET6_ADDRSTRLEN];
    *address = (struct guard_address){ .v6 = true };
    /* A NUL in the text would hide what is behind it from inet_pton. */
    if (text.length == 0 || text.length >= sizeof(string) || memchr(text.start, '\0', text.length) != NULL)
        return false;
    memcpy(string, text.start, text.length);
    string[text.length] = '\0';
    return inet_pton(AF_INET6, string, address->bytes) == 1;
}

bool guard_address_is_mapped(const struct guard_address *address)
{
    static const uint8_t prefix[MAPPED_PREFIX_BYTES] = { [10] = 0xff, [11] = 0xff };
    return address->v6 && memcmp(address->bytes, prefix, sizeof(prefix)) == 0;
}

static struct guard_address v4_from(const uint8_t *four)
{
    struct guard_address address = { .v6 = false };
    memcpy(address.bytes, four, 4);
    return address;
}

/* ---- CIDRs ---- */

/* Whether the first `bits` bits are the same. */
static bool same_prefix(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    size_t whole = bits / 8;
    if (memcmp(a, b, whole) != 0)
        return false;
    unsigned rest = bits % 8;
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

static bool cidr_has(const struct guard_cidr *cidr, const struct guard_address *address)
{
    return cidr->address.v6 == address->v6 && same_prefix(cidr->address.bytes, address->bytes, cidr->bits);
}

static bool any_has(const struct guard_cidr *cidrs, size_t count, const struct guard_address *address)
{
    for (size_t i = 0; i < count; i++) {
        if (cidr_has(&cidrs[i], address))
            return true;
    }
    return false;
}

static bool has_host_bits(const struct guard_cidr *cidr)
{
    struct guard_address network = { .v6 = cidr->address.v6 };
    size_t whole = cidr->bits / 8, rest = cidr->bits % 8;
    memcpy(network.bytes, cidr->address.bytes, whole);
    if (rest > 0)
        network.bytes[whole] = (uint8_t)(cidr->address.bytes[whole] & (0xff00 >> rest));
    return memcmp(network.bytes, cidr->address.bytes, sizeof(network.bytes)) != 0;
}

static const char *cidr_read(struct slice text, struct guard_cidr *cidr)
{
    const char *slash = text.length == 0 ? NULL : memchr(text.start, '/', text.length);
    if (slash == NULL)
        return "each range must be an address and a prefix length, separated by commas without spaces: 10.0.0.0/8,fd00::/8";
    size_t length = (size_t)(slash - text.start);
    struct slice address = { text.start, length }, bits_text = { slash + 1, text.length - length - 1 };
    if (!guard_address_read_v4(address, &cidr->address) && !guard_address_read_v6(address, &cidr->address))
        return "a range does not start with an IPv4 or IPv6 address";
    uint64_t bits;
    if (!slice_to_u64(bits_text, cidr->address.v6 ? V6_BITS : V4_BITS, &bits))
        return "a prefix length must be at most 32 for IPv4 and 128 for IPv6";
    cidr->bits = (uint8_t)bits;
    if (guard_address_is_mapped(&cidr->address))
        return "a range of mapped addresses (::ffff:0:0/96) must be written as IPv4";
    if (has_host_bits(cidr))
        return "a range has bits set behind its prefix length";
    return NULL;
}

bool guard_cidrs_parse(struct slice text, struct guard_cidr **cidrs, size_t *count, const char **problem)
{
    *cidrs = NULL;
    *count = 0;
    if (text.length == 0)
        return true;
    for (;;) {
        const char *comma = memchr(text.start, ',', text.length);
        size_t length = comma == NULL ? text.length : (size_t)(comma - text.start);
        *cidrs = memory_resize(*cidrs, (*count + 1) * sizeof(**cidrs));
        *problem = cidr_read((struct slice){ text.start, length }, &(*cidrs)[*count]);
        if (*problem != NULL) {
            free(*cidrs);
            *cidrs = NULL;
            *count = 0;
            return false;
        }
        (*count)++;
        if (comma == NULL)
            return true;
        text = (struct slice){ comma + 1, text.length - length - 1 };
    }
}

static bool is_nat64_length(unsigned bits)
{
    return bits == 32 || bits == 40 || bits == 48 || bits == 56 || bits == 64 || bits == 96;
}

bool guard_nat64_parse(struct slice text, struct guard *guard, const char **problem)
{
    struct guard_cidr prefix;
    guard->has_nat64 = false;
    if (text.length == 0)
        return true;
    if (cidr_read(text, &prefix) != NULL || !prefix.address.v6 || !is_nat64_length(prefix.bits)) {
        *problem = "must be one IPv6 prefix of 32, 40, 48, 56, 64 or 96 bits with nothing set behind it, e.g. 64:ff9b::/96";
        return false;
    }
    guard->nat64 = prefix;
    guard->has_nat64 = true;
    return true;
}

/* ---- Judging ---- */

/* The IPv4 address inside an address of the NAT64 prefix (RFC 6052 §2.2): its four bytes follow the prefix, but byte 8 is skipped and must be 0.
 * False: a prefix of a length that the RFC does not know, or byte 8 is not 0; nobody can say what such an address leads to. */
static bool nat64_decode(const struct guard_cidr *prefix, const struct guard_address *address, struct guard_address *decoded)
{
    unsigned bits = prefix->bits;
    if (!is_nat64_length(bits) || (bits != 96 && address->bytes[8] != 0))
        return false;
    uint8_t four[4];
    size_t at = bits / 8;
    for (size_t i = 0; i < sizeof(four); i++) {
        if (at == 8)
            at++;
        four[i] = address->bytes[at++];
    }
    *decoded = v4_from(four);
    return true;
}

static bool is_refused_by_default(const struct guard_address *address)
{
    if (!address->v6)
        return any_has(refused_v4, COUNT_OF(refused_v4), address);
    return !cidr_has(&global_v6, address) || any_has(refused_v6, COUNT_OF(refused_v6), address);
}

/* Judges an address that is another one in truth, too: what either form denies is denied, what either allows is allowed. */
static enum guard_rule judge_forms(const struct guard *guard, const struct guard_address *dialled, const struct guard_address *reached)
{
    if (any_has(guard->deny, guard->deny_count, dialled) || any_has(guard->deny, guard->deny_count, reached))
        return GUARD_ADDRESS;
    if (any_has(guard->allow, guard->allow_count, dialled) || any_has(guard->allow, guard->allow_count, reached))
        return GUARD_OK;
    return is_refused_by_default(reached) ? GUARD_ADDRESS : GUARD_OK;
}

static bool is_unspecified(const struct guard_address *address)
{
    static const uint8_t zeros[sizeof(address->bytes)];
    return memcmp(address->bytes, zeros, address->v6 ? sizeof(zeros) : 4) == 0;
}

enum guard_rule guard_judge_address(const struct guard *guard, const struct guard_address *address)
{
    struct guard_address reached = *address;
    if (guard_address_is_mapped(address)) {
        reached = v4_from(address->bytes + MAPPED_PREFIX_BYTES);
        address = &reached;
    }
    if (is_unspecified(address)) /* to the kernel a name of loopback, in whatever range it was allowed */
        return GUARD_ADDRESS;
    if (guard->has_nat64 && cidr_has(&guard->nat64, address) && !nat64_decode(&guard->nat64, address, &reached))
        return GUARD_ADDRESS;
    return judge_forms(guard, address, &reached);
}

enum guard_rule guard_judge_sockaddr(const struct guard *guard, const struct sockaddr *address)
{
    struct guard_address judged = { .v6 = false };
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof(v4)); /* callers' buffers need not be aligned for it */
        memcpy(judged.bytes, &v4.sin_addr, 4);
    } else if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof(v6));
        judged.v6 = true;
        memcpy(judged.bytes, &v6.sin6_addr, 16);
    } else {
        return GUARD_ADDRESS;
    }
    return guard_judge_address(guard, &judged);
}
