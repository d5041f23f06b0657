#include "consumer/commands/topics_plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DAY_MS (INT64_C(24) * 3600 * 1000)

static const int64_t retention_ms[] = {
    [TOPIC_INPUT] = 7 * DAY_MS, [TOPIC_RETRY] = 7 * DAY_MS, [TOPIC_DEAD_LETTER] = 30 * DAY_MS, [TOPIC_ATTEMPTS] = 7 * DAY_MS
};

static bool add(struct topics_plan *plan, enum topic_role role, struct text *name)
{
    bool fits = !name->overflowed && name->length <= ATTEMPT_TOPIC_MAX;
    struct topic_wanted *wanted = &plan->topics[plan->count];
    if (fits) {
        *wanted = (struct topic_wanted){ .role = role };
        memcpy(wanted->name, name->start, name->length);
        plan->count++;
    }
    text_clear(name);
    return fits;
}

bool topics_plan_name(struct topics_plan *plan, const struct topics_asked *asked)
{
    struct retry_delays delays;
    struct text name;
    text_init(&name, 2 * ATTEMPT_TOPIC_MAX);
    plan->count = 0;
    retry_distinct_delays(asked->schedule, &delays);
    text_append_string(&name, asked->topic);
    bool fine = add(plan, TOPIC_INPUT, &name);
    for (size_t i = 0; i < delays.count; i++) {
        retry_topic_write(asked->topic, delays.ms[i], &name);
        fine = add(plan, TOPIC_RETRY, &name) && fine;
    }
    text_printf(&name, "%s.dlq", asked->topic);
    fine = add(plan, TOPIC_DEAD_LETTER, &name) && fine;
    if (asked->attempts_topic != NULL) {
        text_append_string(&name, asked->attempts_topic);
        fine = add(plan, TOPIC_ATTEMPTS, &name) && fine;
    }
    text_finish(&name);
    return fine;
}

/* Of the input topic: as it is, else large enough for the largest event with its key and headers. */
static int64_t input_bytes(const struct topics_asked *asked, const struct topic_found *input)
{
    if (input->exists && input->config_known)
        return input->shape.max_message_bytes;
    return (int64_t)asked->max_event_bytes + TOPICS_EXTRA_BYTES;
}

void topics_plan_shape(struct topics_plan *plan, const struct topics_asked *asked, const struct topic_found *input)
{
    int32_t replication = asked->replication > 0 ? asked->replication : TOPICS_REPLICATION;
    int32_t partitions = asked->partitions > 0 ? asked->partitions : input->exists ? input->shape.partitions : TOPICS_PARTITIONS;
    for (size_t i = 0; i < plan->count; i++) {
        struct topic_wanted *wanted = &plan->topics[i];
        wanted->shape = (struct topic_shape){ .partitions = partitions,
                                              .replication = replication,
                                              .retention_ms = retention_ms[wanted->role],
                                              .max_message_bytes = input_bytes(asked, input),
                                              .min_insync = replication < TOPICS_MIN_INSYNC ? replication : TOPICS_MIN_INSYNC,
                                              .cleanup_policy = "delete" };
        if (wanted->role != TOPIC_INPUT)
            wanted->shape.max_message_bytes += TOPICS_EXTRA_BYTES; /* room for the headers that jobhook adds */
        if (wanted->role == TOPIC_ATTEMPTS)
            wanted->shape.max_message_bytes = TOPICS_ATTEMPT_BYTES;
        wanted->any_partitions = wanted->role == TOPIC_INPUT && asked->partitions == 0;
    }
}

/* ---- what differs ---- */

static void differ(struct text *lines, const char *what, int64_t is, int64_t asked)
{
    text_printf(lines, "%s is %" PRId64 ", not %" PRId64 "\n", what, is, asked);
}

static void append_days(struct text *lines, int64_t ms)
{
    if (ms < 0)
        text_append_string(lines, "without limit");
    else if (ms % DAY_MS == 0)
        text_printf(lines, "%" PRId64 " days", ms / DAY_MS);
    else
        text_printf(lines, "%" PRId64 " ms", ms);
}

static void compare_retention(const struct topic_wanted *wanted, const struct topic_found *found, struct text *lines)
{
    if (found->shape.retention_ms == wanted->shape.retention_ms)
        return;
    text_append_string(lines, "retention.ms is ");
    append_days(lines, found->shape.retention_ms);
    text_append_string(lines, ", not ");
    append_days(lines, wanted->shape.retention_ms);
    text_append_char(lines, '\n');
}

/* Larger than needed is fine. The input's own limit is its owner's business: it only bounds what can be published. */
static bool has_room(const struct topic_wanted *wanted, const struct topic_found *found, struct text *lines)
{
    if (found->shape.max_message_bytes >= wanted->shape.max_message_bytes || wanted->role == TOPIC_ATTEMPTS)
        return true;
    text_printf(lines, "max.message.bytes is %" PRId64 ", less than %" PRId64 " (the input topic's and %d KiB for headers)\n",
                found->shape.max_message_bytes, wanted->shape.max_message_bytes, TOPICS_EXTRA_BYTES / 1024);
    return false;
}

/* Compaction keeps one record for each key: of two retries of one task only the younger would survive. */
static bool keeps_records(const struct topic_wanted *wanted, const struct topic_found *found, struct text *lines)
{
    if (strcmp(found->shape.cleanup_policy, wanted->shape.cleanup_policy) == 0)
        return true;
    bool compacted = strstr(found->shape.cleanup_policy, "compact") != NULL && (wanted->role == TOPIC_RETRY || wanted->role == TOPIC_DEAD_LETTER);
    text_printf(lines, "cleanup.policy is %s, not %s%s\n", found->shape.cleanup_policy, wanted->shape.cleanup_policy,
                compacted ? ": records would be lost" : "");
    return !compacted;
}

enum topic_judgement topics_plan_compare(const struct topic_wanted *wanted, const struct topic_found *found, struct text *lines)
{
    const struct topic_shape *is = &found->shape, *asked = &wanted->shape;
    size_t before = lines->length;
    bool wrong = false;
    if (is->partitions != asked->partitions && !wanted->any_partitions)
        differ(lines, "the number of partitions", is->partitions, asked->partitions);
    if (is->replication != asked->replication)
        differ(lines, "replication", is->replication, asked->replication);
    if (!found->config_known) {
        text_printf(lines, "its configuration could not be read: %s\n", found->problem);
        return TOPIC_DIFFERS;
    }
    if (is->min_insync != asked->min_insync)
        differ(lines, "min.insync.replicas", is->min_insync, asked->min_insync);
    compare_retention(wanted, found, lines);
    wrong |= wanted->role != TOPIC_INPUT && !has_room(wanted, found, lines);
    wrong |= !keeps_records(wanted, found, lines);
    if (wrong)
        return TOPIC_WRONG;
    return lines->length > before ? TOPIC_DIFFERS : TOPIC_FITS;
}
