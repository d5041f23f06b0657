#include "consumer/ledger.h"

#include <criterion/criterion.h>

static struct ledger ledger;

static void setup(void)
{
    ledger_init(&ledger);
}

static void teardown(void)
{
    ledger_finish(&ledger);
}

TestSuite(ledger, .init = setup, .fini = teardown);

Test(ledger, has_nothing_to_commit_before_anything_was_seen)
{
    cr_assert_eq(ledger_committable(&ledger), -1);
    cr_assert_eq(ledger_oldest_open(&ledger), -1);
}

Test(ledger, commits_only_up_to_the_oldest_open_offset)
{
    uint64_t slots[5];
    for (int i = 0; i < 5; i++)
        slots[i] = ledger_open(&ledger, 10 + i);
    ledger_close(&ledger, slots[1]);
    ledger_close(&ledger, slots[4]);
    cr_assert_eq(ledger_committable(&ledger), 10);
    ledger_close(&ledger, slots[0]);
    cr_assert_eq(ledger_committable(&ledger), 12);
    ledger_close(&ledger, slots[3]);
    cr_assert_eq(ledger_committable(&ledger), 12);
    ledger_close(&ledger, slots[2]);
    cr_assert_eq(ledger_committable(&ledger), 15);
}

Test(ledger, counts_offsets_never_opened_as_finished)
{
    uint64_t a = ledger_open(&ledger, 3), b = ledger_open(&ledger, 900);
    ledger_close(&ledger, a);
    cr_assert_eq(ledger_committable(&ledger), 900);
    ledger_close(&ledger, b);
    cr_assert_eq(ledger_committable(&ledger), 901);
}

Test(ledger, takes_the_partitions_end_only_when_nothing_before_it_is_open)
{
    uint64_t slot = ledger_open(&ledger, 7);
    ledger_advance(&ledger, 12);
    cr_assert_eq(ledger_committable(&ledger), 7);
    ledger_close(&ledger, slot);
    cr_assert_eq(ledger_committable(&ledger), 12);
    ledger_advance(&ledger, 5);
    cr_assert_eq(ledger_committable(&ledger), 12, "the end never goes backwards");
}

Test(ledger, says_when_it_is_full_and_has_room_again_once_the_oldest_is_closed)
{
    uint64_t first = ledger_open(&ledger, 0);
    for (int64_t offset = 1; offset < LEDGER_OPEN_MAX; offset++)
        ledger_close(&ledger, ledger_open(&ledger, offset));
    cr_assert(ledger_is_full(&ledger));
    cr_assert_eq(ledger_committable(&ledger), 0);
    ledger_close(&ledger, first);
    cr_assert_not(ledger_is_full(&ledger));
    cr_assert_eq(ledger_committable(&ledger), LEDGER_OPEN_MAX);
}

/* Against the plainest possible ledger: an array of flags. */
Test(ledger, agrees_with_a_plain_model_over_a_million_random_steps)
{
    enum { OFFSETS = 200000, OPEN_MAX = 500 };
    static bool closed[OFFSETS];
    static uint64_t open_slots[OPEN_MAX];
    static int64_t open_offsets[OPEN_MAX];
    uint64_t seed = 42;
    int64_t next = 0, low = 0;
    size_t count = 0;
    for (int step = 0; step < 1000000 && next < OFFSETS - 4; step++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        uint64_t dice = seed >> 33;
        if (count < OPEN_MAX && dice % 2 == 0) {
            for (uint64_t gap = dice % 7 == 0 ? 2 : 0; gap > 0; gap--)
                closed[next++] = true;
            open_slots[count] = ledger_open(&ledger, next);
            open_offsets[count++] = next++;
        } else if (count > 0) {
            size_t pick = dice / 2 % count;
            ledger_close(&ledger, open_slots[pick]);
            closed[open_offsets[pick]] = true;
            open_slots[pick] = open_slots[--count];
            open_offsets[pick] = open_offsets[count];
        }
        while (low < next && closed[low])
            low++;
        if (next > 0)
            cr_assert_eq(ledger_committable(&ledger), low, "step %d", step);
    }
}
