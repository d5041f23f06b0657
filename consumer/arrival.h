/* Arrivals: a record as librdkafka hands it out, made into an event, and then the attempt that it asks for. Its bytes are copied, so that the message can
 * be given back at once (one that is kept would hold a whole fetched batch in memory). librdkafka stays inside. */
#ifndef JOBHOOK_CONSUMER_ARRIVAL_H
#define JOBHOOK_CONSUMER_ARRIVAL_H

#include "delivery/delivery.h"

#include <stdbool.h>
#include <stddef.h>

struct rd_kafka_message_s;

struct arrival_scratch {     /* zeroed at first */
    const char *input_topic; /* outlives every arrival */
    struct event_header *headers;
    size_t room;
};

/* Copies the record and looks at nothing of it: a first attempt from where it lies. Sets everything but home and slot. `retry_topic`: where it was
 * read, outlives the arrival; NULL: the input topic. */
void arrival_read(struct arrival_scratch *scratch, const struct rd_kafka_message_s *message, const char *retry_topic, struct arrival *arrival);
/* The attempt that a record of a retry topic asks for. Headers of the input topic say nothing: producers cannot forge attempts. */
void arrival_understand(struct arrival *arrival);
void arrival_scratch_finish(struct arrival_scratch *scratch);

#endif
