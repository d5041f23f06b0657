/* A record of JOBHOOK_ATTEMPTS_TOPIC, read back. Pure.
 *
 * Whoever may write to the topic may write anything: what is no attempt is told apart, never guessed. */
#ifndef JOBHOOK_CONSUMER_COMMANDS_ATTEMPT_ROW_H
#define JOBHOOK_CONSUMER_COMMANDS_ATTEMPT_ROW_H

#include "consumer/base/text.h"

#include <stdint.h>

struct attempt_row {
    struct text task_id, origin, outcome, response; /* decoded */
    int64_t time_ms;
    uint64_t attempt, epoch, total_ms;
};

void attempt_row_init(struct attempt_row *row);
void attempt_row_finish(struct attempt_row *row);
/* May be used again and again. False: it is none. */
MUST_USE bool attempt_row_read(struct attempt_row *row, struct slice value);

/* The value of an object's member as it is written; false: there is none, or this is no object. Takes the first of that name. */
MUST_USE bool attempt_row_find(struct slice object, const char *name, struct slice *raw);

#endif
