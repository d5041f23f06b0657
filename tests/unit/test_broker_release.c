/* Which release of Kafka a broker speaks as, by librdkafka's log of its answer; and what doctor makes of the cluster's brokers. */
#include "consumer/commands/broker_release.h"
#include "consumer/commands/doctor_inside.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct findings findings;
static struct text shown;

static void finish(void)
{
    findings_finish(&findings);
    text_finish(&shown);
}

TestSuite(broker_release, .fini = finish);

/* As librdkafka 2.0.2 and 2.8.0 logged them of Kafka 4.1.0. */
static const char *const recorded[] = {
    "[thrd:127.0.0.1:47621/bootstrap]: 127.0.0.1:47621/bootstrap: Updated enabled protocol features +ApiVersion to ApiVersion",
    "[thrd:127.0.0.1:47621/bootstrap]: 127.0.0.1:47621/bootstrap: Broker API support:",
    "[thrd:127.0.0.1:47621/bootstrap]: 127.0.0.1:47621/bootstrap:   ApiKey Produce (0) Versions 0..13",
    "[thrd:127.0.0.1:47621/bootstrap]: 127.0.0.1:47621/bootstrap:   ApiKey Fetch (1) Versions 4..18",
    "[thrd:127.0.0.1:47621/bootstrap]: 127.0.0.1:47621/bootstrap:   ApiKey ListOffsets (2) Versions 1..10",
    "[thrd:127.0.0.1:47621/bootstrap]: 127.0.0.1:47621/bootstrap:   ApiKey Metadata (3) Versions 0..13",
    "[thrd:127.0.0.1:47621/bootstrap]: 127.0.0.1:47621/bootstrap:   ApiKey OffsetCommit (8) Versions 2..9",
    "[thrd:127.0.0.1:47621/bootstrap]: 127.0.0.1:47621/bootstrap:   ApiKey OffsetFetch (9) Versions 1..9",
    "[thrd:127.0.0.1:47621/bootstrap]: 127.0.0.1:47621/bootstrap:   ApiKey JoinGroup (11) Versions 0..9",
    "[thrd:127.0.0.1:47621/bootstrap]: 127.0.0.1:47621/bootstrap:   ApiKey ListGroups (16) Versions 0..5",
    "[thrd:127.0.0.1:47621/bootstrap]: 127.0.0.1:47621/bootstrap:   ApiKey AddPartitionsToTxn (24) Versions 0..5",
    "[thrd:127.0.0.1:47621/bootstrap]: 127.0.0.1:47621/bootstrap:   ApiKey DescribeLogDirs (35) Versions 1..4",
    "[thrd:127.0.0.1:47621/bootstrap]: 127.0.0.1:47621/bootstrap:   ApiKey Unknown-92? (92) Versions 0..0",
    "[thrd:127.0.0.1:47621/bootstrap]: 127.0.0.1:47621/bootstrap:  Feature MsgVer1: Fetch (2..2) NOT supported by broker",
};

Test(broker_release, is_told_by_the_lines_of_a_real_broker)
{
    uint32_t all = 0;
    for (size_t i = 0; i < COUNT_OF(recorded); i++) {
        struct broker_line line;
        uint32_t proved;
        cr_assert(broker_line_read(recorded[i], &line));
        cr_expect(slice_is(line.address, "127.0.0.1:47621"), "%s", recorded[i]);
        cr_expect_eq(broker_release_prove(line.text, &proved), strstr(recorded[i], "ApiKey") != NULL, "%s", recorded[i]);
        all |= proved;
    }
    cr_expect_str_eq(broker_release_name(all), "4.1");
}

static const struct {
    const char *line, *address, *text;
} lines[] = {
    { "[thrd:sasl_ssl://kafka-0.kafka:9093/7]: sasl_ssl://kafka-0.kafka:9093/7:   ApiKey Fetch (1) Versions 4..18", "kafka-0.kafka:9093",
      "ApiKey Fetch (1) Versions 4..18" },
    { "[thrd:[::1]:9092/bootstrap]: [::1]:9092/bootstrap: Broker API support:", "[::1]:9092", "Broker API support:" },
    { "[thrd:127.0.0.1:1/3]: 127.0.0.1:1/3: Connect to ipv4#127.0.0.1:1 failed: Connection refused", "127.0.0.1:1",
      "Connect to ipv4#127.0.0.1:1 failed: Connection refused" },
    { "127.0.0.1:1/3: see https://example.com/: more", "127.0.0.1:1", "see https://example.com/: more" },
    { "[thrd:app]: librdkafka v2.0.2 (0x20002ff) rdkafka#consumer-1 initialized (builtin.features gzip)", NULL, NULL },
    { "[thrd:main]: rdkafka#consumer-1: Destroy internal", NULL, NULL },
    { "[thrd:", NULL, NULL },
    { "", NULL, NULL },
};

Test(broker_release, lines_name_their_broker)
{
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        struct broker_line line;
        bool is_one = broker_line_read(lines[i].line, &line);
        cr_assert_eq(is_one, lines[i].address != NULL, "%s", lines[i].line);
        cr_assert(!is_one || (slice_is(line.address, lines[i].address) && strcmp(line.text, lines[i].text) == 0), "%s", lines[i].line);
    }
}

Test(broker_release, what_is_no_version_proves_nothing)
{
    static const char *const others[] = { "",
                                          "ApiKey ",
                                          "ApiKey Fetch",
                                          "ApiKey Fetch (1)",
                                          "ApiKey Fetch (1) Versions ",
                                          "ApiKey Fetch (1) Versions 4",
                                          "ApiKey Fetch (1) Versions 4..",
                                          "ApiKey Fetch (1) Versions 4..-1",
                                          "ApiKey Fetch (1) Versions 4..18x",
                                          "ApiKey Fetch (1) Versions 4..99999",
                                          "ApiKey Fetch (one) Versions 4..18",
                                          "Feature Fetch (1) Versions 4..18" };
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        uint32_t proved = 1;
        cr_expect_not(broker_release_prove(others[i], &proved), "%s", others[i]);
        cr_expect_eq(proved, 0, "%s", others[i]);
    }
}

enum { REQUESTS = 9 };
static const int keys[REQUESTS] = { 0, 1, 2, 3, 9, 11, 16, 24, 35 };

/* The highest versions of these by kafka-clients of that release: ApiKeys.forId(key).latestVersion(). */
static const struct {
    const char *release, *name;
    int versions[REQUESTS];
} measured[] = {
    { "2.0.1", NULL, { 6, 8, 3, 6, 4, 3, 2, 1, 1 } },
    { "2.1.1", "2.1", { 7, 10, 4, 7, 5, 3, 2, 1, 1 } },
    { "2.2.2", "2.2", { 7, 10, 5, 7, 5, 4, 2, 1, 1 } },
    { "2.3.1", "2.3", { 7, 11, 5, 8, 5, 5, 2, 1, 1 } },
    { "2.4.1", "2.4", { 8, 11, 5, 9, 6, 6, 3, 1, 1 } },
    { "2.5.1", "2.5", { 8, 11, 5, 9, 7, 7, 3, 1, 1 } },
    { "2.6.3", "2.6", { 8, 11, 5, 9, 7, 7, 4, 1, 2 } },
    { "2.7.2", "2.7", { 8, 12, 5, 9, 7, 7, 4, 2, 2 } },
    { "2.8.2", "2.8", { 9, 12, 6, 11, 7, 7, 4, 3, 2 } },
    { "3.0.2", "3.0", { 9, 12, 7, 11, 8, 7, 4, 3, 2 } },
    { "3.1.2", "3.1", { 9, 13, 7, 12, 8, 7, 4, 3, 2 } },
    { "3.2.3", "3.2", { 9, 13, 7, 12, 8, 9, 4, 3, 3 } },
    { "3.3.2", "3.3 or 3.4", { 9, 13, 7, 12, 8, 9, 4, 3, 4 } },
    { "3.4.1", "3.3 or 3.4", { 9, 13, 7, 12, 8, 9, 4, 3, 4 } },
    { "3.5.2", "3.5", { 9, 15, 8, 12, 8, 9, 4, 3, 4 } },
    { "3.6.2", "3.6", { 9, 15, 8, 12, 8, 9, 4, 4, 4 } },
    { "3.7.2", "3.7", { 10, 16, 8, 12, 9, 9, 4, 4, 4 } },
    { "3.8.1", "3.8", { 11, 16, 8, 12, 9, 9, 5, 5, 4 } },
    { "3.9.1", "3.9", { 11, 17, 9, 12, 9, 9, 5, 5, 4 } },
    { "4.0.0", "4.0", { 12, 17, 10, 13, 9, 9, 5, 5, 4 } },
    { "4.1.0", "4.1", { 13, 18, 10, 13, 9, 9, 5, 5, 4 } },
    { "4.2.0", "4.2", { 13, 18, 11, 13, 10, 9, 5, 5, 4 } },
    { "4.3.0", "4.3 or newer", { 13, 18, 11, 13, 10, 9, 5, 5, 5 } },
};

static uint32_t prove(const int versions[REQUESTS])
{
    uint32_t all = 0;
    for (size_t i = 0; i < REQUESTS; i++) {
        char text[64];
        uint32_t proved;
        snprintf(text, sizeof text, "ApiKey Some (%d) Versions 0..%d", keys[i], versions[i]);
        cr_assert(broker_release_prove(text, &proved));
        all |= proved;
    }
    return all;
}

Test(broker_release, every_release_is_told_from_its_neighbours)
{
    for (size_t i = 0; i < COUNT_OF(measured); i++) {
        const char *name = broker_release_name(prove(measured[i].versions));
        cr_expect(measured[i].name == NULL ? name == NULL : name != NULL && strcmp(name, measured[i].name) == 0, "%s is taken for %s",
                  measured[i].release, name == NULL ? "an older one" : name);
    }
}

Test(broker_release, one_that_leaves_something_out_is_taken_for_what_it_has_all_of)
{
    cr_expect_str_eq(broker_release_name(prove((const int[REQUESTS]){ 13, 18, 10, 9, 9, 9, 5, 5, 4 })), "2.7"); /* no Metadata 11 */
    cr_expect_null(broker_release_name(prove((const int[REQUESTS]){ 13, 4, 10, 13, 9, 9, 5, 5, 4 })));
}

static struct doctor_broker broker_of(int32_t id, const int versions[REQUESTS])
{
    return (struct doctor_broker){ .id = id, .address = "kafka:9092", .answered = true, .proved = prove(versions) };
}

static const char *judge(const struct doctor_broker *brokers, size_t count)
{
    finish();
    shown = (struct text){ 0 };
    text_init(&shown, 100000);
    doctor_judge_brokers(brokers, count, &findings);
    findings_write(&findings, &shown);
    return shown.start;
}

static const int of_2_0[REQUESTS] = { 6, 8, 3, 6, 4, 3, 2, 1, 1 }, of_3_4[REQUESTS] = { 9, 13, 7, 12, 8, 9, 4, 3, 4 },
                 of_4_1[REQUESTS] = { 13, 18, 10, 13, 9, 9, 5, 5, 4 };

Test(broker_release, brokers_of_one_release_are_fine)
{
    const struct doctor_broker brokers[] = { broker_of(1, of_3_4), broker_of(2, of_3_4) };
    cr_assert_str_eq(judge(brokers, 2), "ok       broker 1: kafka:9092 speaks as Kafka 3.3 or 3.4\n"
                                        "ok       broker 2: kafka:9092 speaks as Kafka 3.3 or 3.4\n2 ok, 0 warnings, 0 broken\n");
}

Test(broker_release, an_upgrade_under_way_is_seen)
{
    const struct doctor_broker brokers[] = { broker_of(1, of_3_4), broker_of(2, of_4_1), broker_of(3, of_4_1) };
    cr_assert_not_null(strstr(judge(brokers, 3), "warning  brokers: they speak as different releases of Kafka\n"
                                                 "         -> finish the upgrade that is under way\n3 ok, 1 warning, 0 broken\n"),
                       "%s", shown.start);
}

Test(broker_release, one_that_is_too_old_is_named)
{
    const struct doctor_broker broker = broker_of(1, of_2_0);
    const char *said = judge(&broker, 1);
    cr_assert(strstr(said, "warning  broker 1: kafka:9092 speaks as a Kafka older than 2.1") && strstr(said, "-> upgrade it") &&
                  strstr(said, "0 ok, 1 warning"),
              "%s", said);
}

Test(broker_release, what_did_not_answer_is_unknown_and_not_another_release)
{
    const struct doctor_broker brokers[] = { broker_of(1, of_4_1),
                                             { .id = 2, .address = "b:1" },
                                             { .id = 3, .address = "c:1", .problem = "refused" } };
    const char *said = judge(brokers, 3);
    cr_assert(strstr(said, "warning  broker 2: b:1: release unknown: nothing was heard of it\n") &&
                  strstr(said, "warning  broker 3: c:1: release unknown: refused\n") && strstr(said, "1 ok, 2 warnings, 0 broken"),
              "%s", said);
}
