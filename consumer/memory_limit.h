/* How much memory this process may take before the kernel ends it: the machine's, or less by its control groups (a container's limit, systemd's
 * MemoryMax=). libuv knows the machine's and those of version 1; of version 2 Debian 12's knows nothing. */
#ifndef JOBHOOK_CONSUMER_MEMORY_LIMIT_H
#define JOBHOOK_CONSUMER_MEMORY_LIMIT_H

#include <stdint.h>

uint64_t memory_limit_bytes(void);

/* The least memory.max of a group of version 2 and those above it; UINT64_MAX: none. `root` is where groups are mounted; `own` the file that tells the
 * process's own, /proc/self/cgroup. */
uint64_t memory_limit_of_groups(const char *root, const char *own);

#endif
