#include "consumer/commands/doctor_inside.h"

#include <inttypes.h>
#include <string.h>

#define HOUR_MS (INT64_C(3600) * 1000)

struct looking {
    const struct settings *settings;
    const struct doctor_topic *topic;
    struct findings *findings;
    bool fine;
};

static const char *name_of(const struct looking *looking)
{
    return looking->topic->wanted->name;
}

#define TELL(looking, state, cure, ...) ((looking)->fine = false, findings_add((looking)->findings, (state), name_of(looking), (cure), __VA_ARGS__))

static void look_at_replicas(struct looking *looking)
{
    const struct topic_shape *shape = &looking->topic->found->shape;
    if (shape->replication < 2)
        TELL(looking, FINDING_WARNING, "raise the replication to 3 (kafka-reassign-partitions)",
             "replication is %" PRId32 ": what is on a broker whose disk is lost is lost", shape->replication);
    if (!looking->topic->found->config_known)
        return;
    if (shape->replication >= 2 && shape->min_insync < 2)
        TELL(looking, FINDING_WARNING, "set min.insync.replicas to 2",
             "min.insync.replicas is %" PRId64 ": an acknowledged record may be on one broker only", shape->min_insync);
    if (shape->replication >= 2 && shape->min_insync >= shape->replication)
        TELL(looking, FINDING_WARNING, "set min.insync.replicas below the replication",
             "min.insync.replicas is %" PRId64 " of %" PRId32 ": nothing can be written while one broker is away", shape->min_insync,
             shape->replication);
}

static void look_at_retention(struct looking *looking)
{
    const struct settings *settings = looking->settings;
    int64_t retention_ms = looking->topic->found->shape.retention_ms;
    int64_t delay_ms = (int64_t)looking->topic->delay_ms, age_ms = (int64_t)settings->max_event_age_ms;
    if (retention_ms < 0)
        return;
    if (looking->topic->wanted->role == TOPIC_RETRY && retention_ms <= delay_ms)
        TELL(looking, FINDING_BROKEN, "raise retention.ms: 7 days is what jobhook topics create sets",
             "retention.ms is %" PRId64 ": records are deleted before they are due", retention_ms);
    else if (looking->topic->wanted->role != TOPIC_DEAD_LETTER && looking->topic->wanted->role != TOPIC_ATTEMPTS && retention_ms < age_ms + delay_ms)
        TELL(looking, FINDING_WARNING, "raise retention.ms: 7 days is what jobhook topics create sets",
             "retention.ms is %" PRId64 " (%" PRId64
             " h): an outage that long deletes events that are not yet older than JOBHOOK_MAX_EVENT_AGE (%" PRId64 " h)",
             retention_ms, retention_ms / HOUR_MS, age_ms / HOUR_MS);
    else if (looking->topic->wanted->role == TOPIC_DEAD_LETTER && retention_ms < 24 * HOUR_MS)
        TELL(looking, FINDING_WARNING, "raise retention.ms: 30 days is what jobhook topics create sets",
             "retention.ms is %" PRId64 ": dead letters are gone before anybody has looked at them", retention_ms);
}

static void look_at_cleanup(struct looking *looking)
{
    const char *policy = looking->topic->found->shape.cleanup_policy;
    bool loses_events = looking->topic->wanted->role != TOPIC_INPUT && looking->topic->wanted->role != TOPIC_ATTEMPTS;
    if (strstr(policy, "compact") == NULL)
        return;
    TELL(looking, loses_events ? FINDING_BROKEN : FINDING_WARNING, "set cleanup.policy to delete",
         "cleanup.policy is %s: of two records with one key only the younger survives", policy);
}

static void look_at_size(struct looking *looking)
{
    int64_t largest = looking->topic->found->shape.max_message_bytes;
    int64_t event = (int64_t)looking->settings->max_event_bytes, input = looking->topic->input->shape.max_message_bytes;
    if (looking->topic->wanted->role == TOPIC_INPUT) {
        if (largest < event)
            TELL(looking, FINDING_WARNING, "raise max.message.bytes, or lower JOBHOOK_MAX_EVENT_BYTES",
                 "max.message.bytes is %" PRId64 ": events up to JOBHOOK_MAX_EVENT_BYTES (%" PRId64 ") cannot be published", largest, event);
        else if (largest > event + 2 * (int64_t)TOPICS_EXTRA_BYTES)
            TELL(looking, FINDING_WARNING, "raise JOBHOOK_MAX_EVENT_BYTES, or lower max.message.bytes",
                 "max.message.bytes is %" PRId64 ": events above JOBHOOK_MAX_EVENT_BYTES (%" PRId64 ") can be published, and become dead letters",
                 largest, event);
        return;
    }
    if (looking->topic->wanted->role == TOPIC_ATTEMPTS) { /* records of their own, which hold no event */
        if (largest < TOPICS_ATTEMPT_BYTES)
            TELL(looking, FINDING_WARNING, "raise max.message.bytes to 1048576",
                 "max.message.bytes is %" PRId64 ": some attempts may not be recorded", largest);
        return;
    }
    if (looking->topic->input->config_known && largest < input + TOPICS_EXTRA_BYTES)
        TELL(looking, FINDING_BROKEN, "raise max.message.bytes to the input topic's + 65536",
             "max.message.bytes is %" PRId64 ", the input topic's %" PRId64 ": with jobhook's headers the largest events do not fit", largest, input);
}

/* What `topics acls --role run` prints, and why it is needed. */
static void look_at_rights(struct looking *looking)
{
    static const char cure[] = "allow this login what jobhook topics acls --role run prints";
    enum topic_role role = looking->topic->wanted->role;
    const struct topic_found *found = looking->topic->found;
    bool reads = role == TOPIC_INPUT || role == TOPIC_RETRY, writes = role != TOPIC_INPUT;
    if (!found->rights_known)
        return;
    if (reads && !found->may_read)
        TELL(looking, FINDING_BROKEN, cure, "this login may not read it: its events would never be delivered");
    if (writes && !found->may_write)
        TELL(looking, role == TOPIC_ATTEMPTS ? FINDING_WARNING : FINDING_BROKEN, cure, "this login may not write it: %s",
             role == TOPIC_ATTEMPTS ? "attempts would not be recorded"
             : role == TOPIC_RETRY  ? "events that are to be retried would be held for ever"
                                    : "events that cannot be delivered would be held for ever");
}

static void look_at_partitions(struct looking *looking)
{
    int32_t here = looking->topic->found->shape.partitions, there = looking->topic->input->shape.partitions;
    if (looking->topic->wanted->role == TOPIC_RETRY && looking->topic->input->exists && here < there)
        TELL(looking, FINDING_WARNING, "give it as many partitions as the input topic has (kafka-topics --alter)",
             "%" PRId32 " partitions, the input topic has %" PRId32 ": fewer copies can share its work", here, there);
}

void doctor_judge_topic(const struct settings *settings, const struct doctor_topic *topic, struct findings *findings)
{
    struct looking looking = { settings, topic, findings, true };
    const struct topic_shape *shape = &topic->found->shape;
    if (!topic->found->exists) {
        TELL(&looking, FINDING_BROKEN, "jobhook topics create; if it does exist, allow this login to describe, read and write it",
             "there is no such topic");
        return;
    }
    look_at_rights(&looking);
    look_at_partitions(&looking);
    look_at_replicas(&looking);
    if (!topic->found->config_known) {
        TELL(&looking, FINDING_WARNING, "allow this login DescribeConfigs on it", "its configuration cannot be read: %s", topic->found->problem);
        return;
    }
    look_at_retention(&looking);
    look_at_cleanup(&looking);
    look_at_size(&looking);
    if (looking.fine)
        findings_add(findings, FINDING_OK, name_of(&looking), NULL,
                     "%" PRId32 " partitions, replication %" PRId32 ", retention %" PRId64 " h, max.message.bytes %" PRId64, shape->partitions,
                     shape->replication, shape->retention_ms < 0 ? -1 : shape->retention_ms / HOUR_MS, shape->max_message_bytes);
}
