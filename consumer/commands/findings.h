/* What `jobhook doctor` found: a list of findings, each with what to do, and how it is shown. Pure. */
#ifndef JOBHOOK_CONSUMER_COMMANDS_FINDINGS_H
#define JOBHOOK_CONSUMER_COMMANDS_FINDINGS_H

#include "consumer/base/text.h"

#include <stddef.h>

enum finding_state { FINDING_OK, FINDING_WARNING, FINDING_BROKEN, FINDING_STATES };

struct finding {
    enum finding_state state;
    char *subject; /* what was looked at */
    char *text;    /* what it is like */
    char *cure;    /* what to do; NULL: nothing */
};

struct findings {
    struct finding *rows;
    size_t count;
};

/* `cure` may be NULL. Strings are copied. */
void findings_add(struct findings *findings, enum finding_state state, const char *subject, const char *cure, const char *format, ...)
    PRINTF_LIKE(5, 6);
void findings_finish(struct findings *findings);

size_t findings_count(const struct findings *findings, enum finding_state state);
/* One line each, the cure in a line of its own; at last how many there are of each. */
void findings_write(const struct findings *findings, struct text *text);
/* One JSON object: {"findings":[{"state","subject","text","cure"}…],"ok":n,"warning":n,"broken":n} */
void findings_write_json(const struct findings *findings, struct text *text);

#endif
