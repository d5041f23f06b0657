/* Reads single records of the input topic back, each by its partition and offset. librdkafka stays inside.
 *
 * A consumer of its own that joins no group and commits nothing; it holds no partition while nobody asks. One event loop; callbacks fire exactly once,
 * never before the call has returned, never after readback_destroy. */
#ifndef JOBHOOK_CONSUMER_READBACK_H
#define JOBHOOK_CONSUMER_READBACK_H

#include "consumer/settings.h"
#include "delivery/event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uv_loop_s;
struct readback;

enum {
    READBACK_OPEN_MAX = 256,    /* asked for and not answered */
    READBACK_TOGETHER_MAX = 32, /* partitions read at the same time; within one, record by record */
    READBACK_PATIENCE_MS = 2000,
};

enum readback_result {
    READBACK_AWAY,  /* Kafka did not answer in time, or does not know the topic (just now) */
    READBACK_GONE,  /* there is no such record, or no longer */
    READBACK_FOUND, /* what lies there now, whatever it is */
};

/* `record` with READBACK_FOUND, valid during the call; without headers. */
typedef void readback_done(void *context, enum readback_result result, const struct event_record *record);

/* NULL when librdkafka refuses the configuration: `problem` says why. */
struct readback *readback_create(struct uv_loop_s *loop, const struct settings *settings, char *problem, size_t size);
/* Takes NULL. The memory goes when the loop runs once more. */
void readback_destroy(struct readback *readback);

/* False: READBACK_OPEN_MAX are open. */
MUST_USE bool readback_ask(struct readback *readback, int32_t partition, int64_t offset, readback_done *done, void *context);

#endif
