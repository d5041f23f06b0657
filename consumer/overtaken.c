#include "consumer/overtaken.h"

#include "consumer/base/clock.h"
#include "consumer/base/log.h"
#include "consumer/intake_stats.h"
#include "consumer/partitions.h"

#include <librdkafka/rdkafka.h>
#include <string.h>

enum { ASK_MS = 1000, ASK_ALL_MS = 3000, JUDGE_MS = 200, UNANSWERED_REST_MS = 10000 };

struct rd_kafka_topic_partition_list_s *overtaken_ask(struct rd_kafka_s *consumer, const struct rd_kafka_topic_partition_list_s *assigned)
{
    rd_kafka_topic_partition_list_t *committed = rd_kafka_topic_partition_list_copy(assigned);
    if (rd_kafka_committed(consumer, committed, ASK_MS) == RD_KAFKA_RESP_ERR_NO_ERROR)
        return committed;
    rd_kafka_topic_partition_list_destroy(committed);
    return NULL;
}

void overtaken_free(struct rd_kafka_topic_partition_list_s *committed)
{
    if (committed != NULL)
        rd_kafka_topic_partition_list_destroy(committed);
}

void overtaken_begin(struct partition *partition, struct rd_kafka_topic_partition_list_s *committed)
{
    const rd_kafka_topic_partition_t *place =
        committed == NULL ? NULL : rd_kafka_topic_partition_list_find(committed, partition->topic, partition->id);
    if (place == NULL || place->err != RD_KAFKA_RESP_ERR_NO_ERROR || place->offset < 0)
        return;
    partition->overtaken.is_known = true;
    partition->overtaken.expected = place->offset;
}

bool overtaken_fell_back(const struct partition *partition, int64_t offset)
{
    return partition->ledger.position < 0 && partition->overtaken.is_known && offset < partition->overtaken.expected;
}

void overtaken_note(struct partition *partition, int64_t offset)
{
    struct overtaken *overtaken = &partition->overtaken;
    bool has_position = partition->ledger.position >= 0;
    int64_t expected = has_position ? partition->ledger.position : overtaken->expected;
    if ((!has_position && !overtaken->is_known) || offset - expected <= overtaken->to - overtaken->from)
        return;
    overtaken->from = expected;
    overtaken->to = offset;
}

void overtaken_note_end(struct partition *partition, int64_t end)
{
    if (end > partition->overtaken.end)
        partition->overtaken.end = end;
}

static void count(const struct partition *partition, int64_t low, struct intake_stats *stats)
{
    const struct overtaken *jump = &partition->overtaken;
    int64_t lost = (jump->to < low ? jump->to : low) - jump->from;
    if (lost <= 0)
        return;
    counter_add(&stats->overtaken, (uint64_t)lost);
    log_error("records were deleted before they were read", LOG_I("records", lost), LOG_STRING("topic", partition->topic),
              LOG_I("partition", partition->id), LOG_I("from_offset", jump->from), LOG_I("to_offset", jump->from + lost),
              LOG_STRING("cure", "raise the topic's retention, and see why the group was so far behind; whoever wrote them can write them again"));
}

void overtaken_judge(struct partitions *set, struct rd_kafka_s *consumer, struct intake_stats *stats)
{
    if (clock_monotonic_ms() < set->overtaken_rest_ms)
        return;
    LIST_EACH (&set->all, link) {
        struct partition *partition = container_of(link, struct partition, link);
        struct overtaken *overtaken = &partition->overtaken;
        int64_t low = 0, high = 0;
        if (overtaken->to == overtaken->from)
            continue;
        if (rd_kafka_query_watermark_offsets(consumer, partition->topic, partition->id, &low, &high, JUDGE_MS) != RD_KAFKA_RESP_ERR_NO_ERROR) {
            set->overtaken_rest_ms = clock_monotonic_ms() + UNANSWERED_REST_MS; /* a broker that does not answer must not hold the loop */
            return;
        }
        count(partition, low, stats);
        overtaken->from = overtaken->to = 0;
        return;
    }
}

/* The error of a commit may stand at partitions that it does not concern, so the topic's partitions are asked for, until one answer is plain: right
 * after the deletion some are only late. */
static bool is_gone(struct rd_kafka_s *consumer, const struct rd_kafka_topic_partition_list_s *places, const char *topic, uint64_t until_ms)
{
    for (int i = 0; i < places->cnt && clock_monotonic_ms() < until_ms; i++) {
        int64_t low = 0, high = 0;
        if (strcmp(places->elems[i].topic, topic) != 0)
            continue;
        switch (rd_kafka_query_watermark_offsets(consumer, topic, places->elems[i].partition, &low, &high, JUDGE_MS)) {
        case RD_KAFKA_RESP_ERR_NO_ERROR:
            return false;
        case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
            return true;
        default:
            break;
        }
    }
    return false;
}

static int64_t unfinished(const struct partition *partition)
{
    int64_t position = partition->ledger.position, end = partition->overtaken.end;
    return (end > position ? end : position) - ledger_committable(&partition->ledger);
}

static void count_deleted(const struct partition *partition, struct intake_stats *stats)
{
    int64_t lost = unfinished(partition);
    counter_add(&stats->overtaken, (uint64_t)lost);
    log_error("a topic was deleted with records in it that were not finished", LOG_I("records", lost), LOG_STRING("topic", partition->topic),
              LOG_I("partition", partition->id), LOG_I("from_offset", ledger_committable(&partition->ledger)),
              LOG_STRING("cure", "jobhook topics create; whoever wrote the events can write them again"));
}

void overtaken_by_deletion(struct partitions *set, struct rd_kafka_s *consumer, const struct rd_kafka_topic_partition_list_s *committed,
                           struct intake_stats *stats)
{
    uint64_t until_ms = clock_monotonic_ms() + ASK_ALL_MS;
    for (int i = 0; committed != NULL && i < committed->cnt && clock_monotonic_ms() < until_ms; i++) {
        const rd_kafka_topic_partition_t *place = &committed->elems[i];
        struct partition *partition =
            place->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ? partitions_find(set, place->topic, place->partition) : NULL;
        if (partition != NULL && unfinished(partition) > 0 && is_gone(consumer, committed, place->topic, until_ms))
            count_deleted(partition, stats);
    }
}
