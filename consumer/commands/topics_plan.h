/* Which topics should exist, with what, and in what one that exists differs. Pure. */
#ifndef JOBHOOK_CONSUMER_COMMANDS_TOPICS_PLAN_H
#define JOBHOOK_CONSUMER_COMMANDS_TOPICS_PLAN_H

#include "consumer/base/text.h"
#include "delivery/attempt.h"
#include "delivery/retry.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    TOPICS_PARTITIONS = 12, /* of the input topic, when neither told nor there */
    TOPICS_REPLICATION = 3, /* when not told */
    TOPICS_MIN_INSYNC = 2,  /* not above the replication */
    TOPICS_EXTRA_BYTES = 64 * 1024,
    TOPICS_PROBLEM_MAX = 512,
    TOPICS_ATTEMPT_BYTES = 1024 * 1024, /* the largest record of an attempt, by far */
    TOPICS_MAX = 2 * RETRY_DELAYS_MAX + 3,
};

enum topic_role { TOPIC_INPUT, TOPIC_RETRY, TOPIC_DEAD_LETTER, TOPIC_ATTEMPTS };

struct topic_shape {
    int32_t partitions, replication;
    int64_t retention_ms; /* -1 without limit */
    int64_t max_message_bytes;
    int64_t min_insync;
    char cleanup_policy[32];
};

struct topic_found {
    bool exists;
    bool config_known; /* else only partitions and replication hold, and `problem` says why */
    bool rights_known; /* the next two */
    bool may_read, may_write;
    struct topic_shape shape;
    char problem[TOPICS_PROBLEM_MAX]; /* "" none */
};

struct topic_wanted {
    char name[ATTEMPT_TOPIC_MAX + 1];
    enum topic_role role;
    struct topic_shape shape;
    bool any_partitions; /* not told: whatever the existing one has is right */
};

struct topics_asked {
    const char *topic;
    const char *attempts_topic; /* NULL: none */
    const struct retry_schedule *schedule;
    uint64_t max_event_bytes;
    int32_t partitions, replication; /* 0: not told */
};

struct topics_plan {
    size_t count;
    struct topic_wanted
        topics[TOPICS_MAX]; /* the input first, then the retry topics from the shortest delay, the dead-letter topic, that of attempts last */
};

/* The names and roles, by which the cluster is asked. False when a name is longer than Kafka allows. */
MUST_USE bool topics_plan_name(struct topics_plan *plan, const struct topics_asked *asked);
/* The shapes: the other topics follow the input topic as it was found. */
void topics_plan_shape(struct topics_plan *plan, const struct topics_asked *asked, const struct topic_found *input);

enum topic_judgement {
    TOPIC_FITS,
    TOPIC_DIFFERS, /* works */
    TOPIC_WRONG,   /* would lose events or refuse them */
};
/* One line for each difference, each ending in a newline. */
enum topic_judgement topics_plan_compare(const struct topic_wanted *wanted, const struct topic_found *found, struct text *lines);

#endif
