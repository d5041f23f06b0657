/* How far a long command is: a bar with the time left on a terminal, now and then a plain line elsewhere. Writes to standard error. */
#ifndef JOBHOOK_CONSUMER_COMMANDS_PROGRESS_H
#define JOBHOOK_CONSUMER_COMMANDS_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
    const char *what; /* "replayed" */
    bool bar;
    uint64_t start_ms, shown_ms;
    bool drawn; /* a bar stands in the line */
};

struct progress_figures {
    uint64_t count;     /* of what was done */
    uint64_t done, all; /* of the way; all 0: not known */
};

void progress_begin(struct progress *progress, const char *what);
/* Shows it when it is time to. */
void progress_show(struct progress *progress, const struct progress_figures *figures);
/* Takes the bar away, so that something else can be printed. */
void progress_hide(struct progress *progress);
uint64_t progress_elapsed_ms(const struct progress *progress);

/* One line without its end, as wide as `columns` says, at `elapsed_ms` after the start. Pure. */
struct progress_line {
    const char *what;
    uint64_t elapsed_ms;
    size_t columns; /* 0: a plain line */
};
struct text;
void progress_append(const struct progress_line *line, const struct progress_figures *figures, struct text *text);

#endif
