#include "consumer/base/crash.h"

#ifdef JOBHOOK_TEST_FAULTS

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void crash_point(const char *when, const char *what, const char *how, const char *which)
{
    (void)which; /* the simulated matrix wants to know */
    static atomic_long passed;
    const char *chosen = getenv("CRASH_AT");
    char name[128];
    int length = snprintf(name, sizeof(name), "%s%s%s%s%s:", when, *what == '\0' ? "" : " ", what, *how == '\0' ? "" : " ", how);
    if (chosen == NULL || strncmp(chosen, name, (size_t)length) != 0)
        return;
    if (atomic_fetch_add(&passed, 1) + 1 == strtol(chosen + length, NULL, 10))
        raise(SIGKILL);
}

#else

typedef int crash_points_are_not_built; /* ISO C wants something in every file */

#endif
