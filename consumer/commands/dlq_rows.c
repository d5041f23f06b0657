#include "consumer/commands/dlq_rows.h"

#include "consumer/base/json.h"
#include "consumer/base/moment.h"
#include "consumer/commands/shown.h"
#include "delivery/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PLACE_BYTES = 40, SMALL_BYTES = 256 };

enum column { TIME, PLACE, REASON, ERROR, TRIES, EPOCH, TYPE, RECEIVER, TASK, COLUMNS };

static const struct {
    const char *title, *name; /* of the table; of CSV */
    size_t width;             /* 0: the rest of the line */
} columns[COLUMNS] = {
    [TIME] = { "TIME", "time", 24 },       [PLACE] = { "AT", "at", 12 },
    [REASON] = { "REASON", "reason", 16 }, [ERROR] = { "ERROR", "error", 16 },
    [TRIES] = { "TRIES", "attempt", 5 },   [EPOCH] = { "EPOCH", "epoch", 5 },
    [TYPE] = { "TYPE", "task_type", 18 },  [RECEIVER] = { "ORIGIN", "origin", 32 },
    [TASK] = { "TASK", "task_id", 0 },
};

struct cells { /* what a row says, as text that is not yet made harmless */
    struct slice values[COLUMNS];
    struct text time, problem;
    char place[PLACE_BYTES], tries[16], epoch[16];
};

void dlq_rows_append_problem(const struct entry *entry, struct text *text)
{
    if (entry->unreadable != NULL)
        text_printf(text, "unreadable: %s", entry->unreadable);
    else if (entry->malformed != NULL)
        text_printf(text, "event unreadable: %s", entry->malformed);
}

static void fill(struct cells *cells, const struct entry *entry)
{
    text_init(&cells->time, SMALL_BYTES);
    text_init(&cells->problem, SMALL_BYTES);
    moment_append(&cells->time, entry->event->timestamp_ms);
    snprintf(cells->place, sizeof(cells->place), "%" PRId32 "/%" PRId64, entry->partition, entry->offset);
    snprintf(cells->tries, sizeof(cells->tries), "%" PRIu32, entry->attempt.number);
    snprintf(cells->epoch, sizeof(cells->epoch), "%" PRIu32, entry->attempt.epoch);
    dlq_rows_append_problem(entry, &cells->problem);
    bool readable = entry->unreadable == NULL;
    cells->values[TIME] = text_slice(&cells->time);
    cells->values[PLACE] = slice_of(cells->place);
    cells->values[REASON] = readable ? entry->reason : SLICE("unreadable");
    cells->values[ERROR] = readable ? slice_of(entry->attempt.error) : SLICE("");
    cells->values[TRIES] = readable ? slice_of(cells->tries) : SLICE("");
    cells->values[EPOCH] = readable ? slice_of(cells->epoch) : SLICE("");
    cells->values[TYPE] = entry->event->task_type;
    cells->values[RECEIVER] = slice_of(entry->receiver);
    cells->values[TASK] = entry->event->task_id.length > 0 ? entry->event->task_id : text_slice(&cells->problem);
}

static void finish(struct cells *cells)
{
    text_finish(&cells->time);
    text_finish(&cells->problem);
}

/* ---- a table ---- */

static void append_cell(struct text *text, struct slice value, size_t width)
{
    if (value.length == 0)
        value = SLICE("-");
    if (width == 0)
        shown_append(text, value, SIZE_MAX);
    else
        shown_append_cell(text, value, width);
}

/* The line is cut at the terminal's edge; what a cell holds was made harmless before, so that cutting it is, too. */
static void append_line(const struct dlq_rows *rows, struct text *line, struct text *text)
{
    while (line->length > 0 && line->start[line->length - 1] == ' ')
        line->length--;
    if (rows->columns > 0)
        shown_append(text, text_slice(line), rows->columns);
    else
        text_append(text, text_slice(line));
    text_append_char(text, '\n');
}

static void append_wide(const struct dlq_rows *rows, const struct slice *values, struct text *text)
{
    struct text line;
    text_init(&line, text->limit);
    for (int i = 0; i < COLUMNS; i++) {
        if (i > 0)
            text_append_char(&line, ' ');
        append_cell(&line, values[i], columns[i].width);
    }
    append_line(rows, &line, text);
    text_finish(&line);
}

static void append_narrow(const struct dlq_rows *rows, const struct slice *values, struct text *text)
{
    static const enum column lines[][3] = { { PLACE, REASON, ERROR }, { TASK, TASK, TASK }, { RECEIVER, RECEIVER, RECEIVER } };
    struct text line;
    text_init(&line, text->limit);
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        text_clear(&line);
        if (i > 0)
            text_append_string(&line, "  ");
        for (size_t j = 0; j < (i == 0 ? 3 : 1); j++) {
            if (j > 0)
                text_append_char(&line, ' ');
            append_cell(&line, values[lines[i][j]], 0);
        }
        append_line(rows, &line, text);
    }
    text_finish(&line);
}

static bool is_narrow(const struct dlq_rows *rows)
{
    return rows->columns > 0 && rows->columns < DLQ_TABLE_COLUMNS;
}

/* ---- CSV (RFC 4180, but with line feeds) ---- */

/* What a spreadsheet would take for a formula begins with an apostrophe; control characters are escaped as on a terminal. */
static void append_csv_cell(struct text *text, struct slice value)
{
    struct text shown;
    text_init(&shown, text->limit);
    if (value.length > 0 && memchr("=+-@", value.start[0], 4) != NULL)
        text_append_char(&shown, '\'');
    shown_append(&shown, value, SIZE_MAX);
    bool quoted = shown.length > 0 && (memchr(shown.start, ',', shown.length) != NULL || memchr(shown.start, '"', shown.length) != NULL);
    if (quoted)
        text_append_char(text, '"');
    for (size_t i = 0; i < shown.length; i++) {
        if (shown.start[i] == '"')
            text_append_char(text, '"');
        text_append_char(text, shown.start[i]);
    }
    if (quoted)
        text_append_char(text, '"');
    text_finish(&shown);
}

static void append_csv(const struct slice *values, struct text *text)
{
    for (int i = 0; i < COLUMNS; i++) {
        if (i > 0)
            text_append_char(text, ',');
        append_csv_cell(text, values[i]);
    }
    text_append_char(text, '\n');
}

/* ---- JSON ---- */

static void append_origin(struct json *json, const struct source *origin)
{
    json_open_object(json, "event");
    json_string(json, "topic", origin->topic);
    json_number(json, "partition", origin->partition);
    json_number(json, "offset", origin->offset);
    json_close_object(json);
}

static void append_attempt(struct json *json, const struct entry *entry)
{
    const struct attempt *attempt = &entry->attempt;
    json_string(json, "reason", entry->reason);
    json_string(json, "error", slice_of(attempt->error));
    json_string(json, "detail", entry->detail);
    json_number(json, "attempt", attempt->number);
    json_number(json, "epoch", attempt->epoch);
    json_number(json, "deferrals", attempt->deferral);
    json_moment(json, "first_at", attempt->first_ms);
    append_origin(json, &attempt->origin);
    if (entry->cut_from > 0)
        json_number(json, "cut_from_bytes", (int64_t)entry->cut_from);
}

static void append_json(const struct dlq_rows *rows, const struct entry *entry, struct text *text)
{
    struct json json;
    json_open(&json, text);
    json_string(&json, "topic", slice_of(rows->topic));
    json_number(&json, "partition", entry->partition);
    json_number(&json, "offset", entry->offset);
    json_moment(&json, "time", entry->event->timestamp_ms);
    if (entry->unreadable != NULL)
        json_string(&json, "unreadable", slice_of(entry->unreadable));
    else
        append_attempt(&json, entry);
    if (entry->malformed != NULL) {
        json_string(&json, "malformed", slice_of(entry->malformed));
    } else {
        json_string(&json, "task_id", entry->event->task_id);
        json_string(&json, "task_type", entry->event->task_type);
        json_string(&json, "url", report_url(entry->event, &entry->attempt));
        json_string(&json, "origin", slice_of(entry->receiver));
    }
    json_close(&json);
    text_append_char(text, '\n');
}

/* ---- all ---- */

void dlq_rows_append_head(const struct dlq_rows *rows, struct text *text)
{
    struct slice titles[COLUMNS];
    for (int i = 0; i < COLUMNS; i++)
        titles[i] = slice_of(rows->format == DLQ_CSV ? columns[i].name : columns[i].title);
    if (rows->format == DLQ_CSV)
        append_csv(titles, text);
    else if (rows->format == DLQ_TABLE && !is_narrow(rows))
        append_wide(rows, titles, text);
}

void dlq_rows_append(const struct dlq_rows *rows, const struct entry *entry, struct text *text)
{
    struct cells cells;
    if (rows->format == DLQ_JSON) {
        append_json(rows, entry, text);
        return;
    }
    fill(&cells, entry);
    if (rows->format == DLQ_CSV)
        append_csv(cells.values, text);
    else if (is_narrow(rows))
        append_narrow(rows, cells.values, text);
    else
        append_wide(rows, cells.values, text);
    finish(&cells);
}
