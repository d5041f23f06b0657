/* Which URLs and addresses may be called (the egress policy: README, "What may be called"). A webhook URL is chosen by a stranger. Pure.
 *
 * Layers: the URL's text, the name, every address of the answer, the address dialled (the peer of a reused connection included). */
#ifndef JOBHOOK_DELIVERY_GUARD_H
#define JOBHOOK_DELIVERY_GUARD_H

#include "consumer/base/text.h"

#include <stdbool.h>
#include <stdint.h>

struct sockaddr;

enum { GUARD_URL_MAX = 8192, GUARD_HOST_MAX = 253, GUARD_ORIGIN_MAX = 8 + GUARD_HOST_MAX + 8 };

enum guard_rule { /* what refused it; GUARD_OK: nothing did */
                  GUARD_OK,
                  GUARD_URL_TOO_LONG,
                  GUARD_URL_NOT_ASCII,
                  GUARD_SCHEME,
                  GUARD_HTTP_NOT_ALLOWED,
                  GUARD_USER_INFO,
                  GUARD_AUTHORITY, /* backslash, control character, percent escape, zone, empty */
                  GUARD_HOST_FORM, /* neither a canonical dotted quad, a bracketed IPv6 address, nor a name of two labels */
                  GUARD_HOST_NAME, /* a name that is refused: localhost, .internal … */
                  GUARD_PORT,
                  GUARD_PARSERS_DISAGREE, /* libcurl's parser finds another host; judged in post.c */
                  GUARD_ADDRESS,          /* a refused address, literal or resolved */
                  GUARD_PATH,             /* backslash, space or control character behind the authority */
                  GUARD_RULES,
};
const char *guard_rule_name(enum guard_rule rule); /* "scheme" …: for logs and the dead letter; never shows an address */

enum guard_host { GUARD_HOST_IS_NAME, GUARD_HOST_IS_IPV4, GUARD_HOST_IS_IPV6 };

struct guard_address { /* network byte order */
    bool v6;
    uint8_t bytes[16];
};

struct url {
    struct slice text; /* whole, as given */
    bool https;
    enum guard_host host_kind;
    struct slice host; /* as given, brackets off */
    uint16_t port;
    struct slice endpoint;             /* the URL without query and fragment, as given: slice of text */
    struct guard_address literal;      /* when the host is an address */
    char origin[GUARD_ORIGIN_MAX + 1]; /* scheme://host[:port], lower case, default port left out */
    uint16_t origin_length;
};

struct guard_cidr {
    struct guard_address address;
    uint8_t bits;
};

struct guard {
    bool allow_http;
    bool has_nat64;
    struct guard_cidr nat64; /* a /96 (or RFC 6052 length) whose addresses are decoded and judged as IPv4 */
    struct guard_cidr *allow, *deny;
    size_t allow_count, deny_count;
};

/* "10.0.0.0/8,fd00::/8": host bits must be zero. On false `*problem` is a fixed sentence. The array is allocated, the caller frees it. */
MUST_USE bool guard_cidrs_parse(struct slice text, struct guard_cidr **cidrs, size_t *count, const char **problem);

/* One prefix of a network's NAT64 (RFC 6052): "64:ff9b::/96". "": none. On false `*problem` is a fixed sentence. */
MUST_USE bool guard_nat64_parse(struct slice text, struct guard *guard, const char **problem);

/* Layers 1 and 2, and 3 for literal addresses. The url's slices point into `text`. */
enum guard_rule guard_judge_url(const struct guard *guard, struct slice text, struct url *url);
/* Layers 3 and 4. A mapped IPv4 address is unmapped first. Deny before allow before the built-in list. */
enum guard_rule guard_judge_address(const struct guard *guard, const struct guard_address *address);
enum guard_rule guard_judge_sockaddr(const struct guard *guard, const struct sockaddr *address);

#endif
