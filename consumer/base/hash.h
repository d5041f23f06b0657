/* SipHash-2-4 (Aumasson, Bernstein 2012): tables keyed with a random key cannot be flooded by customers who choose the names;
 * digests use a fixed key and are therefore the same in every process and version. */
#ifndef JOBHOOK_BASE_HASH_H
#define JOBHOOK_BASE_HASH_H

#include "consumer/base/text.h"

#include <stdint.h>

struct hash_key {
    uint64_t k0, k1;
};

uint64_t hash_slice(struct hash_key key, struct slice slice);

#endif
