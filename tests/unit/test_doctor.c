/* What doctor says: the judgement on topics, and how findings are shown. */
#include "consumer/commands/doctor_inside.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define HOUR_MS 3600000

static struct settings settings = { .max_event_bytes = 8 << 20, .max_event_age_ms = 24 * HOUR_MS };
static const struct topic_shape good = { .partitions = 12,
                                         .replication = 3,
                                         .retention_ms = 168 * HOUR_MS,
                                         .max_message_bytes = (8 << 20) + 65536,
                                         .min_insync = 2,
                                         .cleanup_policy = "delete" };
static struct findings findings;
static struct text shown;

static void finish(void)
{
    findings_finish(&findings);
    text_finish(&shown);
}

TestSuite(doctor, .fini = finish);

static const char *show(void)
{
    text_finish(&shown);
    text_init(&shown, 100000);
    findings_write(&findings, &shown);
    return shown.start;
}

static struct topic_found found_as(struct topic_shape shape)
{
    return (struct topic_found){ .exists = true, .config_known = true, .shape = shape };
}

/* What is said about a topic of that role and shape, beside an input topic as it should be. */
static const char *judge(enum topic_role role, struct topic_shape shape)
{
    struct topic_found input = found_as(good), found = found_as(shape);
    struct topic_wanted wanted = { .name = "jobs", .role = role };
    struct doctor_topic topic = { &wanted, &found, role == TOPIC_INPUT ? &found : &input, role == TOPIC_RETRY ? 5 * 60000 : 0 };
    findings_finish(&findings);
    doctor_judge_topic(&settings, &topic, &findings);
    return show();
}

static struct topic_shape larger(struct topic_shape shape)
{
    shape.max_message_bytes += 65536;
    return shape;
}

Test(doctor, topics_as_they_are_created_are_fine)
{
    struct topic_shape endless = good;
    endless.retention_ms = -1;
    cr_assert_not_null(strstr(judge(TOPIC_INPUT, good), "1 ok, 0 warnings, 0 broken"), "%s", shown.start);
    cr_assert_not_null(strstr(judge(TOPIC_RETRY, larger(good)), "1 ok, 0 warnings, 0 broken"), "%s", shown.start);
    cr_assert_not_null(strstr(judge(TOPIC_DEAD_LETTER, larger(good)), "1 ok, 0 warnings, 0 broken"), "%s", shown.start);
    cr_assert_not_null(strstr(judge(TOPIC_INPUT, endless), "1 ok"), "%s", shown.start);
    struct topic_shape attempts = good;
    attempts.max_message_bytes = TOPICS_ATTEMPT_BYTES;
    cr_assert_not_null(strstr(judge(TOPIC_ATTEMPTS, attempts), "1 ok, 0 warnings, 0 broken"), "%s", shown.start);
}

static const char *judge_rights(enum topic_role role, bool may_read, bool may_write)
{
    struct topic_found found = found_as(larger(good)), input = found_as(good);
    struct topic_wanted wanted = { .name = "jobs", .role = role };
    struct doctor_topic topic = { &wanted, &found, &input, role == TOPIC_RETRY ? 60000 : 0 };
    found.rights_known = true;
    found.may_read = may_read;
    found.may_write = may_write;
    findings_finish(&findings);
    doctor_judge_topic(&settings, &topic, &findings);
    return show();
}

Test(doctor, rights_that_are_missing_are_named)
{
    cr_expect_not_null(strstr(judge_rights(TOPIC_INPUT, true, false), "1 ok, 0 warnings, 0 broken"), "%s", shown.start);
    cr_expect_not_null(strstr(judge_rights(TOPIC_INPUT, false, true), "this login may not read it"), "%s", shown.start);
    cr_expect_not_null(strstr(judge_rights(TOPIC_RETRY, true, true), "1 ok, 0 warnings, 0 broken"), "%s", shown.start);
    cr_expect_not_null(strstr(judge_rights(TOPIC_RETRY, true, false), "that are to be retried would be held"), "%s", shown.start);
    cr_expect_not_null(strstr(judge_rights(TOPIC_RETRY, false, false), "0 warnings, 2 broken"), "%s", shown.start);
    cr_expect_not_null(strstr(judge_rights(TOPIC_DEAD_LETTER, false, true), "1 ok, 0 warnings, 0 broken"), "%s", shown.start);
    cr_expect_not_null(strstr(judge_rights(TOPIC_DEAD_LETTER, true, false), "cannot be delivered would be held"), "%s", shown.start);
    cr_expect_not_null(strstr(judge_rights(TOPIC_ATTEMPTS, false, false), "0 ok, 1 warning, 0 broken"), "%s", shown.start);
}

static const struct flaw {
    enum topic_role role;
    const char *state, *text;
    struct topic_shape shape;
} flaws[] = {
    { TOPIC_INPUT, "warning", "replication is 1", { 12, 1, 168 * HOUR_MS, 8 << 20, 1, "delete" } },
    { TOPIC_INPUT, "warning", "min.insync.replicas is 1", { 12, 3, 168 * HOUR_MS, 8 << 20, 1, "delete" } },
    { TOPIC_INPUT, "warning", "min.insync.replicas is 3 of 3", { 12, 3, 168 * HOUR_MS, 8 << 20, 3, "delete" } },
    { TOPIC_INPUT, "warning", "(23 h)", { 12, 3, 23 * HOUR_MS, 8 << 20, 2, "delete" } },
    { TOPIC_INPUT, "warning", "cleanup.policy is compact", { 12, 3, 168 * HOUR_MS, 8 << 20, 2, "compact" } },
    { TOPIC_INPUT, "warning", "cannot be published", { 12, 3, 168 * HOUR_MS, (8 << 20) - 1, 2, "delete" } },
    { TOPIC_INPUT, "warning", "become dead letters", { 12, 3, 168 * HOUR_MS, 16 << 20, 2, "delete" } },
    { TOPIC_ATTEMPTS, "warning", "some attempts may not be recorded", { 12, 3, 168 * HOUR_MS, 1000, 2, "delete" } },
    { TOPIC_ATTEMPTS, "warning", "cleanup.policy is compact", { 12, 3, 168 * HOUR_MS, 8 << 20, 2, "compact" } },
    { TOPIC_RETRY, "broken", "the largest events do not fit", { 12, 3, 168 * HOUR_MS, (8 << 20) + 65536, 2, "delete" } },
    { TOPIC_RETRY, "broken", "deleted before they are due", { 12, 3, 5 * 60000, 16 << 20, 2, "delete" } },
    { TOPIC_RETRY, "warning", "an outage that long", { 12, 3, 24 * HOUR_MS, 16 << 20, 2, "delete" } },
    { TOPIC_RETRY, "broken", "only the younger survives", { 12, 3, 168 * HOUR_MS, 16 << 20, 2, "compact,delete" } },
    { TOPIC_RETRY, "warning", "6 partitions, the input topic has 12", { 6, 3, 168 * HOUR_MS, 16 << 20, 2, "delete" } },
    { TOPIC_DEAD_LETTER, "warning", "before anybody has looked", { 1, 3, HOUR_MS, 16 << 20, 2, "delete" } },
};

Test(doctor, every_flaw_of_a_topic_is_found_and_nothing_else)
{
    for (size_t i = 0; i < COUNT_OF(flaws); i++) {
        char beginning[64];
        snprintf(beginning, sizeof beginning, "%-8s jobs: ", flaws[i].state);
        const char *said = judge(flaws[i].role, flaws[i].shape);
        cr_expect(strncmp(said, beginning, strlen(beginning)) == 0 && strstr(said, flaws[i].text) != NULL && strstr(said, "\n         -> ") != NULL,
                  "%zu: %s", i, said);
        cr_expect_eq(findings.count, 1, "%zu: %s", i, said);
    }
}

Test(doctor, a_topic_that_is_missing_or_not_shown_is_told_apart_from_one_that_is_wrong)
{
    struct topic_found none = { .exists = false }, dark = { .exists = true, .shape = good, .problem = "Topic authorization failed" };
    struct topic_wanted wanted = { .name = "jobs", .role = TOPIC_INPUT };
    doctor_judge_topic(&settings, &(struct doctor_topic){ &wanted, &none, &none, 0 }, &findings);
    doctor_judge_topic(&settings, &(struct doctor_topic){ &wanted, &dark, &dark, 0 }, &findings);
    const char *said = show();
    cr_assert(strstr(said, "broken   jobs: there is no such topic\n") && strstr(said, "warning  jobs: its configuration cannot be read: Topic auth"),
              "%s", said);
}

Test(doctor, findings_are_one_line_each_whatever_they_hold)
{
    findings_add(&findings, FINDING_BROKEN, "a\x1b[31m", "do\nthis", "%s", "two\nlines\u202e");
    cr_assert_str_eq(show(), "broken   a\\x1b[31m: two\\nlines\\u{202e}\n         -> do\\nthis\n0 ok, 0 warnings, 1 broken\n");
}

Test(doctor, findings_are_one_object_in_json)
{
    findings_add(&findings, FINDING_OK, "redis", NULL, "%d ms", 3);
    findings_add(&findings, FINDING_WARNING, "\"topic\"", "raise it", "low");
    text_init(&shown, 100000);
    findings_write_json(&findings, &shown);
    cr_assert_str_eq(shown.start, "{\"findings\":[{\"state\":\"ok\",\"subject\":\"redis\",\"text\":\"3 ms\",\"cure\":null},"
                                  "{\"state\":\"warning\",\"subject\":\"\\\"topic\\\"\",\"text\":\"low\",\"cure\":\"raise it\"}],"
                                  "\"ok\":1,\"warning\":1,\"broken\":0}\n");
}
