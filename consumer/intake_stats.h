/* What Kafka's side counts, for /metrics. Written by the worker's loop, read by any thread (consumer/base/measure.h). */
#ifndef JOBHOOK_CONSUMER_INTAKE_STATS_H
#define JOBHOOK_CONSUMER_INTAKE_STATS_H

#include "consumer/base/measure.h"

struct intake_stats {
    struct gauge kafka_up;              /* 0 while no broker answers (consumer/survey.h) */
    struct gauge partitions_assigned;   /* of all topics */
    struct gauge partitions_careful;    /* of them those that are read one record at a time (consumer/careful.h) */
    struct gauge oldest_undelivered_ms; /* timestamp of the oldest record whose offset is open, ms since 1970; 0 none */
    struct counter records;             /* taken from the partitions, all topics */
    struct counter overtaken;           /* deleted before they were delivered (consumer/overtaken.h) */
    struct counter commits;
    struct counter commit_failures;
    struct counter produced;            /* records acknowledged: retries, deferrals, dead letters */
    struct counter attempts_recorded;   /* handed to Kafka for JOBHOOK_ATTEMPTS_TOPIC */
    struct counter attempts_unrecorded; /* dropped: the queue was full, or Kafka did not take them */
    struct counter produce_retries;     /* produced again, because the first answer was an error or none */
};

#endif
