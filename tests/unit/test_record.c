#include "dedupe/record.h"

#include <criterion/criterion.h>
#include <string.h>

static const uint32_t epochs[] = { 0, 1, 2, 41, 1000000, UINT32_MAX };

Test(record, ranks_state_their_kind_attempt_and_epoch)
{
    for (size_t e = 0; e < COUNT_OF(epochs); e++) {
        uint32_t epoch = epochs[e];
        for (uint32_t n = 1; n <= RANK_ATTEMPTS_MAX; n++) {
            const struct {
                uint64_t rank, in_block;
                enum rank_kind kind;
            } cases[] = {
                { rank_claimed(epoch, n), 3 * n - 2, RANK_KIND_CLAIMED },
                { rank_failed(epoch, n), 3 * n - 1, RANK_KIND_FAILED },
                { rank_scheduled(epoch, n), 3 * n, RANK_KIND_SCHEDULED },
            };
            for (size_t i = 0; i < COUNT_OF(cases); i++) {
                cr_assert_eq(cases[i].rank, (uint64_t)epoch * 1000 + cases[i].in_block);
                cr_assert_eq(rank_kind(cases[i].rank), cases[i].kind);
                cr_assert_eq(rank_attempt(cases[i].rank), n);
                cr_assert_eq(rank_epoch(cases[i].rank), epoch);
            }
        }
    }
}

Test(record, ranks_of_the_end_state_no_attempt)
{
    for (size_t e = 0; e < COUNT_OF(epochs); e++) {
        uint64_t dead = rank_dead(epochs[e]), delivered = rank_delivered(epochs[e]);
        cr_assert_eq(dead, (uint64_t)epochs[e] * 1000 + 998);
        cr_assert_eq(delivered, (uint64_t)epochs[e] * 1000 + 999);
        cr_assert_eq(rank_kind(dead), RANK_KIND_DEAD);
        cr_assert_eq(rank_kind(delivered), RANK_KIND_DELIVERED);
        cr_assert_eq(rank_attempt(dead), 0);
        cr_assert_eq(rank_attempt(delivered), 0);
        cr_assert_eq(rank_epoch(dead), epochs[e]);
        cr_assert_eq(rank_epoch(delivered), epochs[e]);
    }
}

Test(record, ranks_only_go_up_along_a_life_and_from_epoch_to_epoch)
{
    uint64_t last = 0;
    for (uint32_t epoch = 0; epoch < 3; epoch++) {
        for (uint32_t n = 1; n <= RANK_ATTEMPTS_MAX; n++) {
            const uint64_t life[] = { rank_claimed(epoch, n), rank_failed(epoch, n), rank_scheduled(epoch, n) };
            for (size_t i = 0; i < COUNT_OF(life); i++) {
                cr_assert_gt(life[i], last);
                last = life[i];
            }
        }
        cr_assert_gt(rank_dead(epoch), last);
        cr_assert_gt(rank_delivered(epoch), rank_dead(epoch));
        last = rank_delivered(epoch);
    }
}

Test(record, every_number_of_a_block_has_one_kind)
{
    size_t kinds[RANK_KIND_DELIVERED + 1] = { 0 };
    for (uint64_t in_block = 0; in_block < RANKS_PER_EPOCH; in_block++)
        kinds[rank_kind(7000 + in_block)]++;
    cr_assert_eq(kinds[RANK_KIND_CLAIMED], RANK_ATTEMPTS_MAX);
    cr_assert_eq(kinds[RANK_KIND_FAILED], RANK_ATTEMPTS_MAX);
    cr_assert_eq(kinds[RANK_KIND_SCHEDULED], RANK_ATTEMPTS_MAX);
    cr_assert_eq(kinds[RANK_KIND_DEAD], 1);
    cr_assert_eq(kinds[RANK_KIND_DELIVERED], 1);
    cr_assert_eq(kinds[RANK_KIND_NONE], RANKS_PER_EPOCH - 3 * RANK_ATTEMPTS_MAX - 2);
}

Test(record, the_largest_rank_is_exact_as_a_double)
{
    uint64_t largest = rank_delivered(UINT32_MAX);
    cr_assert_lt(largest, 1ULL << 53);
    cr_assert_eq((uint64_t)(double)largest, largest);
}

static void assert_same(const struct record *a, const struct record *b)
{
    cr_assert_eq(a->rank, b->rank);
    cr_assert_eq(a->deferral, b->deferral);
    cr_assert_eq(a->next, b->next);
    cr_assert_eq(a->digest, b->digest);
    cr_assert_eq(a->partition, b->partition);
    cr_assert_eq(a->offset, b->offset);
    cr_assert_eq(a->leased, b->leased);
    cr_assert_arr_eq(a->token, b->token, TOKEN_BYTES);
    cr_assert_eq(a->lease_end_ms, b->lease_end_ms);
    cr_assert_eq(a->lease_ms, b->lease_ms);
    cr_assert_eq(a->due_ms, b->due_ms);
    cr_assert_eq(a->attempts, b->attempts);
    cr_assert_eq(a->outcome, b->outcome);
}

static const struct place {
    int32_t partition;
    int64_t offset;
} places[] = { { -1, -1 }, { 0, 0 }, { 5, 123456789012345 }, { INT32_MAX, INT64_MAX } };

/* Every combination of the edges of each member. */
static void for_each_record(void (*visit)(const struct record *record))
{
    static const uint64_t ranks[] = { 0, 1, 999, 4294967295999 }, digests[] = { 0, 1, 0x8000000000000000, UINT64_MAX };
    static const uint32_t deferrals[] = { 0, 1, UINT32_MAX };
    static const uint8_t nexts[] = { 0, 1, 255 };
    static const int64_t times[] = { 0, 1, 1700000000000, 0xffffffffffff };
    for (size_t i = 0; i < COUNT_OF(ranks) * COUNT_OF(digests) * COUNT_OF(deferrals) * COUNT_OF(nexts) * COUNT_OF(places) * COUNT_OF(times) * 2;
         i++) {
        size_t rest = i;
        struct record record = { .rank = ranks[rest % COUNT_OF(ranks)] };
        record.digest = digests[(rest /= COUNT_OF(ranks)) % COUNT_OF(digests)];
        record.deferral = deferrals[(rest /= COUNT_OF(digests)) % COUNT_OF(deferrals)];
        record.next = nexts[(rest /= COUNT_OF(deferrals)) % COUNT_OF(nexts)];
        const struct place *place = &places[(rest /= COUNT_OF(nexts)) % COUNT_OF(places)];
        record.partition = place->partition;
        record.offset = place->offset;
        int64_t time = times[(rest /= COUNT_OF(places)) % COUNT_OF(times)];
        record.leased = (rest / COUNT_OF(times)) % 2 == 1;
        if (record.leased) {
            memset(record.token, (int)(i % 256), TOKEN_BYTES);
            record.lease_end_ms = time;
            record.lease_ms = (uint32_t)time;
        } else if (rank_kind(record.rank) == RANK_KIND_DELIVERED) {
            record.attempts = (uint64_t)time;
        } else {
            record.due_ms = time;
        }
        record.outcome = (uint16_t)(time * 3);
        visit(&record);
    }
}

static void assert_round_trip(const struct record *record)
{
    char bytes[RECORD_BYTES_MAX];
    size_t length = record_pack(record, bytes);
    cr_assert_leq(length, record->leased ? RECORD_BYTES_MAX : RECORD_BYTES_SETTLED_MAX);
    struct record again;
    cr_assert(record_unpack((struct slice){ bytes, length }, &again));
    assert_same(record, &again);
}

Test(record, packs_and_unpacks_every_member_within_its_size)
{
    for_each_record(assert_round_trip);
}

Test(record, its_bytes_lie_where_the_scripts_expect_them)
{
    const struct record record = { .rank = 0x0102030405060708,
                                   .deferral = 0x11121314,
                                   .next = 0x21,
                                   .digest = 0x3132333435363738,
                                   .partition = 0x41424344,
                                   .offset = 0x5152535455565758,
                                   .due_ms = 0x616263646566,
                                   .outcome = 0x7172 };
    static const char expected[] = "\x01\x00\x08\x07\x06\x05\x04\x03\x02\x01\x14\x13\x12\x11\x21\x38\x37\x36\x35\x34\x33\x32\x31"
                                   "\x44\x43\x42\x41\x58\x57\x56\x55\x54\x53\x52\x51\x66\x65\x64\x63\x62\x61\x72\x71";
    char bytes[RECORD_BYTES_MAX];
    cr_assert_eq(record_pack(&record, bytes), sizeof expected - 1);
    cr_assert_arr_eq(bytes, expected, sizeof expected - 1);
}

Test(record, the_due_time_of_what_is_over_is_the_number_of_its_attempts)
{
    for (int dead = 0; dead < 2; dead++) {
        const struct record record = { .rank = dead ? rank_dead(2) : rank_delivered(2), .attempts = 6, .outcome = 503 };
        char bytes[RECORD_BYTES_MAX];
        struct record again;
        cr_assert(record_unpack((struct slice){ bytes, record_pack(&record, bytes) }, &again));
        cr_assert_eq(again.attempts, 6);
        cr_assert_eq(again.due_ms, 0);
        cr_assert_eq(again.outcome, 503);
    }
}

Test(record, an_unknown_place_is_twelve_bytes_of_255)
{
    const struct record record = { .partition = -1, .offset = -1 };
    char bytes[RECORD_BYTES_MAX];
    record_pack(&record, bytes);
    for (size_t i = 23; i < 35; i++)
        cr_assert_eq((unsigned char)bytes[i], 255);
}

Test(record, bytes_of_another_version_or_length_are_not_read)
{
    char bytes[RECORD_BYTES_MAX + 1] = { 0 };
    for (int leased = 0; leased < 2; leased++) {
        const struct record record = { .rank = 1, .leased = leased == 1 };
        size_t length = record_pack(&record, bytes);
        struct record again;
        for (size_t other = 0; other <= sizeof bytes; other++)
            cr_assert_eq(record_unpack((struct slice){ bytes, other }, &again), other == length);
        for (int version = 0; version < 256; version++) {
            bytes[0] = (char)version;
            cr_assert_eq(record_unpack((struct slice){ bytes, length }, &again), version == 1);
        }
        bytes[0] = 1;
        for (int flag = 2; flag < 256; flag++) {
            bytes[1] = (char)flag;
            cr_assert_not(record_unpack((struct slice){ bytes, length }, &again));
        }
    }
}
