/* The two clocks. Delays and deadlines use the monotonic one; only headers, records and due times use the wall clock. */
#ifndef JOBHOOK_BASE_CLOCK_H
#define JOBHOOK_BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_monotonic_ms(void);
uint64_t clock_monotonic_us(void);
int64_t clock_wall_ms(void); /* since 1970 */

#endif
