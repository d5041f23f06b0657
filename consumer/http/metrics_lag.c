#include "consumer/base/memory.h"
#include "consumer/http/metrics_inside.h"
#include "consumer/lag.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int compare_lag(const void *left, const void *right)
{
    const struct lag_row *a = left, *b = right;
    size_t shorter = a->topic.length < b->topic.length ? a->topic.length : b->topic.length;
    int order = shorter == 0 ? 0 : memcmp(a->topic.start, b->topic.start, shorter);
    if (order == 0 && a->topic.length != b->topic.length)
        order = a->topic.length < b->topic.length ? -1 : 1;
    return order != 0 ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

/* Text format: backslash, quote and newline are escaped. Kafka's topic names have none; a broker's word is not relied on. */
static void append_label(struct text *text, struct slice value)
{
    for (size_t i = 0; i < value.length; i++) {
        char c = value.start[i];
        if (c == '\\' || c == '"')
            text_append_char(text, '\\');
        if (c == '\n')
            text_append_string(text, "\\n");
        else
            text_append_char(text, c);
    }
}

/* While a partition moves from one worker to another, both may name it: a series may appear only once. */
static size_t sort_rows(struct lag_row *rows, size_t count)
{
    size_t kept = 0;
    qsort(rows, count, sizeof *rows, compare_lag);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || compare_lag(&rows[kept - 1], &rows[i]) != 0)
            rows[kept++] = rows[i];
    return kept;
}

static void write_lag_rows(const struct lag_row *rows, size_t count, struct text *text)
{
    metrics_write_head(text, "consumer_lag", "gauge",
                       "Records that a partition still has before this group, against the last stable offset; absent while not known.");
    for (size_t i = 0; i < count; i++) {
        if (rows[i].lag == LAG_UNKNOWN)
            continue;
        text_append_string(text, METRICS_PREFIX "consumer_lag{topic=\"");
        append_label(text, rows[i].topic);
        text_printf(text, "\",partition=\"%" PRId32 "\"} %" PRId64 "\n", rows[i].partition, rows[i].lag);
    }
}

/* jobs.completed.retry.16s → 16s */
static struct slice delay_of(struct slice topic)
{
    const char *end = topic.start + topic.length, *dot = memrchr(topic.start, '.', topic.length);
    return dot == NULL ? topic : (struct slice){ dot + 1, (size_t)(end - dot - 1) };
}

static void write_retry_records(const struct lag_row *topic, const char *state, int64_t count, struct text *text)
{
    text_append_string(text, METRICS_PREFIX "retry_records{delay=\"");
    append_label(text, delay_of(topic->topic));
    text_printf(text, "\",state=\"%s\"} %" PRId64 "\n", state, count);
}

/* All partitions of one topic; nothing when one of them is not known. Returns where the next topic begins. */
static size_t write_retry_topic(const struct lag_row *rows, size_t count, struct text *text)
{
    int64_t due = 0, not_due = 0;
    bool known = rows[0].is_retry;
    size_t i = 0;
    for (; i < count && slice_equal(rows[i].topic, rows[0].topic); i++) {
        known = known && rows[i].lag != LAG_UNKNOWN;
        due += rows[i].lag - rows[i].not_due;
        not_due += rows[i].not_due;
    }
    if (!known)
        return i;
    write_retry_records(rows, "due", due, text);
    write_retry_records(rows, "not_due", not_due, text);
    return i;
}

static void write_retries(const struct lag_row *rows, size_t count, struct text *text)
{
    metrics_write_head(
        text, "retry_records", "gauge",
        "Records of this process's retry partitions that are not finished, by delay. not_due: exact while the first one of a partition "
        "waits, because due times of a topic never go backwards; else by the records' timestamps as of at most 7 s ago. Absent while "
        "not known.");
    for (size_t i = 0; i < count;)
        i += write_retry_topic(rows + i, count - i, text);
}

void metrics_write_lag(const struct service_status *status, struct text *text)
{
    const struct lag_snapshot **snapshots = memory_create((status->worker_count + 1) * sizeof *snapshots);
    size_t count = 0, left_out = 0;
    for (size_t i = 0; i < status->worker_count; i++) {
        if (status->workers[i]->lag == NULL)
            continue;
        snapshots[i] = lag_take(status->workers[i]->lag);
        count += snapshots[i]->count;
        left_out += snapshots[i]->left_out;
    }
    struct lag_row *rows = memory_create((count + 1) * sizeof *rows);
    size_t filled = 0;
    for (size_t i = 0; i < status->worker_count; i++) {
        if (snapshots[i] == NULL)
            continue;
        memcpy(rows + filled, snapshots[i]->rows, snapshots[i]->count * sizeof *rows);
        filled += snapshots[i]->count;
    }
    count = sort_rows(rows, count);
    write_lag_rows(rows, count, text);
    write_retries(rows, count, text);
    metrics_write_head(text, "consumer_lag_left_out", "gauge", "Partitions whose lag is not shown because there are too many.");
    text_printf(text, METRICS_PREFIX "consumer_lag_left_out %zu\n", left_out);
    for (size_t i = 0; i < status->worker_count; i++)
        if (snapshots[i] != NULL)
            lag_give_back(snapshots[i]);
    free(rows);
    free(snapshots);
}
