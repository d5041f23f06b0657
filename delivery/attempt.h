/* One attempt at one event: its number, its replay epoch, when it is due, and what came before. Travels in Kafka headers between workers
 * (consumer/envelope.h writes and reads it). */
#ifndef JOBHOOK_DELIVERY_ATTEMPT_H
#define JOBHOOK_DELIVERY_ATTEMPT_H

#include "consumer/base/text.h"

#include <stdint.h>

enum {
    ATTEMPT_TOPIC_MAX = 249, /* Kafka's limit on a topic's name */
    ATTEMPT_ERROR_MAX = 31,  /* an error class such as http_503 */
};

struct source { /* where a record lies */
    struct slice topic;
    int32_t partition;
    int64_t offset;
};

struct attempt {
    uint32_t number;                   /* 1 = first */
    uint32_t epoch;                    /* replay generation */
    uint32_t deferral;                 /* how often this attempt was deferred */
    int64_t deferred_since_ms;         /* when first, later by the time that it was held; 0 never */
    int64_t due_ms;                    /* by Redis's clock; 0 at once */
    int64_t first_ms;                  /* when the event was first taken up */
    struct slice url;                  /* replays only: where to send it instead; empty otherwise */
    struct source origin;              /* the original event; topic borrowed from the event's bytes or the settings */
    char error[ATTEMPT_ERROR_MAX + 1]; /* class of the last failure, "" none */
};

/* The attempt after a failed one, due at `due_ms`; and the same attempt once more, put off at `now_ms` until `due_ms`. */
struct attempt attempt_following(const struct attempt *failed, int64_t due_ms);
struct attempt attempt_deferred(const struct attempt *attempt, int64_t now_ms, int64_t due_ms);
/* The same by the operator's hold: the time until `due_ms` does not count as deferred. */
struct attempt attempt_held(const struct attempt *attempt, int64_t now_ms, int64_t due_ms);

#endif
