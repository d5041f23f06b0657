/* A selection: which records a command is about, as its options say. Pure.
 *
 * Options of one kind are alternatives, those of different kinds must all hold. An empty selection takes everything. */
#ifndef JOBHOOK_CONSUMER_COMMANDS_SELECTION_H
#define JOBHOOK_CONSUMER_COMMANDS_SELECTION_H

#include "consumer/commands/entry.h"

#include <stdbool.h>

enum { SELECTION_VALUES_MAX = 64, SELECTION_PLACES_MAX = 4 * 1000 * 1000 };

enum selection_kind { SELECTION_REASON, SELECTION_ERROR, SELECTION_TYPE, SELECTION_RECEIVER, SELECTION_TASK, SELECTION_KINDS };

struct selection_place {
    int64_t offset;
    int64_t timestamp_ms; /* of the record that was meant; -1: whichever lies there */
    int32_t partition;
};

struct selection {
    struct {
        const char *values[SELECTION_VALUES_MAX]; /* borrowed: the program's arguments */
        size_t count;
    } kinds[SELECTION_KINDS];
    int64_t since_ms, until_ms;                /* by the records' timestamps, the second excluded */
    const char *since_written, *until_written; /* as they were given; NULL: not at all, no matter when */
    bool has_places;                           /* then only these */
    struct selection_place *places;
    size_t place_count, place_room;
};

void selection_finish(struct selection *selection);

/* "reason", "exhausted". On false `*problem` is a fixed sentence: what is allowed. */
MUST_USE bool selection_add(struct selection *selection, enum selection_kind kind, const char *value, const char **problem);
/* "0/12": partition and offset; "dlq-topic/0/12" is not one. */
MUST_USE bool selection_parse_place(struct slice text, struct selection_place *place);
/* False when there are too many. */
MUST_USE bool selection_add_place(struct selection *selection, const struct selection_place *place);
/* After the last place was added, before the first match. */
void selection_sort_places(struct selection *selection);

bool selection_is_empty(const struct selection *selection);
bool selection_takes(const struct selection *selection, const struct entry *entry);
/* Whether a record there, with that timestamp, may be one of them: asked before the record is understood. */
bool selection_may_take(const struct selection *selection, const struct topic_record *record);
/* A line that is equal for selections that were asked for in the same words: an interrupted run is recognised by it. Moments are as they were written,
 * because "1h" is another moment at every run. */
void selection_write(const struct selection *selection, struct text *text);

#endif
