/* What c-ares found, as an answer. Private to names_servers.c. */
#ifndef JOBHOOK_DELIVERY_NAMES_ADDRESSES_H
#define JOBHOOK_DELIVERY_NAMES_ADDRESSES_H

#include "delivery/names.h"

struct ares_addrinfo;

/* The shortest TTL of addresses and aliases, in seconds: `ttl_max_s` at most. Of more addresses than are kept, one that `guard` refuses is; NULL: none. */
uint32_t names_addresses_take(struct names_answer *answer, const struct ares_addrinfo *info, const struct guard *guard, uint32_t ttl_max_s);

#endif
