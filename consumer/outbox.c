#include "consumer/outbox.h"

#include "consumer/base/clock.h"
#include "consumer/base/log.h"
#include "consumer/base/memory.h"
#include "consumer/base/random.h"
#include "consumer/kafka.h"

#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

enum { AGAIN_MS = 500, COMPLAIN_EVERY_MS = 60000, PROBLEM_BYTES = 512 };

struct producer {
    rd_kafka_t *handle; /* NULL: not made yet */
    rd_kafka_queue_t *events;
};

struct outbox {
    struct outbox_options options;
    struct producer producer;
    struct producer alone; /* sends each record by itself; made when the first batch is refused */
    uv_poll_t *poll;
    int wake_fd;
    struct list items;          /* all that are not done */
    struct log_gate complaints; /* about records */
    struct log_gate errors;     /* about brokers: must not hide the others */
};

struct item { /* one record on its way */
    struct link link;
    struct outbox *outbox;
    struct timer again;
    char *topic;
    int32_t partition;
    bool has_key, has_value;
    bool alone; /* its batch was refused: was it the record, or its company? */
    struct slice key, value;
    rd_kafka_headers_t *headers;
    outbox_done *done;
    void *context;
};

static bool producer_make(const struct outbox *outbox, struct producer *producer, bool alone, char *problem, size_t size)
{
    static const uint64_t one = 1;
    rd_kafka_conf_t *conf = kafka_conf_create(outbox->options.settings, KAFKA_PRODUCER, problem, size);
    if (conf == NULL)
        return false;
    bool taken = !alone || kafka_conf_try(conf, "batch.num.messages", "1");
    assert(taken);
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
    producer->handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, problem, size);
    if (producer->handle == NULL) {
        rd_kafka_conf_destroy(conf);
        return false;
    }
    producer->events = rd_kafka_queue_get_main(producer->handle);
    rd_kafka_queue_io_event_enable(producer->events, outbox->wake_fd, &one, sizeof(one));
    /* librdkafka writes only when its queue was empty before, and a broker that refused the connection at once has put its error there already:
     * without a first look nobody would ever hear of anything. */
    eventfd_write(outbox->wake_fd, one);
    return true;
}

static void item_finish(struct item *item, enum outbox_result result)
{
    struct outbox *outbox = item->outbox;
    outbox_done *done = item->done;
    void *context = item->context;
    list_remove(&outbox->items, &item->link);
    timers_stop(outbox->options.timers, &item->again);
    rd_kafka_headers_destroy(item->headers);
    free(item->topic);
    free(item);
    if (result == OUTBOX_ACKED)
        counter_add(&outbox->options.stats->produced, 1);
    done(context, result);
}

static void again(struct item *item, rd_kafka_resp_err_t error)
{
    struct outbox *outbox = item->outbox;
    uint64_t suppressed;
    if (error == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION)
        item->partition = RD_KAFKA_PARTITION_UA; /* the topic has fewer partitions than the input */
    counter_add(&outbox->options.stats->produce_retries, 1);
    if (log_gate_opens(&outbox->complaints, COMPLAIN_EVERY_MS, &suppressed))
        log_warn("kafka did not take a record, trying again", LOG_STRING("topic", item->topic), LOG_STRING("error", rd_kafka_err2name(error)),
                 LOG_STRING("text", rd_kafka_err2str(error)), LOG_I("suppressed", suppressed),
                 LOG_STRING("cure", "if the topic is missing: jobhook topics create"));
    timers_start(outbox->options.timers, &item->again, clock_monotonic_ms() + AGAIN_MS + random_below(AGAIN_MS));
}

static bool is_refusal(rd_kafka_resp_err_t error)
{
    return error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || error == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE ||
           error == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE;
}

/* A refusal at once still ends later: callbacks never fire inside outbox_send. */
static void produce(struct item *item)
{
    const struct producer *producer = item->alone ? &item->outbox->alone : &item->outbox->producer;
    rd_kafka_headers_t *headers = rd_kafka_headers_copy(item->headers);
    rd_kafka_resp_err_t error =
        rd_kafka_producev(producer->handle, RD_KAFKA_V_TOPIC(item->topic), RD_KAFKA_V_PARTITION(item->partition), RD_KAFKA_V_MSGFLAGS(0),
                          RD_KAFKA_V_KEY(item->has_key ? item->key.start : NULL, item->key.length),
                          RD_KAFKA_V_VALUE((void *)(uintptr_t)(item->has_value ? item->value.start : NULL), item->value.length),
                          RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(item), RD_KAFKA_V_END);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    rd_kafka_headers_destroy(headers);
    if (is_refusal(error)) {
        item->partition = INT32_MIN; /* marks the refusal for the timer */
        timers_start(item->outbox->options.timers, &item->again, 0);
    } else {
        again(item, error);
    }
}

static void again_fired(struct timer *timer)
{
    struct item *item = container_of(timer, struct item, again);
    if (item->partition == INT32_MIN)
        item_finish(item, OUTBOX_REFUSED);
    else
        produce(item);
}

void outbox_send(struct outbox *outbox, const struct outbox_record *record, outbox_done *done, void *context)
{
    struct item *item = memory_create(sizeof(*item));
    *item = (struct item){ .outbox = outbox,
                           .again = { .fire = again_fired },
                           .topic = memory_copy(record->topic, strlen(record->topic)),
                           .partition = record->partition < 0 ? RD_KAFKA_PARTITION_UA : record->partition,
                           .has_key = record->has_key,
                           .has_value = record->has_value,
                           .key = record->key,
                           .value = record->value,
                           .headers = rd_kafka_headers_new(record->envelope->count),
                           .done = done,
                           .context = context };
    for (size_t i = 0; i < record->envelope->count; i++) {
        const struct envelope_header *header = &record->envelope->headers[i];
        const char *value = header->value.start == NULL ? "" : header->value.start;
        rd_kafka_header_add(item->headers, header->name, -1, header->has_value ? value : NULL, (ssize_t)header->value.length);
    }
    list_append(&outbox->items, &item->link);
    produce(item);
}

/* A topic's max.message.bytes bounds a whole batch, and the broker does not say which record of it was too large: each is sent again by itself. */
static void refused(struct item *item, rd_kafka_resp_err_t error)
{
    char problem[PROBLEM_BYTES];
    struct outbox *outbox = item->outbox;
    if (item->alone) {
        item_finish(item, OUTBOX_REFUSED);
        return;
    }
    if (outbox->alone.handle == NULL && !producer_make(outbox, &outbox->alone, true, problem, sizeof(problem))) {
        again(item, error);
        return;
    }
    item->alone = true;
    produce(item);
}

static void reported(const rd_kafka_message_t *message)
{
    struct item *item = message->_private;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        item_finish(item, OUTBOX_ACKED);
    else if (is_refusal(message->err))
        refused(item, message->err);
    else
        again(item, message->err);
}

static void serve(struct outbox *outbox, rd_kafka_event_t *event)
{
    const rd_kafka_message_t *message;
    uint64_t suppressed;
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR) {
        while ((message = rd_kafka_event_message_next(event)) != NULL)
            reported(message);
    } else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR && log_gate_opens(&outbox->errors, COMPLAIN_EVERY_MS, &suppressed)) {
        log_warn("the producer reports an error", LOG_STRING("error", rd_kafka_err2name(rd_kafka_event_error(event))),
                 LOG_STRING("text", rd_kafka_event_error_string(event)), LOG_I("suppressed", suppressed));
    }
    rd_kafka_event_destroy(event);
}

/* Wake-ups are hints: the queues are drained to empty at each. */
static void woken(uv_poll_t *poll, int status, int events)
{
    struct outbox *outbox = poll->data;
    const struct producer *producers[] = { &outbox->producer, &outbox->alone };
    rd_kafka_event_t *event;
    uint64_t ignored;
    (void)status;
    (void)events;
    if (read(outbox->wake_fd, &ignored, sizeof(ignored)) < 0) {
        /* nothing was written since the last time: fine */
    }
    for (size_t i = 0; i < COUNT_OF(producers); i++)
        while (producers[i]->handle != NULL && (event = rd_kafka_queue_poll(producers[i]->events, 0)) != NULL)
            serve(outbox, event);
}

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

struct outbox *outbox_create(const struct outbox_options *options, char *problem, size_t size)
{
    struct outbox *outbox = memory_create(sizeof(*outbox));
    outbox->options = *options;
    list_init(&outbox->items);
    outbox->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    assert(outbox->wake_fd >= 0);
    if (!producer_make(outbox, &outbox->producer, false, problem, size)) {
        close(outbox->wake_fd);
        free(outbox);
        return NULL;
    }
    outbox->poll = memory_create(sizeof(*outbox->poll));
    outbox->poll->data = outbox;
    uv_poll_init(options->loop, outbox->poll, outbox->wake_fd);
    uv_poll_start(outbox->poll, UV_READABLE, woken);
    return outbox;
}

static void producer_destroy(const struct producer *producer, uint64_t until_ms)
{
    rd_kafka_event_t *event;
    if (producer->handle == NULL)
        return;
    rd_kafka_queue_io_event_enable(producer->events, -1, NULL, 0);
    rd_kafka_purge(producer->handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    while (rd_kafka_outq_len(producer->handle) > 0 && clock_monotonic_ms() < until_ms)
        if ((event = rd_kafka_queue_poll(producer->events, 50)) != NULL)
            rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(producer->events);
    rd_kafka_destroy(producer->handle);
}

void outbox_destroy(struct outbox *outbox, uint64_t wait_ms)
{
    if (outbox == NULL)
        return;
    uv_poll_stop(outbox->poll);
    uv_close((uv_handle_t *)outbox->poll, free_handle);
    uint64_t until_ms = clock_monotonic_ms() + wait_ms;
    producer_destroy(&outbox->producer, until_ms);
    producer_destroy(&outbox->alone, until_ms);
    close(outbox->wake_fd);
    LIST_EACH (&outbox->items, link) {
        struct item *item = container_of(link, struct item, link);
        timers_stop(outbox->options.timers, &item->again);
        rd_kafka_headers_destroy(item->headers);
        free(item->topic);
        free(item);
    }
    free(outbox);
}

struct outbox_topics outbox_count_topics(struct outbox *outbox, uint64_t wait_ms)
{
    struct outbox_topics found = { 0 };
    const struct rd_kafka_metadata *metadata;
    const char *input = outbox->options.settings->topic;
    if (rd_kafka_metadata(outbox->producer.handle, 1, NULL, &metadata, (int)wait_ms) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return found;
    found.answered = true;
    for (int i = 0; i < metadata->topic_cnt; i++) {
        const struct rd_kafka_metadata_topic *topic = &metadata->topics[i];
        uint64_t delay_ms;
        if (topic->err != RD_KAFKA_RESP_ERR_NO_ERROR)
            continue;
        if (strcmp(topic->topic, input) == 0)
            found.input_count = (size_t)topic->partition_cnt;
        else if (retry_topic_read(input, slice_of(topic->topic), &delay_ms))
            found.retry_count += (size_t)topic->partition_cnt;
    }
    rd_kafka_metadata_destroy(metadata);
    return found;
}
