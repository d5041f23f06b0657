/* Strangers' bytes on a terminal or in a table: shown, never obeyed. Pure.
 *
 * Control characters (C0, DEL, C1), bytes that are not UTF-8, and what turns the direction of writing or hides itself (bidirectional controls, zero
 * widths, line separators) are written as escapes: \n, \x1b, \u{202e}. */
#ifndef JOBHOOK_CONSUMER_COMMANDS_SHOWN_H
#define JOBHOOK_CONSUMER_COMMANDS_SHOWN_H

#include "consumer/base/text.h"

/* Appends at most `columns` characters of it, the last one "…" when there is more; SIZE_MAX: all. Returns how many columns that took (wide characters
 * of East Asia count two). */
size_t shown_append(struct text *text, struct slice bytes, size_t columns);
/* The same, filled up with spaces to `columns`. */
void shown_append_cell(struct text *text, struct slice bytes, size_t columns);

#endif
