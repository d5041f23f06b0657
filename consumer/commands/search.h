/* A search: the records of the dead-letter or the input topic that a command's options ask for, one after another, understood.
 *
 * Memory stays bounded however many there are. Within a partition they come in order, between partitions in none. What lies in the topic when the
 * search begins is its end. */
#ifndef JOBHOOK_CONSUMER_COMMANDS_SEARCH_H
#define JOBHOOK_CONSUMER_COMMANDS_SEARCH_H

#include "consumer/commands/selection.h"
#include "consumer/commands/topic_reader.h"

#include <stdbool.h>

enum search_of { SEARCH_LETTERS, SEARCH_EVENTS };

struct search_range { /* what is left of one partition, in a run that was interrupted */
    int32_t partition;
    int64_t from, until;
};

struct search {
    const char *command; /* "dlq list": for messages */
    enum search_of of;
    const struct settings *settings; /* outlives it */
    char topic[ATTEMPT_TOPIC_MAX + 1];
    struct selection selection;
    struct topic_reader *reader;
    uint64_t records;   /* looked at so far */
    int64_t *positions; /* by partition: the offset behind the last record looked at; -1 none was */
    int32_t partitions;
};

/* The options that searches share, for getopt_long; their values come to search_take_option. */
enum {
    SEARCH_OPTION_FIRST = 1000,
    SEARCH_OPTION_SINCE = SEARCH_OPTION_FIRST + SELECTION_KINDS,
    SEARCH_OPTION_UNTIL,
    SEARCH_OPTION_AT,
    SEARCH_OPTION_IMPORT,
    SEARCH_OPTION_END
};
#define SEARCH_OPTIONS_OF_EVENTS                                                                                                                     \
    { "type", required_argument, NULL, SEARCH_OPTION_FIRST + SELECTION_TYPE },                                                                       \
        { "origin", required_argument, NULL, SEARCH_OPTION_FIRST + SELECTION_RECEIVER },                                                             \
        { "task", required_argument, NULL, SEARCH_OPTION_FIRST + SELECTION_TASK }, { "since", required_argument, NULL, SEARCH_OPTION_SINCE },        \
        { "until", required_argument, NULL, SEARCH_OPTION_UNTIL },                                                                                   \
    {                                                                                                                                                \
        "at", required_argument, NULL, SEARCH_OPTION_AT                                                                                              \
    }
#define SEARCH_OPTIONS_OF_LETTERS                                                                                                                    \
    SEARCH_OPTIONS_OF_EVENTS, { "reason", required_argument, NULL, SEARCH_OPTION_FIRST + SELECTION_REASON },                                         \
        { "error", required_argument, NULL, SEARCH_OPTION_FIRST + SELECTION_ERROR },                                                                 \
    {                                                                                                                                                \
        "import", required_argument, NULL, SEARCH_OPTION_IMPORT                                                                                      \
    }

void search_init(struct search *search, const char *command, enum search_of of);
void search_finish(struct search *search);

/* False: the value is wrong, and why was printed. `option` lies from SEARCH_OPTION_FIRST to SEARCH_OPTION_END. */
MUST_USE bool search_take_option(struct search *search, int option, const char *value);

/* Opens the topic. `left`: of an interrupted run, for each partition that it knew, from 0; NULL: from the start. On false the reason was printed. */
MUST_USE bool search_begin(struct search *search, const struct settings *settings, const struct search_range *left, size_t left_count);
/* TOPIC_RECORD: `entry` is the caller's to finish. TOPIC_SILENCE also when that time passed without a record that fits. TOPIC_PROBLEM was printed. */
enum topic_step search_next(struct search *search, uint64_t wait_ms, struct entry *entry);
/* After the first search_next: what was to be read of a partition, and what is left of it without the records that were handed out. */
struct search_range search_whole(const struct search *search, int32_t partition);
struct search_range search_left(const struct search *search, int32_t partition);

/* A file of --export: a line for each record, its place, its timestamp, and for people what it is about. */
void search_write_export_head(const struct search *search, struct text *text);
void search_write_export_line(const struct entry *entry, struct text *text);

#endif
