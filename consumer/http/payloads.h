/* Payloads read lately, so that a task that is polled again is not read from Kafka again. What Redis says is never kept here.
 *
 * Bounded in bytes; the one used longest ago goes first. One thread. */
#ifndef JOBHOOK_CONSUMER_HTTP_PAYLOADS_H
#define JOBHOOK_CONSUMER_HTTP_PAYLOADS_H

#include "consumer/base/text.h"

struct payloads;

struct payload_key { /* all of it must be the same: an offset may hold another event after a topic was made anew */
    struct slice task_id;
    int32_t partition;
    int64_t offset;
    uint64_t digest;
};

struct payload {
    struct slice members; /* the payload without its last brace */
    bool has_url;
};

struct payloads *payloads_create(size_t bytes_max);
void payloads_destroy(struct payloads *payloads); /* takes NULL */
/* False: it is not there. What `payload` points to is good until the next payloads_keep. */
MUST_USE bool payloads_find(struct payloads *payloads, const struct payload_key *key, struct payload *payload);
/* Copies; leaves out what is larger than an eighth of the cache. */
void payloads_keep(struct payloads *payloads, const struct payload_key *key, const struct payload *payload);

#endif
