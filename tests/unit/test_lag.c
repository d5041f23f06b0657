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
    struct lag_row rows[] = { { .topic = { topic, 4 }, .lag = 5 },
                              { .topic = { topic, 4 }, .partition = 1, .lag = 6 },
                              { .topic = SLICE("other"), .lag = 7 } };
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
    struct lag_row row = { .topic = SLICE("jobs"), .partition = 3, .lag = 9 };
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
        rows[i] = (struct lag_row){ .topic = SLICE("jobs"), .partition = (int32_t)i, .lag = 1 };
    struct lag_table *table = lag_create();
    lag_replace(table, rows, count);
    const struct lag_snapshot *snapshot = lag_take(table);
    cr_assert_eq(snapshot->count, LAG_PARTITIONS_MAX);
    cr_assert_eq(snapshot->left_out, 5);
    lag_give_back(snapshot);
    lag_destroy(table);
    free(rows);
}

/* ---- counting ---- */

static const struct lag_view behind = {
    /* 100 records, of which 40 were read and 30 are finished; asked for 2 s ago */
    .surveyed = { .at_ms = 8000, .end = 100, .undue_from = 70 },
    .now_ms = 10000,
    .delay_ms = 16000,
    .committable = 30,
    .position = 40,
    .undue_head = -1,
    .fetched_end = 45, /* its queue is full: nothing was fetched for long */
};

static struct lag_row count(const struct lag_view *view)
{
    struct lag_row row = { .is_retry = true };
    lag_count(view, &row);
    return row;
}

Test(lag, the_broker_is_believed_rather_than_the_last_fetch)
{
    struct lag_row row = count(&behind);
    cr_assert_eq(row.lag, 70);
    cr_assert_eq(row.not_due, 30);
}

Test(lag, a_fetch_newer_than_the_survey_counts)
{
    struct lag_view view = behind;
    view.fetched_end = 110;
    struct lag_row row = count(&view);
    cr_assert_eq(row.lag, 80);
    cr_assert_eq(row.not_due, 40);
}

Test(lag, a_head_that_waits_tells_exactly_what_is_not_due)
{
    struct lag_view view = behind;
    view.undue_head = 39;
    struct lag_row row = count(&view);
    cr_assert_eq(row.lag, 70);
    cr_assert_eq(row.not_due, 61);
}

Test(lag, what_was_surveyed_longer_ago_than_the_delay_is_due)
{
    struct lag_view view = behind;
    view.delay_ms = 1000;
    view.fetched_end = 110;
    struct lag_row row = count(&view);
    cr_assert_eq(row.lag, 80);
    cr_assert_eq(row.not_due, 10);
}

Test(lag, what_was_read_is_due)
{
    struct lag_view view = behind;
    view.position = 90;
    cr_assert_eq(count(&view).not_due, 10);
}

Test(lag, of_the_input_topic_nothing_waits_to_be_due)
{
    struct lag_row row = { .is_retry = false };
    lag_count(&behind, &row);
    cr_assert_eq(row.lag, 70);
    cr_assert_eq(row.not_due, 0);
}

Test(lag, what_is_not_known_is_not_zero)
{
    struct lag_view never = behind, stale = behind, unread = behind;
    never.surveyed.at_ms = 0;
    stale.now_ms = behind.surveyed.at_ms + LAG_STALE_MS + 1;
    unread.committable = unread.position = -1;
    cr_assert_eq(count(&never).lag, LAG_UNKNOWN);
    cr_assert_eq(count(&stale).lag, LAG_UNKNOWN);
    cr_assert_eq(count(&unread).lag, LAG_UNKNOWN);
}

Test(lag, nothing_is_below_zero)
{
    struct lag_view view = behind;
    view.surveyed.end = view.surveyed.undue_from = 10; /* the survey is older than what was read since */
    view.fetched_end = -1;
    struct lag_row row = count(&view);
    cr_assert_eq(row.lag, 10);
    cr_assert_eq(row.not_due, 0);
}
