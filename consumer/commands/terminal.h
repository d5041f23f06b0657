/* The terminal that a command talks to, if it is one. */
#ifndef JOBHOOK_CONSUMER_COMMANDS_TERMINAL_H
#define JOBHOOK_CONSUMER_COMMANDS_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

/* Columns and rows of the terminal at this descriptor (1 or 2); 0: it is none. A terminal that does not say has 80 by 24. */
size_t terminal_columns(int descriptor);
size_t terminal_rows(int descriptor);

#endif
