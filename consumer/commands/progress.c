#include "consumer/commands/progress.h"

#include "consumer/base/clock.h"
#include "consumer/base/moment.h"
#include "consumer/commands/tally.h"
#include "consumer/commands/terminal.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum { BAR_EVERY_MS = 100, LINE_EVERY_MS = 10000, LINE_BYTES = 1024, BAR_LEAST = 5, BAR_MOST = 40, BARS_COLUMNS = 3 };

void progress_begin(struct progress *progress, const char *what)
{
    uint64_t now_ms = clock_monotonic_ms();
    *progress = (struct progress){ .what = what, .bar = terminal_columns(STDERR_FILENO) > 0, .start_ms = now_ms, .shown_ms = now_ms };
}

uint64_t progress_elapsed_ms(const struct progress *progress)
{
    return clock_monotonic_ms() - progress->start_ms;
}

/* "12,000 replayed, 8,000/s, 3 s left" */
static void append_figures(const struct progress_line *line, const struct progress_figures *figures, struct text *text)
{
    uint64_t elapsed_ms = line->elapsed_ms == 0 ? 1 : line->elapsed_ms;
    tally_append_number(text, figures->count);
    text_printf(text, " %s, ", line->what);
    tally_append_number(text, figures->count * 1000 / elapsed_ms);
    text_append_string(text, "/s");
    if (figures->all == 0 || figures->done == 0)
        return;
    text_printf(text, ", %" PRIu64 " %%, ", figures->done * 100 / figures->all);
    moment_append_duration(text, (uint64_t)((double)elapsed_ms * (double)(figures->all - figures->done) / (double)figures->done) / 1000 * 1000);
    text_append_string(text, " left");
}

void progress_append(const struct progress_line *line, const struct progress_figures *figures, struct text *text)
{
    struct text said;
    text_init(&said, LINE_BYTES);
    append_figures(line, figures, &said);
    size_t room = line->columns > said.length + BARS_COLUMNS + 1 ? line->columns - said.length - BARS_COLUMNS - 1 : 0;
    if (room > BAR_MOST)
        room = BAR_MOST;
    if (line->columns > 0 && room >= BAR_LEAST && figures->all > 0) {
        size_t filled = (size_t)(figures->done * room / figures->all);
        text_append_char(text, '[');
        for (size_t i = 0; i < room; i++)
            text_append_char(text, i < filled ? '#' : '.');
        text_append_string(text, "] ");
    }
    if (line->columns > 0 && said.length >= line->columns)
        said.length = line->columns - 1;
    text_append(text, text_slice(&said));
    text_finish(&said);
}

void progress_show(struct progress *progress, const struct progress_figures *figures)
{
    uint64_t now_ms = clock_monotonic_ms();
    struct text text;
    if (now_ms - progress->shown_ms < (progress->bar ? BAR_EVERY_MS : LINE_EVERY_MS))
        return;
    progress->shown_ms = now_ms;
    text_init(&text, LINE_BYTES);
    const struct progress_line line = { progress->what, now_ms - progress->start_ms, progress->bar ? terminal_columns(STDERR_FILENO) : 0 };
    progress_append(&line, figures, &text);
    fprintf(stderr, progress->bar ? "\r\033[K%s" : "%s\n", text.start);
    progress->drawn = progress->bar;
    text_finish(&text);
}

void progress_hide(struct progress *progress)
{
    if (progress->drawn)
        fputs("\r\033[K", stderr);
    progress->drawn = false;
}
