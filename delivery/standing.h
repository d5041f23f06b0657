/* How a task stands, as its record in Redis tells it to those who ask. Pure. */
#ifndef JOBHOOK_DELIVERY_STANDING_H
#define JOBHOOK_DELIVERY_STANDING_H

#include "dedupe/record.h"
#include "delivery/attempt.h"

struct standing {
    /* pending: in somebody's hands; deferred, scheduled: a record for the next attempt is in Kafka; delivered; dead: a dead letter is in Kafka; unknown:
     * only where the event lies is known. */
    const char *state;
    uint32_t epoch;
    uint32_t attempts;                        /* that were made in this epoch; what had nothing to send had none */
    int64_t next_attempt_ms;                  /* by Redis's clock, since 1970; 0: none is due, or it is not known when */
    char last_outcome[ATTEMPT_ERROR_MAX + 1]; /* http_503, timeout …; "" none */
};

struct standing standing_of(const struct record *record);

#endif
