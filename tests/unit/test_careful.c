/* When a partition is read one record at a time, for how long, and what condemns a record. */
#include "consumer/careful.h"

#include <criterion/criterion.h>

enum { BASE_MS = 30000 };

Test(careful, begins_as_redis_knows_of_deaths)
{
    static const struct {
        struct careful_note note;
        struct careful begun;
    } cases[] = {
        { { .known = true, .deaths = 0, .from = 100 }, { .mode = CAREFUL_FREE } },
        { { .known = false }, { .mode = CAREFUL_FREE } },
        { { .known = false, .deaths = 9, .from = 100 }, { .mode = CAREFUL_FREE } }, /* Redis away: nothing is suspected */
        { { .known = true, .deaths = 1, .from = 100 }, { .mode = CAREFUL_FREE } },  /* one says nothing */
        { { .known = true, .deaths = 2, .from = 100 }, { CAREFUL_ALONE, 100 + CAREFUL_RANGE, BASE_MS } },
        { { .known = true, .deaths = 3, .from = 100 }, { CAREFUL_ALONE, 100 + CAREFUL_RANGE, 2 * BASE_MS } },
        { { .known = true, .deaths = 4, .from = 0 }, { CAREFUL_ALONE, CAREFUL_RANGE, 4 * BASE_MS } },
        { { .known = true, .deaths = 8, .from = 0 }, { CAREFUL_ALONE, CAREFUL_RANGE, 64 * BASE_MS } },
        { { .known = true, .deaths = 9, .from = 0 }, { CAREFUL_ALONE, CAREFUL_RANGE, 64 * BASE_MS } },
        { { .known = true, .deaths = UINT32_MAX, .from = 0 }, { CAREFUL_ALONE, CAREFUL_RANGE, 64 * BASE_MS } },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct careful careful = careful_begin(&cases[i].note, BASE_MS);
        cr_expect_eq(careful.mode, cases[i].begun.mode, "case %zu", i);
        cr_expect_eq(careful.until, cases[i].begun.until, "case %zu", i);
        cr_expect_eq(careful.left_ms, cases[i].begun.left_ms, "case %zu", i);
    }
}

Test(careful, reads_one_record_at_a_time_only_while_it_is_alone)
{
    static const struct {
        enum careful_mode mode;
        size_t open;
        bool may;
    } cases[] = {
        { CAREFUL_UNKNOWN, 0, true }, { CAREFUL_FREE, 0, true },   { CAREFUL_FREE, 65535, true },
        { CAREFUL_ALONE, 0, true },   { CAREFUL_ALONE, 1, false }, { CAREFUL_ALONE, 65535, false },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        cr_expect_eq(careful_may_read(&(struct careful){ .mode = cases[i].mode }, cases[i].open), cases[i].may, "case %zu", i);
}

static struct careful alone_from(int64_t from)
{
    return careful_begin(&(struct careful_note){ .known = true, .deaths = CAREFUL_FROM_DEATHS, .from = from }, BASE_MS);
}

Test(careful, ends_when_the_range_was_read)
{
    struct careful careful = alone_from(1000);
    careful_spend(&careful, 1, 1001);
    careful_spend(&careful, 1, 1000 + CAREFUL_RANGE - 1);
    cr_assert_eq(careful.mode, CAREFUL_ALONE);
    careful_spend(&careful, 1, 1000 + CAREFUL_RANGE);
    cr_assert_eq(careful.mode, CAREFUL_FREE);
}

Test(careful, ends_when_its_time_is_spent)
{
    struct careful careful = alone_from(1000);
    for (int i = 1; i < 30; i++)
        careful_spend(&careful, BASE_MS / 30, 1000 + i);
    cr_assert_eq(careful.mode, CAREFUL_ALONE);
    careful_spend(&careful, BASE_MS / 30, 1030);
    cr_assert_eq(careful.mode, CAREFUL_FREE);
    careful = alone_from(0);
    careful_spend(&careful, UINT64_MAX, 1);
    cr_assert_eq(careful.mode, CAREFUL_FREE);
}

Test(careful, ends_at_the_partitions_end)
{
    struct careful careful = alone_from(1000);
    careful_reach_end(&careful);
    cr_assert_eq(careful.mode, CAREFUL_FREE);
    careful = (struct careful){ .mode = CAREFUL_UNKNOWN };
    careful_reach_end(&careful); /* nobody was asked yet, so nothing is known */
    cr_assert_eq(careful.mode, CAREFUL_UNKNOWN);
}

Test(careful, weighs_a_death_by_how_new_the_last_step_is)
{
    enum { FRESH = CAREFUL_FRESH_WEIGHT, STALE = CAREFUL_STALE_WEIGHT, T = 100000 };
    static const struct {
        uint64_t now_ms, taken_ms, busy_until_ms;
        uint32_t weight;
    } cases[] = {
        { T, T, 0, FRESH },
        { T + CAREFUL_FRESH_MS - 1, T, 0, FRESH },
        { T + CAREFUL_FRESH_MS, T, 0, STALE }, /* waits for an answer */
        { T + 5000, T, T + 20000, STALE },     /* waits for a dead holder's lease */
        { T + 100, T, T + 20000, STALE },      /* the same, asked just now */
        { T + 18499, T, T + 20000, STALE },
        { T + 18500, T, T + 20000, FRESH }, /* the lease may end before the next look */
        { T + 20000, T, T + 20000, FRESH },
        { T + 20999, T, T + 20000, FRESH }, /* granted now: it is composed and sent */
        { T + 21000, T, T + 20000, STALE },
        { T + 500, T, T - 60000, FRESH }, /* a lease of long ago, of another record */
        { T + 5000, T, T - 60000, STALE },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        cr_expect_eq(careful_weight(cases[i].now_ms, cases[i].taken_ms, cases[i].busy_until_ms), cases[i].weight, "case %zu", i);
}

Test(careful, condemns_after_three_fresh_deaths_or_four_times_as_many_stale_ones)
{
    cr_assert_not(careful_condemns(0));
    cr_assert_not(careful_condemns(2 * CAREFUL_FRESH_WEIGHT));
    cr_assert_not(careful_condemns(2 * CAREFUL_FRESH_WEIGHT + 3 * CAREFUL_STALE_WEIGHT));
    cr_assert(careful_condemns(3 * CAREFUL_FRESH_WEIGHT));
    cr_assert(careful_condemns(12 * CAREFUL_STALE_WEIGHT));
    cr_assert(careful_condemns(UINT32_MAX));
}
