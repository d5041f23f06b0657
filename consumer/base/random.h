/* Randomness from the kernel for tokens, and cheap jitter from it. */
#ifndef JOBHOOK_BASE_RANDOM_H
#define JOBHOOK_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void random_bytes(void *bytes, size_t count); /* for tokens; buffered per thread, forks excluded */
uint64_t random_below(uint64_t limit);        /* 0 … limit − 1; limit > 0 */

#endif
