/* Dead letters as rows: a table for people, JSON lines or CSV for programs. Pure: writes into a text. */
#ifndef JOBHOOK_CONSUMER_COMMANDS_DLQ_ROWS_H
#define JOBHOOK_CONSUMER_COMMANDS_DLQ_ROWS_H

#include "consumer/commands/entry.h"

enum dlq_format { DLQ_TABLE, DLQ_JSON, DLQ_CSV };

enum { DLQ_TABLE_COLUMNS = 100 /* a narrower terminal gets each letter in three lines */ };

struct dlq_rows {
    enum dlq_format format;
    size_t columns;    /* of the terminal; 0: none, nothing is cut */
    const char *topic; /* for JSON */
};

/* The first line of a table or of CSV; nothing for JSON. */
void dlq_rows_append_head(const struct dlq_rows *rows, struct text *text);
void dlq_rows_append(const struct dlq_rows *rows, const struct entry *entry, struct text *text);
/* Why nothing is known of it: "unreadable: why", or "" when it can be read. */
void dlq_rows_append_problem(const struct entry *entry, struct text *text);

#endif
