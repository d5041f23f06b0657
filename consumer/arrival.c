#include "consumer/arrival.h"

#include "consumer/base/memory.h"
#include "consumer/envelope.h"

#include <librdkafka/rdkafka.h>
#include <stdlib.h>

static size_t read_headers(struct arrival_scratch *scratch, const rd_kafka_message_t *message)
{
    rd_kafka_headers_t *headers = NULL;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    size_t count = rd_kafka_header_cnt(headers);
    if (count > scratch->room) {
        scratch->headers = memory_resize(scratch->headers, count * sizeof(*scratch->headers));
        scratch->room = count;
    }
    for (size_t i = 0; i < count; i++) {
        const char *name;
        const void *value;
        size_t size;
        rd_kafka_header_get_all(headers, i, &name, &value, &size);
        scratch->headers[i] = (struct event_header){ slice_of(name), { value, value == NULL ? 0 : size }, value != NULL };
    }
    return count;
}

static struct event *make_event(struct arrival_scratch *scratch, const rd_kafka_message_t *message)
{
    rd_kafka_timestamp_type_t type;
    int64_t timestamp_ms = rd_kafka_message_timestamp(message, &type);
    size_t count = read_headers(scratch, message);
    struct event_record record = { .has_key = message->key != NULL,
                                   .has_value = message->payload != NULL,
                                   .key = { message->key, message->key_len },
                                   .value = { message->payload, message->len },
                                   .headers = scratch->headers,
                                   .header_count = count,
                                   .timestamp_ms = type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? -1 : timestamp_ms };
    return event_create(&record);
}

void arrival_read(struct arrival_scratch *scratch, const rd_kafka_message_t *message, const char *retry_topic, struct arrival *arrival)
{
    const char *topic = retry_topic == NULL ? scratch->input_topic : retry_topic;
    *arrival = (struct arrival){ .event = make_event(scratch, message),
                                 .attempt = { .number = 1, .origin = { slice_of(topic), message->partition, message->offset } },
                                 .from_input = retry_topic == NULL };
}

void arrival_understand(struct arrival *arrival)
{
    struct attempt asked;
    if (!arrival->from_input && envelope_read(arrival->event, &asked, &arrival->unreadable))
        arrival->attempt = asked;
}

void arrival_scratch_finish(struct arrival_scratch *scratch)
{
    free(scratch->headers);
}
