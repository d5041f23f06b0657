/* Reads topics for a command: without a group, from a place or a time on, to the end as it was when reading began, or for ever. librdkafka stays inside.
 *
 *   struct topic_reader *reader = topic_reader_create(&settings, problem, sizeof problem);
 *   topic_reader_add(reader, "jobs.completed.dlq", &(struct topic_range){ .partition = TOPIC_ALL_PARTITIONS, .from_ms = since }, problem, …);
 *   while ((step = topic_reader_next(reader, 1000, &record)) == TOPIC_RECORD || step == TOPIC_SILENCE) …
 *
 * Only committed records are seen. Nothing is committed, no group is joined, nothing is changed in the cluster. Memory is bounded however many partitions
 * and records there are: some partitions are read together, the others after them. Within a partition records come in order; between partitions, in
 * none. One thread. */
#ifndef JOBHOOK_CONSUMER_COMMANDS_TOPIC_READER_H
#define JOBHOOK_CONSUMER_COMMANDS_TOPIC_READER_H

#include "consumer/settings.h"
#include "delivery/event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct topic_reader;

enum { TOPIC_ALL_PARTITIONS = -1 };

struct topic_range {     /* of one topic */
    int32_t partition;   /* or TOPIC_ALL_PARTITIONS */
    int64_t from_offset; /* the first; below what the topic still has: its first. 0: the beginning */
    /* By the records' timestamps; 0: no matter. Kafka begins at the first record that is as late: behind it may lie some that are earlier, because
     * whoever writes sets the timestamps. */
    int64_t from_ms;
    int64_t until_offset; /* the first that is not read; 0: the end as it is when reading begins */
    bool from_end;        /* only what comes from now on; with `follow` */
    bool follow;          /* never ends */
};

struct topic_record { /* valid until the next call */
    const char *topic;
    int32_t partition;
    int64_t offset;
    struct event_record content; /* event_create copies it */
};

enum topic_step {
    TOPIC_RECORD,
    TOPIC_SILENCE, /* nothing within that time */
    TOPIC_END,     /* everything was read */
    TOPIC_PROBLEM, /* it cannot go on: topic_reader_problem says why */
};

/* NULL when librdkafka refuses the configuration: `problem` says why. */
struct topic_reader *topic_reader_create(const struct settings *settings, char *problem, size_t size);
void topic_reader_destroy(struct topic_reader *reader); /* takes NULL */

/* The number of partitions; 0: there is no such topic; -1: no broker answered in time. */
int32_t topic_reader_partitions(struct topic_reader *reader, const char *topic);
/* Before the first topic_reader_next; several topics, and several partitions of one, each with a range of its own, but none twice. On false there is no
 * such topic or partition, or no broker answers: `problem` says so. */
MUST_USE bool topic_reader_add(struct topic_reader *reader, const char *topic, const struct topic_range *range, char *problem, size_t size);

/* The next record. Waits at most `wait_ms`; the first call also asks where the ranges lie. */
enum topic_step topic_reader_next(struct topic_reader *reader, uint64_t wait_ms, struct topic_record *record);
const char *topic_reader_problem(const struct topic_reader *reader);

/* Where the reading of a partition began and where it ends; after the first topic_reader_next. False when nothing of it is read. */
MUST_USE bool topic_reader_bounds(const struct topic_reader *reader, const char *topic, int32_t partition, int64_t *first, int64_t *end);

struct topic_progress {
    uint64_t done, all; /* offsets, those that hold no record included; of ranges that have an end */
};
/* After the first topic_reader_next. */
struct topic_progress topic_reader_progress(const struct topic_reader *reader);

#endif
