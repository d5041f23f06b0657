/* Checks that stay on in release builds, and the compiler's help.
 *
 * Programmer errors end the process: a crash is safe by design here (Kafka hands the events out again), going on with broken state is not.
 * Operating errors never assert. */
#ifndef JOBHOOK_BASE_CHECK_H
#define JOBHOOK_BASE_CHECK_H

#ifdef NDEBUG
#error "jobhook keeps its assertions in release builds: do not define NDEBUG"
#endif

#include <assert.h>
#include <stddef.h>

#define MUST_USE               __attribute__((warn_unused_result))
#define PRINTF_LIKE(text, arg) __attribute__((format(printf, text, arg)))

#define container_of(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))
#define COUNT_OF(array)                     (sizeof(array) / sizeof((array)[0]))

#endif
