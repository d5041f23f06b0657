#include "consumer/commands/top_endpoints.h"

#include "consumer/base/memory.h"
#include "consumer/commands/shown.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { FIELDS = 5, LINE_BYTES = 4096, ERROR_COLUMNS = 20 };

struct row {
    uint64_t failed, deferred, seconds_ago;
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
        !slice_to_u64(fields[3], INT64_MAX, &row->seconds_ago))
        return false;
    row->error = fields[2];
    row->endpoint = fields[4];
    return true;
}

static void add(struct row *rows, size_t *count, const struct row *row)
{
    for (size_t i = 0; i < *count; i++)
        if (slice_equal(rows[i].endpoint, row->endpoint)) {
            rows[i].failed += row->failed;
            rows[i].deferred += row->deferred;
            if (row->seconds_ago < rows[i].seconds_ago) {
                rows[i].seconds_ago = row->seconds_ago;
                rows[i].error = row->error;
            }
            return;
        }
    if (*count < TOP_ENDPOINTS_MAX)
        rows[(*count)++] = *row;
}

static int compare(const void *a, const void *b)
{
    const struct row *one = a, *other = b;
    uint64_t first = one->failed + one->deferred, second = other->failed + other->deferred;
    return first < second ? 1 : first > second ? -1 : 0;
}

static void append_line(struct text *line, size_t columns, struct text *text)
{
    shown_append(text, text_slice(line), columns == 0 ? SIZE_MAX : columns);
    text_append_char(text, '\n');
    text_clear(line);
}

static void append_rows(const struct row *rows, size_t count, size_t columns, struct text *text)
{
    struct text line;
    text_init(&line, LINE_BYTES);
    text_printf(&line, "%8s %8s  %-*s %6s  %s", "FAILED", "DEFERRED", ERROR_COLUMNS, "LAST ERROR", "AGO", "WORST ENDPOINTS LATELY");
    append_line(&line, columns, text);
    for (size_t i = 0; i < count && i < TOP_ENDPOINTS_SHOWN; i++) {
        text_printf(&line, "%8" PRIu64 " %8" PRIu64 "  ", rows[i].failed, rows[i].deferred);
        shown_append_cell(&line, rows[i].error, ERROR_COLUMNS);
        text_printf(&line, " %4" PRIu64 " s  ", rows[i].seconds_ago);
        shown_append(&line, rows[i].endpoint, SIZE_MAX);
        append_line(&line, columns, text);
    }
    text_finish(&line);
}

void top_endpoints_append(struct slice pages, size_t columns, struct text *text)
{
    struct row *rows = memory_create(TOP_ENDPOINTS_MAX * sizeof(*rows)), row;
    size_t count = 0;
    while (pages.length > 0) {
        const char *end = memchr(pages.start, '\n', pages.length);
        struct slice line = { pages.start, end == NULL ? pages.length : (size_t)(end - pages.start) };
        size_t taken = line.length + (end != NULL);
        pages = (struct slice){ pages.start + taken, pages.length - taken };
        if (read_row(line, &row))
            add(rows, &count, &row);
    }
    qsort(rows, count, sizeof(*rows), compare);
    append_rows(rows, count, columns, text);
    free(rows);
}
