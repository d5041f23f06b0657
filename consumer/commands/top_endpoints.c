#include "consumer/commands/top_endpoints.h"

#include "consumer/base/memory.h"
#include "consumer/commands/shown.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { FIELDS = 6, LINE_BYTES = 4096, ERROR_COLUMNS = 20 };

struct row {
    uint64_t failed, deferred, seconds_ago, rests_s;
    struct slice error, endpoint;
};

static bool split(struct slice line, struct slice fields[FIELDS])
{
    for (int i = 0; i < FIELDS; i++) {
        const char *tab = line.length == 0 ? NULL : memchr(line.start, '\t', line.length);
        if ((tab == NULL) != (i == FIELDS - 1))
            return false;
        fields[i] = (struct slice){ line.start, tab == NULL ? line.length : (size_t)(tab - line.start) };
        if (tab != NULL)
            line = (struct slice){ tab + 1, line.length - fields[i].length - 1 };
    }
    return true;
}

/* The line of titles is no row: its numbers are none. */
static bool read_row(struct slice line, struct row *row)
{
    struct slice fields[FIELDS];
    if (!split(line, fields) || !slice_to_u64(fields[0], UINT32_MAX, &row->failed) || !slice_to_u64(fields[1], UINT32_MAX, &row->deferred) ||
        !slice_to_u64(fields[3], INT64_MAX, &row->seconds_ago) || !slice_to_u64(fields[4], INT64_MAX, &row->rests_s))
        return false;
    row->error = fields[2];
    row->endpoint = fields[5];
    return true;
}

static void add(struct row *rows, size_t *count, const struct row *row)
{
    for (size_t i = 0; i < *count; i++)
        if (slice_equal(rows[i].endpoint, row->endpoint)) {
            rows[i].failed += row->failed;
            rows[i].deferred += row->deferred;
            if (row->rests_s > rows[i].rests_s)
                rows[i].rests_s = row->rests_s;
            if (row->seconds_ago < rows[i].seconds_ago) {
                rows[i].seconds_ago = row->seconds_ago;
                rows[i].error = row->error;
            }
            return;
        }
    if (*count < TOP_ENDPOINTS_MAX)
        rows[(*count)++] = *row;
}

/* Greater comes first. */
static uint64_t weight_of(const struct row *row, enum top_endpoints_order order)
{
    switch (order) {
    case TOP_BY_FAILED:
        return row->failed;
    case TOP_BY_DEFERRED:
        return row->deferred;
    case TOP_BY_LAST:
        return UINT64_MAX - row->seconds_ago;
    case TOP_BY_REST:
        return row->rests_s;
    case TOP_BY_TROUBLE:
    case TOP_ENDPOINTS_ORDERS:
        break;
    }
    return row->failed + row->deferred;
}

static bool comes_before(const struct row *one, const struct row *other, enum top_endpoints_order order)
{
    uint64_t a = weight_of(one, order), b = weight_of(other, order);
    if (a == b) {
        a = weight_of(one, TOP_BY_TROUBLE);
        b = weight_of(other, TOP_BY_TROUBLE);
    }
    return a > b;
}

/* Moves the first ones to the front: no more are shown. */
static size_t choose(struct row *rows, size_t count, enum top_endpoints_order order)
{
    size_t shown = count < TOP_ENDPOINTS_SHOWN ? count : TOP_ENDPOINTS_SHOWN;
    for (size_t i = 0; i < shown; i++)
        for (size_t j = i + 1; j < count; j++)
            if (comes_before(&rows[j], &rows[i], order)) {
                struct row swap = rows[i];
                rows[i] = rows[j];
                rows[j] = swap;
            }
    return shown;
}

static void append_line(struct text *line, size_t columns, struct text *text)
{
    shown_append(text, text_slice(line), columns == 0 ? SIZE_MAX : columns);
    text_append_char(text, '\n');
    text_clear(line);
}

static void append_row(const struct row *row, size_t columns, struct text *text)
{
    struct text line;
    text_init(&line, LINE_BYTES);
    text_printf(&line, "%8" PRIu64 " %8" PRIu64 "  ", row->failed, row->deferred);
    shown_append_cell(&line, row->error, ERROR_COLUMNS);
    text_printf(&line, " %4" PRIu64 " s ", row->seconds_ago);
    if (row->rests_s == 0)
        text_append_string(&line, "     -  ");
    else
        text_printf(&line, "%4" PRIu64 " s  ", row->rests_s);
    shown_append(&line, row->endpoint, SIZE_MAX);
    append_line(&line, columns, text);
    text_finish(&line);
}

static void append_narrow_row(const struct row *row, size_t columns, struct text *text)
{
    struct text line;
    text_init(&line, LINE_BYTES);
    shown_append(&line, row->endpoint, SIZE_MAX);
    append_line(&line, columns, text);
    text_printf(&line, " %" PRIu64 " failed, %" PRIu64 " deferred, ", row->failed, row->deferred);
    if (row->rests_s > 0)
        text_printf(&line, "rests %" PRIu64 " s", row->rests_s);
    else
        shown_append(&line, row->error, ERROR_COLUMNS);
    append_line(&line, columns, text);
    text_finish(&line);
}

static bool is_narrow(const struct top_endpoints *endpoints)
{
    return endpoints->columns > 0 && endpoints->columns < TOP_ENDPOINTS_NARROW;
}

static void append_heading(const struct top_endpoints *endpoints, struct text *text)
{
    static const char *const names[TOP_ENDPOINTS_ORDERS] = { "trouble", "failed", "deferred", "last trouble", "rest" };
    struct text line;
    text_init(&line, LINE_BYTES);
    bool narrow = is_narrow(endpoints);
    if (!narrow)
        text_printf(&line, "%8s %8s  %-*s %6s %6s  ", "FAILED", "DEFERRED", ERROR_COLUMNS, "LAST ERROR", "AGO", "RESTS");
    text_append_string(&line, narrow ? "ENDPOINTS" : "WORST ENDPOINTS LATELY");
    if (endpoints->keys != NULL)
        text_printf(&line, ", by %s (%s)", names[endpoints->order], endpoints->keys);
    append_line(&line, endpoints->columns, text);
    text_finish(&line);
}

void top_endpoints_append(const struct top_endpoints *endpoints, struct text *text)
{
    struct row *rows = memory_create(TOP_ENDPOINTS_MAX * sizeof(*rows)), row;
    size_t count = 0;
    for (struct slice pages = endpoints->pages; pages.length > 0;) {
        const char *end = memchr(pages.start, '\n', pages.length);
        struct slice line = { pages.start, end == NULL ? pages.length : (size_t)(end - pages.start) };
        size_t taken = line.length + (end != NULL);
        pages = (struct slice){ pages.start + taken, pages.length - taken };
        if (read_row(line, &row))
            add(rows, &count, &row);
    }
    append_heading(endpoints, text);
    count = choose(rows, count, endpoints->order);
    for (size_t i = 0; i < count; i++)
        (is_narrow(endpoints) ? append_narrow_row : append_row)(&rows[i], endpoints->columns, text);
    free(rows);
}
