/* Places at which a test build cannot bear certain events, as if it had a bug there: a value that holds "jobhook-test-crash-" and the place's name
 * ends the process (consumer/careful.h is what deals with such events). Only builds with JOBHOOK_TEST_FAULTS have them; in every other build
 * POISON_POINT is nothing. */
#ifndef JOBHOOK_BASE_POISON_H
#define JOBHOOK_BASE_POISON_H

#include "consumer/base/text.h"

#ifdef JOBHOOK_TEST_FAULTS
void poison_point(struct slice value, const char *place);
#define POISON_POINT(value, place) poison_point((value), (place))
#else
#define POISON_POINT(value, place) ((void)0)
#endif

#endif
