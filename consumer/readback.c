#include "consumer/readback.h"

#include "consumer/base/clock.h"
#include "consumer/base/list.h"
#include "consumer/base/memory.h"
#include "consumer/kafka.h"

#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

enum {
    LOOK_MS = 20, /* librdkafka's wake-ups are hints */
    MESSAGES_PER_LOOK = 1000,
};

struct readback {
    rd_kafka_t *consumer;
    rd_kafka_queue_t *queue;
    const char *topic;
    struct list waiting, reading; /* oldest first */
    uv_poll_t wake;
    uv_timer_t timer;
    int wake_fd;
    int open_handles;
};

struct reading { /* one record that somebody asked for */
    struct link link;
    int32_t partition;
    int64_t offset;
    uint64_t until_ms;
    readback_done *done;
    void *context;
};

/* ---- which are read ---- */

static void assign(struct readback *readback, const struct reading *reading, bool more)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, readback->topic, reading->partition)->offset = reading->offset;
    rd_kafka_error_t *error = more ? rd_kafka_incremental_assign(readback->consumer, list) : rd_kafka_incremental_unassign(readback->consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (error != NULL)
        rd_kafka_error_destroy(error); /* only a handle that is broken for good says so; nothing comes then, and the time runs out */
}

static struct reading *find_reading(const struct readback *readback, int32_t partition)
{
    LIST_EACH (&readback->reading, link) {
        struct reading *reading = container_of(link, struct reading, link);
        if (reading->partition == partition)
            return reading;
    }
    return NULL;
}

static void begin_some(struct readback *readback)
{
    LIST_EACH (&readback->waiting, link) {
        struct reading *reading = container_of(link, struct reading, link);
        if (readback->reading.length == READBACK_TOGETHER_MAX)
            return;
        if (find_reading(readback, reading->partition) != NULL)
            continue;
        list_remove(&readback->waiting, link);
        list_append(&readback->reading, link);
        assign(readback, reading, true);
    }
}

static void end(struct readback *readback, struct reading *reading, enum readback_result result, const struct event_record *record)
{
    readback_done *done = reading->done;
    void *context = reading->context;
    if (find_reading(readback, reading->partition) == reading) {
        list_remove(&readback->reading, &reading->link);
        assign(readback, reading, false);
    } else {
        list_remove(&readback->waiting, &reading->link);
    }
    free(reading);
    done(context, result, record);
}

/* ---- what comes ---- */

static void found(struct readback *readback, struct reading *reading, const rd_kafka_message_t *message)
{
    rd_kafka_timestamp_type_t type;
    int64_t timestamp_ms = rd_kafka_message_timestamp(message, &type);
    const struct event_record record = { .has_key = message->key != NULL,
                                         .has_value = message->payload != NULL,
                                         .key = { message->key, message->key_len },
                                         .value = { message->payload, message->len },
                                         .timestamp_ms = type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? -1 : timestamp_ms };
    end(readback, reading, READBACK_FOUND, &record);
}

static void take(struct readback *readback, const rd_kafka_message_t *message)
{
    struct reading *reading = message->rkt == NULL ? NULL : find_reading(readback, message->partition);
    if (reading == NULL)
        return; /* an error of the whole consumer, which mends itself or not: the time runs out */
    switch (message->err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        if (message->offset == reading->offset)
            found(readback, reading, message);
        else if (message->offset > reading->offset)
            end(readback, reading, READBACK_GONE, NULL); /* deleted, compacted, or of a transaction that was given up */
        break;
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET: /* no such offset in the log */
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION: /* of a topic that is known */
        end(readback, reading, READBACK_GONE, NULL);
        break;
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC: /* brokers say so for a moment, too, while they start or a topic is made anew: no word on the record */
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        end(readback, reading, READBACK_AWAY, NULL);
        break;
    default:
        break;
    }
}

static void give_up_late(struct readback *readback, struct list *list)
{
    uint64_t now_ms = clock_monotonic_ms();
    struct link *link;
    while ((link = list_first(list)) != NULL && container_of(link, struct reading, link)->until_ms <= now_ms)
        end(readback, container_of(link, struct reading, link), READBACK_AWAY, NULL);
}

static void look(struct readback *readback)
{
    rd_kafka_message_t *message;
    for (int i = 0; i < MESSAGES_PER_LOOK && (message = rd_kafka_consumer_poll(readback->consumer, 0)) != NULL; i++) {
        take(readback, message);
        rd_kafka_message_destroy(message);
    }
    give_up_late(readback, &readback->reading);
    give_up_late(readback, &readback->waiting);
    begin_some(readback);
    if (readback->reading.length == 0)
        uv_timer_stop(&readback->timer);
}

static void woken(uv_poll_t *poll, int status, int events)
{
    struct readback *readback = poll->data;
    eventfd_t count;
    (void)status, (void)events;
    if (eventfd_read(readback->wake_fd, &count) == 0)
        look(readback);
}

static void time_to_look(uv_timer_t *timer)
{
    look(timer->data);
}

bool readback_ask(struct readback *readback, int32_t partition, int64_t offset, readback_done *done, void *context)
{
    if (readback->waiting.length + readback->reading.length >= READBACK_OPEN_MAX)
        return false;
    struct reading *reading = memory_create(sizeof *reading);
    *reading = (struct reading){
        .partition = partition, .offset = offset, .until_ms = clock_monotonic_ms() + READBACK_PATIENCE_MS, .done = done, .context = context
    };
    list_append(&readback->waiting, &reading->link);
    begin_some(readback);
    if (!uv_is_active((uv_handle_t *)&readback->timer))
        uv_timer_start(&readback->timer, time_to_look, LOOK_MS, LOOK_MS);
    return true;
}

/* ---- making and unmaking ---- */

/* Small fetches: whatever comes with the record is thrown away. A long poll for one partition holds up the next one's fetch from the same broker. */
static rd_kafka_t *make_consumer(const struct settings *settings, char *problem, size_t size)
{
    rd_kafka_conf_t *conf = kafka_conf_create(settings, KAFKA_READER, problem, size);
    if (conf == NULL)
        return NULL;
    bool taken = kafka_conf_try(conf, "fetch.wait.max.ms", "5") && kafka_conf_try(conf, "fetch.message.max.bytes", "65536") &&
                 kafka_conf_try(conf, "auto.offset.reset", "error"); /* not the whole partition for an offset that is gone */
    assert(taken);
    rd_kafka_t *consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, problem, size);
    if (consumer == NULL)
        rd_kafka_conf_destroy(conf);
    return consumer;
}

struct readback *readback_create(struct uv_loop_s *loop, const struct settings *settings, char *problem, size_t size)
{
    static const uint64_t one = 1;
    rd_kafka_t *consumer = make_consumer(settings, problem, size);
    if (consumer == NULL)
        return NULL;
    struct readback *readback = memory_create(sizeof *readback);
    readback->consumer = consumer;
    readback->topic = settings->topic;
    list_init(&readback->waiting);
    list_init(&readback->reading);
    readback->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert(readback->wake_fd >= 0);
    rd_kafka_poll_set_consumer(consumer);
    readback->queue = rd_kafka_queue_get_consumer(consumer);
    rd_kafka_queue_io_event_enable(readback->queue, readback->wake_fd, &one, sizeof one);
    uv_poll_init(loop, &readback->wake, readback->wake_fd);
    uv_timer_init(loop, &readback->timer);
    readback->wake.data = readback->timer.data = readback;
    uv_poll_start(&readback->wake, UV_READABLE, woken);
    return readback;
}

static void drop_all(struct list *list)
{
    struct link *link;
    while ((link = list_take(list)) != NULL)
        free(container_of(link, struct reading, link));
}

static void closed(uv_handle_t *handle)
{
    struct readback *readback = handle->data;
    if (--readback->open_handles > 0)
        return;
    close(readback->wake_fd);
    free(readback);
}

void readback_destroy(struct readback *readback)
{
    if (readback == NULL)
        return;
    drop_all(&readback->waiting);
    drop_all(&readback->reading);
    rd_kafka_queue_io_event_enable(readback->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(readback->queue);
    rd_kafka_consumer_close(readback->consumer);
    rd_kafka_destroy(readback->consumer);
    readback->open_handles = 2;
    uv_close((uv_handle_t *)&readback->wake, closed);
    uv_close((uv_handle_t *)&readback->timer, closed);
}
