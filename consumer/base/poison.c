#include "consumer/base/poison.h"

#ifdef JOBHOOK_TEST_FAULTS

#include <signal.h>
#include <stdio.h>
#include <string.h>

void poison_point(struct slice value, const char *place)
{
    char marker[64];
    int length = snprintf(marker, sizeof(marker), "jobhook-test-crash-%s", place);
    if (value.length > 0 && memmem(value.start, value.length, marker, (size_t)length) != NULL)
        raise(SIGABRT);
}

#endif
