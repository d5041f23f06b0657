#include "consumer/commands/topics_plan.h"

#include <criterion/criterion.h>
#include <string.h>

static struct retry_schedule schedule;
static struct topics_plan plan;

static struct topics_asked asked(const char *retries, const char *defers)
{
    const char *problem;
    cr_assert(retry_delays_parse(slice_of(retries), &schedule.retries, &problem));
    cr_assert(retry_delays_parse(slice_of(defers), &schedule.defers, &problem));
    return (struct topics_asked){ .topic = "jobs.completed", .schedule = &schedule, .max_event_bytes = 8 << 20 };
}

static struct topic_found found_input(int32_t partitions, int64_t max_message_bytes)
{
    return (struct topic_found){ .exists = true,
                                 .config_known = true,
                                 .shape = { .partitions = partitions, .replication = 3, .max_message_bytes = max_message_bytes } };
}

Test(topics_plan, names_the_input_each_delay_once_and_the_dead_letters)
{
    static const char *const names[] = { "jobs.completed",          "jobs.completed.retry.1s", "jobs.completed.retry.2s",
                                         "jobs.completed.retry.1m", "jobs.completed.retry.5m", "jobs.completed.dlq" };
    struct topics_asked wish = asked("1s,2s,2s,60s", "1m,5m");
    cr_assert(topics_plan_name(&plan, &wish));
    cr_assert_eq(plan.count, COUNT_OF(names));
    for (size_t i = 0; i < plan.count; i++)
        cr_assert_str_eq(plan.topics[i].name, names[i]);
    cr_assert_eq(plan.topics[0].role, TOPIC_INPUT);
    cr_assert_eq(plan.topics[1].role, TOPIC_RETRY);
    cr_assert_eq(plan.topics[5].role, TOPIC_DEAD_LETTER);
}

Test(topics_plan, refuses_names_that_kafka_would_refuse)
{
    char topic[ATTEMPT_TOPIC_MAX + 1];
    memset(topic, 'x', sizeof topic - 1);
    topic[sizeof topic - 1] = '\0';
    struct topics_asked wish = asked("1s", "1m");
    wish.topic = topic;
    cr_assert_not(topics_plan_name(&plan, &wish));
}

Test(topics_plan, without_an_input_topic_the_defaults_hold)
{
    struct topics_asked wish = asked("1s", "1m");
    struct topic_found nothing = { 0 };
    cr_assert(topics_plan_name(&plan, &wish));
    topics_plan_shape(&plan, &wish, &nothing);
    for (size_t i = 0; i < plan.count; i++) {
        const struct topic_shape *shape = &plan.topics[i].shape;
        bool dead = plan.topics[i].role == TOPIC_DEAD_LETTER, input = plan.topics[i].role == TOPIC_INPUT;
        cr_assert_eq(shape->partitions, TOPICS_PARTITIONS);
        cr_assert_eq(shape->replication, 3);
        cr_assert_eq(shape->min_insync, 2);
        cr_assert_eq(shape->retention_ms, (dead ? 30 : 7) * INT64_C(86400000));
        cr_assert_eq(shape->max_message_bytes, (8 << 20) + (input ? 1 : 2) * 64 * 1024);
        cr_assert_str_eq(shape->cleanup_policy, "delete");
    }
}

Test(topics_plan, the_other_topics_follow_the_input_topic)
{
    struct topics_asked wish = asked("1s", "1m");
    struct topic_found input = found_input(5, 1048588);
    cr_assert(topics_plan_name(&plan, &wish));
    topics_plan_shape(&plan, &wish, &input);
    cr_assert_eq(plan.topics[1].shape.partitions, 5);
    cr_assert_eq(plan.topics[1].shape.max_message_bytes, 1048588 + 65536);
    cr_assert_eq(plan.topics[3].shape.max_message_bytes, 1048588 + 65536);
}

Test(topics_plan, what_is_told_wins)
{
    struct topics_asked wish = asked("1s", "1m");
    struct topic_found input = found_input(5, 1048588);
    wish.partitions = 7;
    wish.replication = 1;
    cr_assert(topics_plan_name(&plan, &wish));
    topics_plan_shape(&plan, &wish, &input);
    cr_assert_eq(plan.topics[1].shape.partitions, 7);
    cr_assert_eq(plan.topics[1].shape.replication, 1);
    cr_assert_eq(plan.topics[1].shape.min_insync, 1);
}

/* ---- comparing ---- */

static const struct topic_shape right = {
    .partitions = 6, .replication = 3, .retention_ms = 604800000, .max_message_bytes = 2000000, .min_insync = 2, .cleanup_policy = "delete"
};

static struct topic_shape with(struct topic_shape change)
{
    struct topic_shape shape = right;
    if (change.partitions)
        shape.partitions = change.partitions;
    if (change.replication)
        shape.replication = change.replication;
    if (change.retention_ms)
        shape.retention_ms = change.retention_ms;
    if (change.max_message_bytes)
        shape.max_message_bytes = change.max_message_bytes;
    if (change.min_insync)
        shape.min_insync = change.min_insync;
    if (change.cleanup_policy[0])
        memcpy(shape.cleanup_policy, change.cleanup_policy, sizeof shape.cleanup_policy);
    return shape;
}

Test(topics_plan, says_what_differs_and_what_is_wrong)
{
    static const struct {
        enum topic_role role;
        struct topic_shape change;
        enum topic_judgement judgement;
        const char *line;
    } cases[] = {
        { TOPIC_RETRY, { 0 }, TOPIC_FITS, "" },
        { TOPIC_RETRY, { .max_message_bytes = 9000000 }, TOPIC_FITS, "" },
        { TOPIC_INPUT, { .max_message_bytes = 1000 }, TOPIC_FITS, "" },
        { TOPIC_RETRY, { .partitions = 3 }, TOPIC_DIFFERS, "the number of partitions is 3, not 6\n" },
        { TOPIC_RETRY, { .replication = 1 }, TOPIC_DIFFERS, "replication is 1, not 3\n" },
        { TOPIC_RETRY, { .min_insync = 1 }, TOPIC_DIFFERS, "min.insync.replicas is 1, not 2\n" },
        { TOPIC_RETRY, { .retention_ms = -1 }, TOPIC_DIFFERS, "retention.ms is without limit, not 7 days\n" },
        { TOPIC_RETRY, { .retention_ms = 3600000 }, TOPIC_DIFFERS, "retention.ms is 3600000 ms, not 7 days\n" },
        { TOPIC_RETRY,
          { .max_message_bytes = 1999999 },
          TOPIC_WRONG,
          "max.message.bytes is 1999999, less than 2000000 (the input topic's and 64 KiB for headers)\n" },
        { TOPIC_INPUT, { .cleanup_policy = "compact" }, TOPIC_DIFFERS, "cleanup.policy is compact, not delete\n" },
        { TOPIC_DEAD_LETTER, { .cleanup_policy = "compact" }, TOPIC_WRONG, "cleanup.policy is compact, not delete: records would be lost\n" },
        { TOPIC_RETRY, { .cleanup_policy = "compact,delete" }, TOPIC_WRONG, "cleanup.policy is compact,delete, not delete: records would be lost\n" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct topic_wanted wanted = { .name = "t", .role = cases[i].role, .shape = right };
        struct topic_found found = { .exists = true, .config_known = true, .shape = with(cases[i].change) };
        struct text lines;
        text_init(&lines, 1000);
        text_append_string(&lines, "");
        enum topic_judgement judgement = topics_plan_compare(&wanted, &found, &lines);
        cr_assert_str_eq(lines.start, cases[i].line);
        cr_assert_eq(judgement, cases[i].judgement, "%s", cases[i].line);
        text_finish(&lines);
    }
}

Test(topics_plan, any_number_of_partitions_is_right_for_an_input_that_nobody_told)
{
    struct topic_wanted wanted = { .name = "t", .role = TOPIC_INPUT, .shape = right, .any_partitions = true };
    struct topic_found found = { .exists = true, .config_known = true, .shape = with((struct topic_shape){ .partitions = 99 }) };
    struct text lines;
    text_init(&lines, 1000);
    cr_assert_eq(topics_plan_compare(&wanted, &found, &lines), TOPIC_FITS);
    text_finish(&lines);
}

Test(topics_plan, a_configuration_that_cannot_be_read_is_said)
{
    struct topic_wanted wanted = { .name = "t", .role = TOPIC_RETRY, .shape = right };
    struct topic_found found = { .exists = true, .shape = { .partitions = 6, .replication = 3 }, .problem = "not allowed" };
    struct text lines;
    text_init(&lines, 1000);
    cr_assert_eq(topics_plan_compare(&wanted, &found, &lines), TOPIC_DIFFERS);
    cr_assert_str_eq(lines.start, "its configuration could not be read: not allowed\n");
    text_finish(&lines);
}
