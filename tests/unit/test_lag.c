#include "consumer/base/memory.h"
#include "consumer/lag.h"

#include <criterion/criterion.h>
#include <string.h>

Test(lag, a_new_table_is_empty)
{
    struct lag_table *table = lag_create();
    const struct lag_snapshot *snapshot = lag_take(table);
    cr_assert_eq(snapshot->count, 0);
    lag_give_back(snapshot);
    lag_destroy(table);
}

Test(lag, rows_are_copied_and_replaced_whole)
{
    char topic[] = "jobs";
    struct lag_row rows[] = { { { topic, 4 }, 0, 5 }, { { topic, 4 }, 1, 6 }, { SLICE("other"), 0, 7 } };
    struct lag_table *table = lag_create();
    lag_replace(table, rows, COUNT_OF(rows));
    memset(topic, 'x', sizeof topic - 1);
    const struct lag_snapshot *snapshot = lag_take(table);
    cr_assert_eq(snapshot->count, 3);
    cr_assert(slice_is(snapshot->rows[0].topic, "jobs") && slice_is(snapshot->rows[1].topic, "jobs") && slice_is(snapshot->rows[2].topic, "other"));
    cr_assert_eq(snapshot->rows[1].partition, 1);
    cr_assert_eq(snapshot->rows[1].lag, 6);
    lag_give_back(snapshot);
    lag_replace(table, rows + 2, 1);
    snapshot = lag_take(table);
    cr_assert_eq(snapshot->count, 1);
    lag_give_back(snapshot);
    lag_destroy(table);
}

Test(lag, a_snapshot_outlives_its_replacement_and_its_table)
{
    struct lag_row row = { SLICE("jobs"), 3, 9 };
    struct lag_table *table = lag_create();
    lag_replace(table, &row, 1);
    const struct lag_snapshot *snapshot = lag_take(table);
    lag_replace(table, NULL, 0);
    lag_destroy(table);
    cr_assert(slice_is(snapshot->rows[0].topic, "jobs"));
    cr_assert_eq(snapshot->rows[0].lag, 9);
    lag_give_back(snapshot);
}

Test(lag, what_is_beyond_the_limit_is_counted)
{
    size_t count = LAG_PARTITIONS_MAX + 5;
    struct lag_row *rows = memory_create(count * sizeof *rows);
    for (size_t i = 0; i < count; i++)
        rows[i] = (struct lag_row){ SLICE("jobs"), (int32_t)i, 1 };
    struct lag_table *table = lag_create();
    lag_replace(table, rows, count);
    const struct lag_snapshot *snapshot = lag_take(table);
    cr_assert_eq(snapshot->count, LAG_PARTITIONS_MAX);
    cr_assert_eq(snapshot->left_out, 5);
    lag_give_back(snapshot);
    lag_destroy(table);
    free(rows);
}
