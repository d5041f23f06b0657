/* Whose an origin is, as far as its host tells: a stranger has names, ports and addresses by the thousand, but few sites. A site is a domain, that
 * is the last two labels of a name, or three as in example.co.uk; of IPv4 addresses a /24; of IPv6 addresses a /32, as whoever has one has 65,536 /48s.
 * Pure. */
#ifndef JOBHOOK_DELIVERY_SITE_H
#define JOBHOOK_DELIVERY_SITE_H

#include "consumer/base/hash.h"
#include "delivery/guard.h"

/* Of a name in lower case without a dot at its end. */
struct slice site_domain(struct slice host);
uint64_t site_hash(struct hash_key key, const struct url *url);

#endif
