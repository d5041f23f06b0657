#include "consumer/offsets.h"

#include "consumer/base/crash.h"

#include <librdkafka/rdkafka.h>
#include <string.h>

enum { COMPLAIN_EVERY_MS = 60000 };

void offsets_init(struct offsets *offsets, struct rd_kafka_s *consumer, struct partitions *partitions, struct intake_stats *stats)
{
    *offsets = (struct offsets){ .consumer = consumer, .partitions = partitions, .stats = stats };
}

/* ---- in the background ---- */

static void list_finished(const struct partition *partition, rd_kafka_topic_partition_list_t *places)
{
    int64_t offset = ledger_committable(&partition->ledger);
    if (offset < 0 || offset == partition->stored)
        return;
    rd_kafka_topic_partition_list_add(places, partition->topic, partition->id)->offset = offset;
}

/* What was not stored (a partition that was assigned a moment ago, or is about to be taken away) is tried again. */
static void note_stored(struct partitions *partitions, const rd_kafka_topic_partition_list_t *places)
{
    int i = 0;
    LIST_EACH (&partitions->all, link) { /* in the order in which they were listed */
        struct partition *partition = container_of(link, struct partition, link);
        if (i == places->cnt)
            return;
        const rd_kafka_topic_partition_t *place = &places->elems[i];
        if (place->partition != partition->id || strcmp(place->topic, partition->topic) != 0)
            continue;
        if (place->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            partition->stored = place->offset;
        i++;
    }
}

static void store_finished(struct offsets *offsets)
{
    rd_kafka_topic_partition_list_t *places = rd_kafka_topic_partition_list_new(16);
    LIST_EACH (&offsets->partitions->all, link)
        list_finished(container_of(link, struct partition, link), places);
    if (places->cnt > 0)
        rd_kafka_offsets_store(offsets->consumer, places);
    note_stored(offsets->partitions, places);
    CRASH_POINT("stored", "", "");
    rd_kafka_topic_partition_list_destroy(places);
}

/* Stored first: what is stored would be committed again. The answer comes where those to the background's commits do (offsets_note_commit). */
static void go_back(const struct offsets *offsets, struct partition *partition, int64_t offset)
{
    rd_kafka_topic_partition_list_t *places = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(places, partition->topic, partition->id)->offset = offset;
    rd_kafka_offsets_store(offsets->consumer, places);
    rd_kafka_queue_t *answers = rd_kafka_queue_get_consumer(offsets->consumer);
    partition->rewind.offset = offset;
    partition->rewind.refused = rd_kafka_commit_queue(offsets->consumer, places, answers, NULL, NULL) != RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_queue_destroy(answers);
    rd_kafka_topic_partition_list_destroy(places);
}

/* To where the partition is by now. */
static void go_back_again(const struct offsets *offsets, struct partition *partition)
{
    int64_t finished = ledger_committable(&partition->ledger);
    go_back(offsets, partition, finished > partition->rewind.offset ? finished : partition->rewind.offset);
}

void offsets_store(struct offsets *offsets)
{
    store_finished(offsets);
    LIST_EACH (&offsets->partitions->all, link) {
        struct partition *partition = container_of(link, struct partition, link);
        if (partition->rewind.refused)
            go_back_again(offsets, partition);
    }
}

/* A place that was refused, and perhaps passed since by a commit that was not, is committed again: that does no harm. */
static void note_refused(const struct offsets *offsets, const rd_kafka_topic_partition_list_t *places)
{
    for (int i = 0; i < places->cnt; i++) {
        const rd_kafka_topic_partition_t *place = &places->elems[i];
        struct partition *partition = partitions_find(offsets->partitions, place->topic, place->partition);
        if (partition != NULL && place->offset == partition->rewind.offset)
            partition->rewind.refused = true;
    }
}

void offsets_note_commit(struct offsets *offsets, int error, const struct rd_kafka_topic_partition_list_s *places)
{
    uint64_t suppressed;
    if (error == RD_KAFKA_RESP_ERR__NO_OFFSET)
        return;
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR && places != NULL)
        note_refused(offsets, places);
    CRASH_POINT("committed", "", "");
    counter_add(error == RD_KAFKA_RESP_ERR_NO_ERROR ? &offsets->stats->commits : &offsets->stats->commit_failures, 1);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR && log_gate_opens(&offsets->complaints, COMPLAIN_EVERY_MS, &suppressed))
        log_warn("a commit failed, its events may be read again", LOG_STRING("error", rd_kafka_err2name((rd_kafka_resp_err_t)error)),
                 LOG_STRING("text", rd_kafka_err2str((rd_kafka_resp_err_t)error)), LOG_I("suppressed", suppressed));
}

/* ---- at once ---- */

/* Synchronously, but not for long: a frozen broker must not hold the loop. */
static bool commit_now(struct offsets *offsets, rd_kafka_topic_partition_list_t *places)
{
    if (places->cnt == 0)
        return true;
    rd_kafka_queue_t *answers = rd_kafka_queue_new(offsets->consumer);
    rd_kafka_resp_err_t error = rd_kafka_commit_queue(offsets->consumer, places, answers, NULL, NULL);
    rd_kafka_event_t *event = error == RD_KAFKA_RESP_ERR_NO_ERROR ? rd_kafka_queue_poll(answers, OFFSETS_COMMIT_WAIT_MS) : NULL;
    if (event != NULL) {
        overtaken_by_deletion(offsets->partitions, offsets->consumer, rd_kafka_event_topic_partition_list(event), offsets->stats);
        error = rd_kafka_event_error(event);
        rd_kafka_event_destroy(event);
    } else if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
        error = RD_KAFKA_RESP_ERR__TIMED_OUT;
    }
    offsets_note_commit(offsets, error, NULL);
    rd_kafka_queue_destroy(answers);
    return error == RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void list_committable(const struct partition *partition, rd_kafka_topic_partition_list_t *places)
{
    if (ledger_committable(&partition->ledger) >= 0)
        rd_kafka_topic_partition_list_add(places, partition->topic, partition->id)->offset = ledger_committable(&partition->ledger);
}

bool offsets_commit_partition(struct offsets *offsets, const struct partition *partition)
{
    rd_kafka_topic_partition_list_t *places = rd_kafka_topic_partition_list_new(1);
    offsets_store(offsets); /* or the background commit would go back */
    list_committable(partition, places);
    bool committed = commit_now(offsets, places);
    rd_kafka_topic_partition_list_destroy(places);
    return committed;
}

bool offsets_commit_all(struct offsets *offsets)
{
    rd_kafka_topic_partition_list_t *places = rd_kafka_topic_partition_list_new(16);
    LIST_EACH (&offsets->partitions->all, link)
        list_committable(container_of(link, struct partition, link), places);
    bool committed = commit_now(offsets, places);
    rd_kafka_topic_partition_list_destroy(places);
    return committed;
}

/* Background commits never go back, and whoever started from the old place would pass over what is written and read there now. */
void offsets_rewind(struct offsets *offsets, struct partition *partition, int64_t offset)
{
    log_warn("the log ends before the group's offset: the group goes back", LOG_STRING("topic", partition->topic), LOG_I("partition", partition->id),
             LOG_I("offset", offset));
    go_back(offsets, partition, offset);
}
