/* Any bytes as a record in Redis: what is read is written with the same bytes again, and every rank has one meaning. */
#include "dedupe/record.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_rank(uint64_t rank)
{
    enum rank_kind kind = rank_kind(rank);
    uint32_t epoch = rank_epoch(rank), attempt = rank_attempt(rank);
    bool counted = kind == RANK_KIND_CLAIMED || kind == RANK_KIND_FAILED || kind == RANK_KIND_SCHEDULED;
    assert(counted ? attempt >= 1 && attempt <= RANK_ATTEMPTS_MAX : attempt == 0);
    if (rank / RANKS_PER_EPOCH > UINT32_MAX)
        return;
    assert(kind != RANK_KIND_CLAIMED || rank_claimed(epoch, attempt) == rank);
    assert(kind != RANK_KIND_FAILED || rank_failed(epoch, attempt) == rank);
    assert(kind != RANK_KIND_SCHEDULED || rank_scheduled(epoch, attempt) == rank);
    assert(kind != RANK_KIND_DEAD || rank_dead(epoch) == rank);
    assert(kind != RANK_KIND_DELIVERED || rank_delivered(epoch) == rank);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice bytes = { (const char *)data, size };
    struct record record;
    char again[RECORD_BYTES_MAX];
    if (!record_unpack(bytes, &record))
        return 0;
    size_t length = record_pack(&record, again);
    assert(length == size && memcmp(again, data, size) == 0);
    expect_rank(record.rank);
    return 0;
}
