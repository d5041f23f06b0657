/* The outbox: records written to Kafka, each until it is acknowledged by all in-sync replicas or refused for good. librdkafka's producer stays inside.
 *
 * An ambiguous answer (timed out, not enough replicas, leader gone) is produced again: a doubled record is absorbed by its own claim. So `done`
 * fires once, with ACKED or REFUSED, however long that takes; never before outbox_send has returned. */
#ifndef JOBHOOK_CONSUMER_OUTBOX_H
#define JOBHOOK_CONSUMER_OUTBOX_H

#include "consumer/base/timers.h"
#include "consumer/envelope.h"
#include "consumer/intake_stats.h"
#include "consumer/settings.h"

struct uv_loop_s;
struct outbox;

enum outbox_result {
    OUTBOX_ACKED,
    OUTBOX_REFUSED, /* too large for the topic: the same record will never be taken */
};

typedef void outbox_done(void *context, enum outbox_result result);

struct outbox_record {
    const char *topic; /* copied */
    int32_t partition; /* any other one when the topic does not have it */
    bool has_key, has_value;
    struct slice key, value;         /* borrowed until done */
    const struct envelope *envelope; /* copied */
};

struct outbox_options {
    struct uv_loop_s *loop;
    struct timers *timers;
    const struct settings *settings;
    struct intake_stats *stats; /* produced, produce_retries */
};

/* NULL when librdkafka refuses the configuration: `problem` says why. */
struct outbox *outbox_create(const struct outbox_options *options, char *problem, size_t size);
/* Waits for nothing that takes longer than `wait_ms`; callbacks still open never fire. */
void outbox_destroy(struct outbox *outbox, uint64_t wait_ms);

void outbox_send(struct outbox *outbox, const struct outbox_record *record, outbox_done *done, void *context);

struct outbox_topics {
    bool answered;      /* a broker answered */
    size_t input_count; /* partitions of the input topic; 0: it does not exist */
    size_t retry_count; /* of all its retry topics together */
};
/* Asks the brokers which topics there are; waits at most `wait_ms` for the answer. */
struct outbox_topics outbox_count_topics(struct outbox *outbox, uint64_t wait_ms);

#endif
