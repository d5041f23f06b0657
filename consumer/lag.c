#include "consumer/lag.h"

#include "consumer/base/memory.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct held_snapshot {
    struct lag_snapshot snapshot;
    _Atomic unsigned holders;
    char *names; /* of the topics */
};

struct lag_table {
    pthread_mutex_t mutex;
    struct held_snapshot *current;
};

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t undue_from(const struct lag_view *view, int64_t end)
{
    const struct lag_surveyed *surveyed = &view->surveyed;
    if (view->undue_head >= 0)
        return view->undue_head;
    bool all_of_it_is_due = view->now_ms - surveyed->at_ms >= view->delay_ms;
    int64_t from = larger(all_of_it_is_due ? surveyed->end : surveyed->undue_from, view->position);
    return from < end ? from : end;
}

void lag_count(const struct lag_view *view, struct lag_row *row)
{
    row->lag = LAG_UNKNOWN;
    row->not_due = 0;
    if (view->committable < 0 || view->surveyed.at_ms == 0 || view->now_ms - view->surveyed.at_ms > LAG_STALE_MS)
        return;
    int64_t end = larger(larger(view->surveyed.end, view->fetched_end), view->position);
    row->lag = larger(end - view->committable, 0);
    if (row->is_retry)
        row->not_due = end - larger(undue_from(view, end), view->committable);
    row->not_due = larger(row->not_due, 0);
}

static bool same_topic(const struct lag_row *rows, size_t row)
{
    return row > 0 && slice_equal(rows[row - 1].topic, rows[row].topic);
}

/* Topics come in runs (all partitions of one after the other): a name is kept once for each run. */
static size_t names_length(const struct lag_row *rows, size_t count)
{
    size_t length = 0;
    for (size_t i = 0; i < count; i++)
        if (!same_topic(rows, i))
            length += rows[i].topic.length;
    return length;
}

static struct held_snapshot *snapshot_create(const struct lag_row *rows, size_t count)
{
    struct held_snapshot *held = memory_create(sizeof *held);
    size_t kept = count < LAG_PARTITIONS_MAX ? count : LAG_PARTITIONS_MAX;
    char *name = held->names = memory_create(names_length(rows, kept) + 1);
    held->holders = 1;
    held->snapshot.left_out = count - kept;
    held->snapshot.count = kept;
    held->snapshot.rows = memory_create((kept + 1) * sizeof *rows);
    for (size_t i = 0; i < kept; i++) {
        struct lag_row *row = &held->snapshot.rows[i];
        *row = rows[i];
        if (same_topic(rows, i)) {
            row->topic = row[-1].topic;
            continue;
        }
        if (row->topic.length > 0)
            memcpy(name, row->topic.start, row->topic.length);
        row->topic.start = name;
        name += row->topic.length;
    }
    return held;
}

void lag_give_back(const struct lag_snapshot *snapshot)
{
    struct held_snapshot *held = container_of(snapshot, struct held_snapshot, snapshot);
    if (atomic_fetch_sub(&held->holders, 1) > 1)
        return;
    free(held->snapshot.rows);
    free(held->names);
    free(held);
}

struct lag_table *lag_create(void)
{
    struct lag_table *table = memory_create(sizeof *table);
    pthread_mutex_init(&table->mutex, NULL);
    table->current = snapshot_create(NULL, 0);
    return table;
}

void lag_destroy(struct lag_table *table)
{
    if (table == NULL)
        return;
    lag_give_back(&table->current->snapshot);
    pthread_mutex_destroy(&table->mutex);
    free(table);
}

void lag_replace(struct lag_table *table, const struct lag_row *rows, size_t count)
{
    struct held_snapshot *fresh = snapshot_create(rows, count);
    pthread_mutex_lock(&table->mutex);
    struct held_snapshot *old = table->current;
    table->current = fresh;
    pthread_mutex_unlock(&table->mutex);
    lag_give_back(&old->snapshot);
}

const struct lag_snapshot *lag_take(struct lag_table *table)
{
    pthread_mutex_lock(&table->mutex);
    struct held_snapshot *held = table->current;
    atomic_fetch_add(&held->holders, 1);
    pthread_mutex_unlock(&table->mutex);
    return &held->snapshot;
}
