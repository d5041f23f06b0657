/* How many processors this process may use: what its affinity names, and what the CPU quota of its control groups pays for.
 *
 * A quota of one and a half counts as one: what a loop leaves is needed by librdkafka's threads. At least 1. A container's orchestrator sets the
 * quota, not the affinity, so that counting processors alone would start far too many loops, which the kernel would then stop in turn. */
#ifndef JOBHOOK_CONSUMER_PROCESSORS_H
#define JOBHOOK_CONSUMER_PROCESSORS_H

#include <stdint.h>

uint64_t processors_usable(void);
/* What the quotas of the own control group (versions 1 and 2) and of those above it allow, read below `root` ("" the machine's own files);
 * UINT64_MAX when there is none. */
uint64_t processors_in_quota(const char *root);

#endif
