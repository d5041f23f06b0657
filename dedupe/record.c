#include "dedupe/record.h"

#include <string.h>

/* The bytes, little-endian, no padding; dedupe/scripts/record.lua reads and writes the same:
 *
 *   version 1, leased 1, rank 8, deferral 4, next 1, digest 8, partition 4, offset 8 = 35
 *   then without a lease: due, or delivered and dead: attempts 6; outcome 2 = 43
 *   or with one: token 16, lease end 6, outcome 2, lease length 4           = 63
 *
 * Six bytes of milliseconds last until the year 10889. */
enum {
    RECORD_VERSION = 1,
    RECORD_BYTES_HEAD = 35,
    MOMENT_BYTES = 6,
    OUTCOME_BYTES = 2,
    RECORD_BYTES_SETTLED = RECORD_BYTES_HEAD + MOMENT_BYTES + OUTCOME_BYTES,
    RECORD_BYTES_LEASED = RECORD_BYTES_HEAD + TOKEN_BYTES + MOMENT_BYTES + OUTCOME_BYTES + 4,
};

static_assert((int)RECORD_BYTES_SETTLED <= (int)RECORD_BYTES_SETTLED_MAX, "one byte more than Redis's cheap size");
static_assert((int)RECORD_BYTES_LEASED <= (int)RECORD_BYTES_MAX, "a leased record is too long");

static uint64_t rank_at(uint32_t epoch, uint64_t rank_in_block)
{
    return (uint64_t)epoch * RANKS_PER_EPOCH + rank_in_block;
}

uint64_t rank_claimed(uint32_t epoch, uint32_t attempt)
{
    assert(attempt >= 1 && attempt <= RANK_ATTEMPTS_MAX);
    return rank_at(epoch, 3ULL * attempt - 2);
}

uint64_t rank_failed(uint32_t epoch, uint32_t attempt)
{
    assert(attempt >= 1 && attempt <= RANK_ATTEMPTS_MAX);
    return rank_at(epoch, 3ULL * attempt - 1);
}

uint64_t rank_scheduled(uint32_t epoch, uint32_t attempt)
{
    assert(attempt >= 1 && attempt <= RANK_ATTEMPTS_MAX);
    return rank_at(epoch, 3ULL * attempt);
}

uint64_t rank_dead(uint32_t epoch)
{
    return rank_at(epoch, RANK_DEAD);
}

uint64_t rank_delivered(uint32_t epoch)
{
    return rank_at(epoch, RANK_DELIVERED);
}

enum rank_kind rank_kind(uint64_t rank)
{
    static const enum rank_kind by_rest[] = { RANK_KIND_SCHEDULED, RANK_KIND_CLAIMED, RANK_KIND_FAILED };
    uint64_t in_block = rank % RANKS_PER_EPOCH;
    if (in_block == RANK_DELIVERED)
        return RANK_KIND_DELIVERED;
    if (in_block == RANK_DEAD)
        return RANK_KIND_DEAD;
    if (in_block == 0 || in_block > 3 * RANK_ATTEMPTS_MAX)
        return RANK_KIND_NONE;
    return by_rest[in_block % 3];
}

uint32_t rank_attempt(uint64_t rank)
{
    switch (rank_kind(rank)) {
    case RANK_KIND_CLAIMED:
    case RANK_KIND_FAILED:
    case RANK_KIND_SCHEDULED:
        return (uint32_t)((rank % RANKS_PER_EPOCH + 2) / 3);
    case RANK_KIND_NONE:
    case RANK_KIND_DEAD:
    case RANK_KIND_DELIVERED:
        break;
    }
    return 0;
}

uint32_t rank_epoch(uint64_t rank)
{
    return (uint32_t)(rank / RANKS_PER_EPOCH);
}

static uint64_t take(const char **at, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = bytes; i-- > 0;)
        value = value << 8 | (uint8_t)(*at)[i];
    *at += bytes;
    return value;
}

static void put(char **at, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        (*at)[i] = (char)(uint8_t)(value >> (8 * i));
    *at += bytes;
}

/* Nothing is due any more: the place of the due time tells how many attempts it took. */
static bool is_over(uint64_t rank)
{
    return rank_kind(rank) == RANK_KIND_DEAD || rank_kind(rank) == RANK_KIND_DELIVERED;
}

bool record_unpack(struct slice bytes, struct record *record)
{
    if (bytes.length < RECORD_BYTES_HEAD || bytes.start[0] != RECORD_VERSION || (uint8_t)bytes.start[1] > 1)
        return false;
    bool leased = bytes.start[1] == 1;
    if (bytes.length != (leased ? (size_t)RECORD_BYTES_LEASED : (size_t)RECORD_BYTES_SETTLED))
        return false;
    const char *at = bytes.start + 2;
    *record = (struct record){ .leased = leased };
    record->rank = take(&at, 8);
    record->deferral = (uint32_t)take(&at, 4);
    record->next = (uint8_t)take(&at, 1);
    record->digest = take(&at, 8);
    record->partition = (int32_t)take(&at, 4);
    record->offset = (int64_t)take(&at, 8);
    if (!leased) {
        uint64_t mark = take(&at, MOMENT_BYTES);
        if (is_over(record->rank))
            record->attempts = mark;
        else
            record->due_ms = (int64_t)mark;
        record->outcome = (uint16_t)take(&at, OUTCOME_BYTES);
        return true;
    }
    memcpy(record->token, at, TOKEN_BYTES);
    at += TOKEN_BYTES;
    record->lease_end_ms = (int64_t)take(&at, MOMENT_BYTES);
    record->outcome = (uint16_t)take(&at, OUTCOME_BYTES);
    record->lease_ms = (uint32_t)take(&at, 4);
    return true;
}

size_t record_pack(const struct record *record, char *bytes)
{
    char *at = bytes;
    put(&at, RECORD_VERSION, 1);
    put(&at, record->leased ? 1 : 0, 1);
    put(&at, record->rank, 8);
    put(&at, record->deferral, 4);
    put(&at, record->next, 1);
    put(&at, record->digest, 8);
    put(&at, (uint32_t)record->partition, 4);
    put(&at, (uint64_t)record->offset, 8);
    if (!record->leased) {
        put(&at, is_over(record->rank) ? record->attempts : (uint64_t)record->due_ms, MOMENT_BYTES);
        put(&at, record->outcome, OUTCOME_BYTES);
        return (size_t)(at - bytes);
    }
    memcpy(at, record->token, TOKEN_BYTES);
    at += TOKEN_BYTES;
    put(&at, (uint64_t)record->lease_end_ms, MOMENT_BYTES);
    put(&at, record->outcome, OUTCOME_BYTES);
    put(&at, record->lease_ms, 4);
    return (size_t)(at - bytes);
}
