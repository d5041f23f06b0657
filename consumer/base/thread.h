/* Threads beside the main loop, to which signals belong: they get none. And until when they wait. */
#ifndef JOBHOOK_BASE_THREAD_H
#define JOBHOOK_BASE_THREAD_H

#include "consumer/base/check.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* `name`: what top shows, at most 15 bytes; NULL: the program's. */
MUST_USE bool thread_start(pthread_t *thread, const char *name, void *(*run)(void *context), void *context);
/* In so many ms, for pthread_cond_timedwait with the monotonic clock. */
struct timespec thread_deadline(uint64_t ms);

#endif
