/* Memory that is there or ends the process.
 *
 * What jobhook holds is bounded by settings, so running out of memory is a wrong limit, not a state to carry on in: the functions say so on
 * standard error and end the process with exit code 1. Nothing is lost by that (DESIGN §5). They never return NULL. */
#ifndef JOBHOOK_BASE_MEMORY_H
#define JOBHOOK_BASE_MEMORY_H

#include <stddef.h>

/* Once, before the first thread: sets the allocator up for a program that holds many small pieces. */
void memory_init(void);

void *memory_create(size_t size);                    /* zeroed; freed with free() */
void *memory_resize(void *memory, size_t size);      /* as realloc, new bytes undefined; size > 0 */
char *memory_copy(const char *start, size_t length); /* a NUL-terminated copy */

#endif
