/* How many connections each worker keeps when nobody uses them: as many as descriptors and memory allow, LANES_IDLE_CONNECTIONS at most. A worker may
 * have a quarter more than that for a moment. Pure. */
#ifndef JOBHOOK_CONSUMER_IDLE_CONNECTIONS_H
#define JOBHOOK_CONSUMER_IDLE_CONNECTIONS_H

#include <stdint.h>

uint32_t idle_connections_by_descriptors(uint64_t spare, uint64_t workers);
/* All of them take at most a quarter of the memory that the process may take: as many as a process with fewer receivers needs would have the kernel
 * end it. */
uint32_t idle_connections_by_memory(uint64_t bytes, uint64_t workers);
/* With how much memory that many are kept by all workers together. */
uint64_t idle_connections_memory(uint64_t count, uint64_t workers);

#endif
