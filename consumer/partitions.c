#include "consumer/partitions.h"

#include "consumer/base/memory.h"
#include "delivery/retry.h"

#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WAKE_NUMBERS_AT_ONCE = 1024 };

void partitions_init(struct partitions *set, struct timers *timers, const char *input_topic, int wake_fd)
{
    *set = (struct partitions){ .timers = timers, .input_topic = input_topic, .wake_fd = wake_fd };
    list_init(&set->all);
    list_init(&set->ready);
    list_init(&set->orphans);
}

static void take_number(struct partitions *set, struct partition *partition)
{
    uint32_t number = 0;
    while (number < set->numbered_count && set->numbered[number] != NULL)
        number++;
    if (number == set->numbered_count) {
        set->numbered = memory_resize(set->numbered, (number + 1) * sizeof(struct partition *));
        set->numbered_count = number + 1;
    }
    set->numbered[number] = partition;
    partition->number = number;
}

struct partition *partitions_add(struct partitions *set, struct rd_kafka_s *consumer, const char *topic, int32_t id)
{
    struct partition *partition = memory_create(sizeof(*partition));
    partition->set = set;
    partition->topic = memory_copy(topic, strlen(topic));
    partition->id = id;
    partition->is_input = strcmp(topic, set->input_topic) == 0;
    if (!partition->is_input && !retry_topic_read(set->input_topic, slice_of(topic), &partition->delay_ms))
        partition->delay_ms = 0;
    partition->stored = partition->rewind.offset = -1;
    ledger_init(&partition->ledger);
    list_init(&partition->home.deliveries);
    list_append(&set->all, &partition->link);
    take_number(set, partition);
    partition->queue = rd_kafka_queue_get_partition(consumer, topic, id);
    assert(partition->queue != NULL);
    rd_kafka_queue_forward(partition->queue, NULL);
    rd_kafka_queue_io_event_enable(partition->queue, set->wake_fd, &partition->number, sizeof(partition->number));
    partition_mark_ready(partition);
    return partition;
}

struct partition *partitions_find(const struct partitions *set, const char *topic, int32_t id)
{
    LIST_EACH (&set->all, link) {
        struct partition *partition = container_of(link, struct partition, link);
        if (partition->id == id && strcmp(partition->topic, topic) == 0)
            return partition;
    }
    return NULL;
}

static void drop_head(struct partition *partition)
{
    timers_stop(partition->set->timers, &partition->due);
    if (partition->head.event == NULL)
        return;
    partition->set->head_bytes -= partition->head.event->bytes;
    event_destroy(partition->head.event);
    partition->head.event = NULL;
}

void partitions_orphan(struct partitions *set, struct partition *partition)
{
    drop_head(partition);
    if (!link_is_free(&partition->ready))
        list_remove(&set->ready, &partition->ready);
    set->numbered[partition->number] = NULL;
    rd_kafka_queue_io_event_enable(partition->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(partition->queue);
    partition->queue = NULL;
    list_remove(&set->all, &partition->link);
    list_append(&set->orphans, &partition->link);
}

static void partition_destroy(struct partition *partition)
{
    ledger_finish(&partition->ledger);
    free(partition->topic);
    free(partition);
}

void partitions_bury(struct partitions *set)
{
    LIST_EACH (&set->orphans, link) {
        struct partition *partition = container_of(link, struct partition, link);
        if (!list_is_empty(&partition->home.deliveries))
            continue;
        list_remove(&set->orphans, link);
        partition_destroy(partition);
    }
}

void partitions_finish(struct partitions *set)
{
    LIST_EACH (&set->all, link)
        partitions_orphan(set, container_of(link, struct partition, link));
    LIST_EACH (&set->orphans, link)
        partition_destroy(container_of(link, struct partition, link));
    free(set->numbered);
}

void partition_mark_ready(struct partition *partition)
{
    if (link_is_free(&partition->ready) && partition->head.event == NULL)
        list_append(&partition->set->ready, &partition->ready);
}

void partitions_wake(struct partitions *set, int read_fd)
{
    uint32_t numbers[WAKE_NUMBERS_AT_ONCE];
    ssize_t bytes;
    while ((bytes = read(read_fd, numbers, sizeof(numbers))) > 0)
        for (size_t i = 0; i < (size_t)bytes / sizeof(numbers[0]); i++)
            if (numbers[i] < set->numbered_count && set->numbered[numbers[i]] != NULL)
                partition_mark_ready(set->numbered[numbers[i]]);
}

void partitions_sweep(struct partitions *set)
{
    LIST_EACH (&set->all, link) {
        struct partition *partition = container_of(link, struct partition, link);
        if (rd_kafka_queue_length(partition->queue) > 0)
            partition_mark_ready(partition);
    }
}

static int64_t oldest_ms(const struct partition *partition)
{
    int64_t open_ms = delivery_home_oldest_ms(&partition->home);
    if (partition->head.event == NULL)
        return open_ms;
    int64_t head_ms = partition->head.attempt.first_ms;
    return open_ms == 0 || head_ms < open_ms ? head_ms : open_ms;
}

int64_t partitions_oldest_ms(const struct partitions *set)
{
    int64_t oldest = 0;
    LIST_EACH (&set->all, link) {
        int64_t ms = oldest_ms(container_of(link, struct partition, link));
        if (ms > 0 && (oldest == 0 || ms < oldest))
            oldest = ms;
    }
    return oldest;
}
