/* How much memory this process may take before the kernel ends it: the machine's, or less by its control groups (a container's limit, systemd's
 * MemoryMax=). */
#ifndef JOBHOOK_CONSUMER_MEMORY_LIMIT_H
#define JOBHOOK_CONSUMER_MEMORY_LIMIT_H

#include <stdint.h>

uint64_t memory_limit_bytes(void);
/* The least limit of the own control group (versions 1 and 2) and of those above it, read below `root` ("" the machine's own files); UINT64_MAX when
 * there is none. */
uint64_t memory_limit_of_groups(const char *root);

#endif
