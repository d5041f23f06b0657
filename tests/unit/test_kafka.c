/* The configuration that librdkafka gets: read back from it. */
#include "consumer/kafka.h"

#include <criterion/criterion.h>
#include <librdkafka/rdkafka.h>
#include <string.h>

static struct settings some_settings(void)
{
    return (struct settings){ .kafka_brokers = "127.0.0.1:9092", .group = "jobhook", .topic = "jobs.completed", .max_event_bytes = 8 << 20 };
}

static const char *value_of(rd_kafka_conf_t *conf, const char *name)
{
    static char value[512];
    size_t size = sizeof value;
    return rd_kafka_conf_get(conf, name, value, &size) == RD_KAFKA_CONF_OK ? value : "(unknown)";
}

static rd_kafka_conf_t *made(const struct settings *settings, enum kafka_role role)
{
    char problem[512] = "";
    rd_kafka_conf_t *conf = kafka_conf_create(settings, role, problem, sizeof problem);
    cr_assert_not_null(conf, "%s", problem);
    return conf;
}

Test(kafka, what_safety_rests_on_is_set)
{
    static const struct {
        enum kafka_role role;
        const char *name, *value;
    } cases[] = {
        { KAFKA_CONSUMER, "bootstrap.servers", "127.0.0.1:9092" },
        { KAFKA_CONSUMER, "client.id", "jobhook" },
        { KAFKA_CONSUMER, "group.id", "jobhook" },
        { KAFKA_CONSUMER, "enable.auto.commit", "true" },
        { KAFKA_CONSUMER, "enable.auto.offset.store", "false" },
        { KAFKA_CONSUMER, "isolation.level", "read_committed" },
        { KAFKA_CONSUMER, "partition.assignment.strategy", "range" },
        { KAFKA_CONSUMER, "enable.partition.eof", "true" },
        { KAFKA_CONSUMER, "allow.auto.create.topics", "false" },
        { KAFKA_CONSUMER, "session.timeout.ms", "15000" },
        { KAFKA_CONSUMER, "message.max.bytes", "8454144" },
        { KAFKA_PRODUCER, "bootstrap.servers", "127.0.0.1:9092" },
        { KAFKA_PRODUCER, "enable.idempotence", "false" },
        { KAFKA_PRODUCER, "message.max.bytes", "1000000000" },
        { KAFKA_ADMIN, "bootstrap.servers", "127.0.0.1:9092" },
        { KAFKA_ADMIN, "socket.nagle.disable", "true" },
    };
    struct settings settings = some_settings();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        rd_kafka_conf_t *conf = made(&settings, cases[i].role);
        cr_assert_str_eq(value_of(conf, cases[i].name), cases[i].value, "%s: %s", cases[i].name, value_of(conf, cases[i].name));
        rd_kafka_conf_destroy(conf);
    }
}

Test(kafka, topic_properties_reach_the_default_topic)
{
    static const struct {
        enum kafka_role role;
        const char *name, *value;
    } cases[] = {
        { KAFKA_CONSUMER, "auto.offset.reset", "smallest" }, /* librdkafka's other name for earliest */
        { KAFKA_PRODUCER, "acks", "-1" },
        { KAFKA_PRODUCER, "message.timeout.ms", "12000" },
    };
    struct settings settings = some_settings();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        rd_kafka_conf_t *conf = made(&settings, cases[i].role);
        cr_assert_str_eq(value_of(conf, cases[i].name), cases[i].value, "%s: %s", cases[i].name, value_of(conf, cases[i].name));
        rd_kafka_conf_destroy(conf);
    }
}

Test(kafka, the_pass_through_wins_over_our_defaults)
{
    struct kafka_property properties[] = { { .name = "session.timeout.ms", .value = "20000" }, { .name = "compression.type", .value = "zstd" } };
    struct settings settings = some_settings();
    settings.kafka = properties;
    settings.kafka_count = COUNT_OF(properties);
    rd_kafka_conf_t *conf = made(&settings, KAFKA_CONSUMER);
    cr_assert_str_eq(value_of(conf, "session.timeout.ms"), "20000");
    rd_kafka_conf_destroy(conf);
}

static const char *refusal(struct kafka_property property)
{
    static char problem[512];
    struct settings settings = some_settings();
    settings.kafka = &property;
    settings.kafka_count = 1;
    cr_assert_null(kafka_conf_create(&settings, KAFKA_PRODUCER, problem, sizeof problem));
    return problem;
}

static bool try_with(const char *const (*given)[2], size_t count, char problem[512])
{
    struct kafka_property properties[4];
    struct settings settings = some_settings();
    for (size_t i = 0; i < count; i++)
        properties[i] = (struct kafka_property){ .name = (char *)given[i][0], .value = (char *)given[i][1] };
    settings.kafka = properties;
    settings.kafka_count = count;
    problem[0] = '\0';
    return kafka_try(&settings, problem, 512);
}
#define TRY(...) try_with((const char *const[][2]){ __VA_ARGS__ }, sizeof((const char *const[][2]){ __VA_ARGS__ }) / sizeof(char *[2]), problem)

Test(kafka, what_does_not_go_together_is_found_without_a_broker)
{
    static const char *const refused[][2] = { { "linger.ms", "400000" },
                                              { "message.timeout.ms", "1" },
                                              { "fetch.max.bytes", "1" },
                                              { "max.poll.interval.ms", "1" },
                                              { "reconnect.backoff.ms", "3600000" } };
    char problem[512];
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        cr_expect_not(TRY({ refused[i][0], refused[i][1] }), "%s", refused[i][0]);
        cr_expect_not_null(strstr(problem, "KAFKA_*: librdkafka does not take the properties together: "), "%s", problem);
    }
    cr_expect(TRY({ "client.rack", "a" }), "%s", problem);
}

/* Their handles ask the ticket's or the token's server at once. */
Test(kafka, no_handle_is_made_that_would_log_in_before_it_knows_a_broker)
{
    char problem[512];
    cr_expect(TRY({ "security.protocol", "sasl_plaintext" }, { "linger.ms", "400000" }), "GSSAPI is the default: %s", problem);
    cr_expect(TRY({ "security.protocol", "SASL_PLAINTEXT" }, { "sasl.mechanism", "OAUTHBEARER" }, { "linger.ms", "400000" }), "%s", problem);
    cr_expect_not(TRY({ "security.protocol", "sasl_plaintext" }, { "sasl.mechanism", "PLAIN" }, { "linger.ms", "400000" }));
}

Test(kafka, an_unknown_property_is_refused_with_its_variable)
{
    const char *problem = refusal((struct kafka_property){ .name = "no.such.thing", .value = "1" });
    cr_assert_not_null(strstr(problem, "KAFKA_NO_SUCH_THING"), "%s", problem);
    cr_assert_not_null(strstr(problem, "knows no property no.such.thing"), "%s", problem);
}

Test(kafka, a_wrong_value_is_refused_with_its_variable_and_rule)
{
    const char *problem = refusal((struct kafka_property){ .name = "session.timeout.ms", .value = "soon" });
    cr_assert_not_null(strstr(problem, "KAFKA_SESSION_TIMEOUT_MS"), "%s", problem);
    cr_assert_not_null(strstr(problem, "soon"), "%s", problem);
}

Test(kafka, a_secret_value_is_never_repeated)
{
    const char *problem = refusal((struct kafka_property){ .name = "security.protocol", .value = "hunter2", .secret = true });
    cr_assert_not_null(strstr(problem, "KAFKA_SECURITY_PROTOCOL"), "%s", problem);
    cr_assert_null(strstr(problem, "hunter2"), "%s", problem);
}

/* Debian 12's librdkafka has no OIDC, either; 13's has. */
Test(kafka, what_librdkafka_cannot_do_at_all_is_told_of_secrets_too)
{
    const char *problem = refusal((struct kafka_property){ .name = "sasl.jaas.config", .value = "password=hunter2;", .secret = true });
    cr_assert_not_null(strstr(problem, "KAFKA_SASL_JAAS_CONFIG=***: Java JAAS configuration is not supported"), "%s", problem);
    problem = refusal((struct kafka_property){ .name = "sasl.jaas.config", .value = "JAAS", .secret = true });
    cr_assert_str_eq(problem, "KAFKA_SASL_JAAS_CONFIG: librdkafka does not take this value for sasl.jaas.config");
}

Test(kafka, a_property_of_newer_versions_can_be_tried)
{
    struct settings settings = some_settings();
    rd_kafka_conf_t *conf = made(&settings, KAFKA_CONSUMER);
    cr_assert(kafka_conf_try(conf, "queued.max.messages.kbytes", "4096"));
    cr_assert_not(kafka_conf_try(conf, "no.such.thing", "1"));
    rd_kafka_conf_destroy(conf);
}
