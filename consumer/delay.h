/* How long the head of a retry partition waits before it is taken (DESIGN §4). Pure.
 *
 * Records of one retry topic come in the order of their due times, so a partition whose head is not due is simply not read: it costs no slot, no
 * timer storm, no refetch. */
#ifndef JOBHOOK_CONSUMER_DELAY_H
#define JOBHOOK_CONSUMER_DELAY_H

#include <stdint.h>

struct delay_clocks {
    uint64_t monotonic_ms;
    int64_t redis_ms; /* due times are kept in Redis's clock */
};

enum { DELAY_CLOCK_SLACK_MS = 1000 };

/* The monotonic moment from which a record that is due at `due_ms` may be taken; not after `now` when it is due. At most the topic's delay and a
 * second from now, whatever a writer's clock said. */
uint64_t delay_until_ms(int64_t due_ms, uint64_t topic_delay_ms, const struct delay_clocks *now);

#endif
