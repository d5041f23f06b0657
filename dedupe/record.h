/* The record of one task in Redis: one number that only goes up (DESIGN §5), and how its bytes lie. Pure.
 *
 * The rank is epoch * 1000 + the rank in the block: C(n) = 3n - 2, F(n) = 3n - 1, S(n) = 3n, X = 998, D = 999. With C(n) goes the deferral number;
 * the pair (rank, deferral) is what grows. The Lua scripts compute the same; tests/edge holds both against one table. */
#ifndef JOBHOOK_DEDUPE_RECORD_H
#define JOBHOOK_DEDUPE_RECORD_H

#include "consumer/base/text.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    RANKS_PER_EPOCH = 1000,
    RANK_DEAD = 998,
    RANK_DELIVERED = 999,
    RANK_ATTEMPTS_MAX = 301, /* 300 delays and the first attempt */
    TOKEN_BYTES = 16,
    RECORD_BYTES_MAX = 64,         /* a record with a lease */
    RECORD_BYTES_SETTLED_MAX = 44, /* one without: Redis keeps it in 197 bytes, key and TTL included */
};

enum rank_kind { RANK_KIND_NONE, RANK_KIND_CLAIMED, RANK_KIND_FAILED, RANK_KIND_SCHEDULED, RANK_KIND_DEAD, RANK_KIND_DELIVERED };

uint64_t rank_claimed(uint32_t epoch, uint32_t attempt);
uint64_t rank_failed(uint32_t epoch, uint32_t attempt);
uint64_t rank_scheduled(uint32_t epoch, uint32_t attempt);
uint64_t rank_dead(uint32_t epoch);
uint64_t rank_delivered(uint32_t epoch);
enum rank_kind rank_kind(uint64_t rank);
uint32_t rank_attempt(uint64_t rank); /* of claimed, failed, scheduled; else 0 */
uint32_t rank_epoch(uint64_t rank);

struct record {
    uint64_t rank;
    uint32_t deferral; /* of a claimed one, else 0 */
    uint8_t next;      /* of a failed one: what follows, opaque here (delivery/verdict.h) */
    uint64_t digest;
    int32_t partition; /* where the event lies: the input topic's partition and offset, -1 unknown */
    int64_t offset;
    bool leased; /* then token, lease_end_ms and lease_ms hold, and due_ms does not */
    uint8_t token[TOKEN_BYTES];
    int64_t lease_end_ms; /* by Redis's clock */
    uint32_t lease_ms;    /* its full length */
    int64_t due_ms;       /* scheduled or deferred: when the next attempt is due; 0 unknown */
    uint64_t attempts;    /* delivered or dead: how many attempts were made in this epoch */
    uint16_t outcome;     /* of the last attempt that ended, opaque here (delivery/verdict.h); 0 none, or unknown */
};

/* False when the bytes are not a record of a version that this program knows. */
MUST_USE bool record_unpack(struct slice bytes, struct record *record);
/* Writes at most RECORD_BYTES_MAX bytes and returns how many. */
size_t record_pack(const struct record *record, char *bytes);

#endif
