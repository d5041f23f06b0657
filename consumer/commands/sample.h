/* Sample events, one of each kind that jobs have, for `jobhook send`. Invented people at example.com only. Pure. */
#ifndef JOBHOOK_CONSUMER_COMMANDS_SAMPLE_H
#define JOBHOOK_CONSUMER_COMMANDS_SAMPLE_H

#include "consumer/base/text.h"

#include <stdbool.h>

struct sample {
    const char *type; /* task type: find_email … */
    const char *result;
};

enum { SAMPLE_KINDS = 8 };
extern const struct sample samples[SAMPLE_KINDS];

const struct sample *sample_find(const char *type); /* NULL: no such kind */

struct sample_wish {
    const struct sample *sample;
    bool failed; /* a job that failed: an error instead of a result */
    struct slice task_id, url;
};
/* Appends the event's JSON. */
void sample_append(const struct sample_wish *wish, struct text *text);

#endif
