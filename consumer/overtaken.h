/* Records that were deleted before they were delivered: retention or an operator moved the log's start past the place where the group goes on, or
 * deleted the topic.
 *
 * Nobody can deliver them, so they are counted loudly. A jump of the offsets alone says little: compaction and transaction markers leave gaps, too.
 * So each partition's widest jump is remembered and judged a little later, one partition at a time, by the log's start that the broker names. Where
 * retention runs close behind the reading, a marker's gap may be counted; what was deleted is never left out while the broker answers. */
#ifndef JOBHOOK_CONSUMER_OVERTAKEN_H
#define JOBHOOK_CONSUMER_OVERTAKEN_H

#include <stdbool.h>
#include <stdint.h>

struct rd_kafka_s;
struct rd_kafka_topic_partition_list_s;
struct intake_stats;
struct partition;
struct partitions;

struct overtaken {    /* of one partition; all zero at first */
    bool is_known;    /* `expected` is */
    int64_t expected; /* the offset that was committed when the partition was assigned */
    int64_t from, to; /* the widest jump that is not judged yet; equal: none */
    int64_t end;      /* of the log, the furthest that was measured */
};

/* What the group had committed for these partitions; asks the broker, waiting at most a second. NULL: unknown. */
struct rd_kafka_topic_partition_list_s *overtaken_ask(struct rd_kafka_s *consumer, const struct rd_kafka_topic_partition_list_s *assigned);
void overtaken_free(struct rd_kafka_topic_partition_list_s *committed); /* NULL is fine */
/* The partition begins behind what `committed` says of it. */
void overtaken_begin(struct partition *partition, struct rd_kafka_topic_partition_list_s *committed);
/* The first record since the assignment, or the partition's end, lies before what the group had committed: the log lost its tail. */
bool overtaken_fell_back(const struct partition *partition, int64_t offset);
/* Before the ledger hears of it: the next record, or the partition's end, has this offset. */
void overtaken_note(struct partition *partition, int64_t offset);
/* The log was measured to end here. A deleted topic may still be measured, as empty: the furthest end stays. */
void overtaken_note_end(struct partition *partition, int64_t end);
/* Now and then: judges one jump, waiting some tenths of a second for the broker at the most. */
void overtaken_judge(struct partitions *set, struct rd_kafka_s *consumer, struct intake_stats *stats);
/* What came of committing these places. A topic that is not there any more took along what was not finished of it: usually retries that waited. */
void overtaken_by_deletion(struct partitions *set, struct rd_kafka_s *consumer, const struct rd_kafka_topic_partition_list_s *committed,
                           struct intake_stats *stats);

#endif
