/* Name lookups on libuv: bounded, cached by TTL (positive and negative), no threads.
 *
 * Names are looked up as absolute names, never with search domains. One slow name or dead name server delays nobody else. A name that is in use near the
 * end of its TTL is asked for anew, so that nobody has to wait when it is over; no answer is given after that. Callbacks fire exactly once, never
 * before names_find has returned, never after names_cancel. */
#ifndef JOBHOOK_DELIVERY_NAMES_H
#define JOBHOOK_DELIVERY_NAMES_H

#include "consumer/base/measure.h"
#include "delivery/guard.h"

struct uv_loop_s;
struct names;
struct names_query; /* one waiting caller */

enum { NAMES_ADDRESSES_MAX = 16 };

enum names_result {
    NAMES_FOUND,
    NAMES_NOT_FOUND,
    NAMES_FAILED,    /* no answer, or that the server failed */
    NAMES_NOT_ASKED, /* there was no socket left to ask with */
};

struct names_answer {
    enum names_result result;
    size_t count;
    struct guard_address addresses[NAMES_ADDRESSES_MAX]; /* IPv6 and IPv4 as the name servers gave them */
};

struct names_options {
    uint32_t at_once_max;      /* queries under way; the rest wait, domains take turns. 0: 256 */
    uint32_t cache_max;        /* names kept. 0: 10000 */
    uint32_t ttl_max_s;        /* 0: 60 */
    uint32_t negative_ttl_s;   /* 0: 5 */
    uint64_t timeout_ms;       /* of one query, all servers and tries. 0: 5000 */
    const struct guard *guard; /* outlives the names; of more addresses than are kept, one that it refuses is kept. NULL: none */
    const char *servers;       /* "127.0.0.1:5353,…" for tests, used by names_create alone; NULL: the system's */
    bool few_descriptors;      /* names share sockets, where they have their own otherwise: Debian 13's c-ares */
    const char *servers_file;  /* outlives the names. NULL: /etc/resolv.conf, which is read again when it changes */
};

struct names_stats {
    struct counter lookups, cached, failures;
    struct gauge under_way, waiting;
};

typedef void names_done(void *context, const struct names_answer *answer);

/* Whether few_descriptors makes a difference with this c-ares. */
bool names_may_share_sockets(void);
/* NULL when the system's configuration, or `servers`, cannot be read. */
struct names *names_create(struct uv_loop_s *loop, const struct names_options *options);
void names_destroy(struct names *names);
struct names_query *names_find(struct names *names, struct slice host, names_done *done, void *context);
void names_cancel(struct names_query *query);
/* An answer that is in the cache, at once, which may have the name asked for anew; false when a lookup is needed. */
bool names_cached(struct names *names, struct slice host, struct names_answer *answer);
const struct names_stats *names_stats(const struct names *names);

#endif
