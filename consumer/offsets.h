/* Offsets: what of the partitions is finished is told to the group, and nothing else. librdkafka stays inside.
 *
 * Finished offsets are stored now and then and committed by librdkafka in the background. That never goes back: where the log itself did, the group
 * must be told so by itself (offsets_rewind). What has to be known before going on is committed at once, waiting COMMIT_WAIT_MS at the most. */
#ifndef JOBHOOK_CONSUMER_OFFSETS_H
#define JOBHOOK_CONSUMER_OFFSETS_H

#include "consumer/base/log.h"
#include "consumer/intake_stats.h"
#include "consumer/partitions.h"

enum { OFFSETS_COMMIT_WAIT_MS = 3000 };

struct offsets {
    struct rd_kafka_s *consumer;
    struct partitions *partitions;
    struct intake_stats *stats;
    struct log_gate complaints;
};

void offsets_init(struct offsets *offsets, struct rd_kafka_s *consumer, struct partitions *partitions, struct intake_stats *stats);

/* For the background to commit. */
void offsets_store(struct offsets *offsets);
/* At once; false when it is not known to be done. */
bool offsets_commit_partition(struct offsets *offsets, const struct partition *partition);
bool offsets_commit_all(struct offsets *offsets); /* the partitions are about to be taken away */
/* The log ends, or begins again, before the place that the group has committed. Committed in the background, until the group has it. */
void offsets_rewind(struct offsets *offsets, struct partition *partition, int64_t offset);
/* The answer to a commit in the background: a rd_kafka_resp_err_t, and what was to be committed. */
void offsets_note_commit(struct offsets *offsets, int error, const struct rd_kafka_topic_partition_list_s *places);

#endif
