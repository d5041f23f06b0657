#include "consumer/base/memory.h"

#include "consumer/base/check.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Only calls that need no memory; exit handlers might. */
_Noreturn static void give_up(void)
{
    static const char message[] = "jobhook: out of memory; lower JOBHOOK_MAX_HELD_BYTES or JOBHOOK_PREFETCH_BYTES, or give it more\n";
    ssize_t written = write(STDERR_FILENO, message, sizeof(message) - 1);
    (void)written; /* nothing is left to do about it */
    _exit(EXIT_FAILURE);
}

/* glibc keeps small pieces apart when they are freed, and joins them all whenever a large one is asked for: with tens of thousands of events held
 * that was a third of the CPU. Joined at once they cost less. */
void memory_init(void)
{
    (void)mallopt(M_MXFAST, 0); /* another allocator, a sanitizer's, knows nothing of that */
}

void *memory_create(size_t size)
{
    void *memory = calloc(1, size > 0 ? size : 1);
    if (memory == NULL)
        give_up();
    return memory;
}

void *memory_resize(void *memory, size_t size)
{
    assert(size > 0);
    void *resized = realloc(memory, size);
    if (resized == NULL)
        give_up();
    return resized;
}

char *memory_copy(const char *start, size_t length)
{
    assert(length < SIZE_MAX);
    char *copy = malloc(length + 1);
    if (copy == NULL)
        give_up();
    if (length > 0)
        memcpy(copy, start, length);
    copy[length] = '\0';
    return copy;
}
