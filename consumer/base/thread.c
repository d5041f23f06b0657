#include "consumer/base/thread.h"

#include "consumer/base/clock.h"

#include <signal.h>

bool thread_start(pthread_t *thread, const char *name, void *(*run)(void *context), void *context)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(thread, NULL, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed == 0 && name != NULL)
        pthread_setname_np(*thread, name);
    return failed == 0;
}

struct timespec thread_deadline(uint64_t ms)
{
    uint64_t at_ms = clock_monotonic_ms() + ms;
    return (struct timespec){ .tv_sec = (time_t)(at_ms / 1000), .tv_nsec = (long)(at_ms % 1000) * 1000000 };
}
