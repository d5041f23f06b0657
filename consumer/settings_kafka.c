#include "consumer/settings_table.h"

#include "consumer/base/memory.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Losing no event rests on the first of these; the others have a variable of their own. Aliases of librdkafka included.
 * A dot at the end: all that begin so. */
static const struct refusal {
    const char *property, *reason;
} refusals[] = {
    { "enable.auto.commit", "cannot be changed: jobhook decides which offsets are finished" },
    { "auto.commit.enable", "cannot be changed: jobhook decides which offsets are finished" },
    { "auto.commit.interval.ms", "cannot be changed: a copy that crashes would begin again where it was that long ago, or at its start" },
    { "enable.auto.offset.store", "cannot be changed: jobhook decides which offsets are finished" },
    { "acks", "cannot be changed: a retry record counts only when all replicas have it" },
    { "request.required.acks", "cannot be changed: a retry record counts only when all replicas have it" },
    { "delivery.report.only.error", "cannot be changed: a retry record counts only when Kafka has said that it has it" },
    { "isolation.level", "cannot be changed: events of aborted transactions are never delivered" },
    { "auto.offset.reset", "cannot be changed: a first start reads from the beginning, or events would be lost" },
    { "partition.assignment.strategy", "cannot be changed: range keeps a partition of all topics in one copy" },
    { "enable.partition.eof", "cannot be changed: the end of a partition finishes its trailing markers" },
    { "enable.idempotence", "cannot be changed: claims absorb a doubled record, and an idempotent producer can fail for good" },
    { "enable.gapless.guarantee", "cannot be changed: claims absorb a doubled record, and such a producer fails for good" },
    { "topic.blacklist", "cannot be changed: topics that librdkafka hides would be waited for, for ever" },
    { "transactional.id", "cannot be changed: jobhook writes outside transactions" },
    { "group.protocol", "cannot be changed: partitions are taken away all at once" },
    { "internal.termination.signal", "cannot be changed: librdkafka would take that signal from jobhook, SIGTERM for one" },
    { "test.mock.", "cannot be changed: librdkafka would play the brokers itself, and none of those that are set would be asked" },
    { "group.id", "is not set here: use JOBHOOK_GROUP" },
    { "bootstrap.servers", "is not set here: use JOBHOOK_KAFKA_BROKERS" },
    { "metadata.broker.list", "is not set here: use JOBHOOK_KAFKA_BROKERS" },
};

static const char too_young[] =
    "must be a whole number from 1000: librdkafka would forget the topics before it has joined them, or never see new ones";

/* Where librdkafka takes more than we can work with. Of how long it knows a topic, the former is thrice the latter where it is not set. */
static const struct range {
    const char *property;
    uint64_t least, most;
    const char *reason;
} ranges[] = {
    { "metadata.max.age.ms", 1000, INT32_MAX, too_young },
    { "topic.metadata.refresh.interval.ms", 1000, INT32_MAX, too_young },
    { "fetch.wait.max.ms", 0, 10000, "must be a whole number up to 10000: a partition that is assigned while a broker waits is not read before" },
};

/* KAFKA_SECURITY_PROTOCOL → security.protocol; owned by the caller. */
static char *property_of(struct slice name)
{
    size_t skipped = strlen("KAFKA_");
    char *property = memory_copy(name.start + skipped, name.length - skipped);
    for (char *at = property; *at != '\0'; at++)
        *at = *at == '_' ? '.' : (char)tolower((unsigned char)*at);
    return property;
}

static bool is_secret(const char *property)
{
    /* librdkafka refuses sasl.jaas.config, but what is refused is shown, too */
    static const char *const parts[] = { "password", "secret", "key.pem", "sasl.oauthbearer", "sasl.jaas" };
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        if (strstr(property, parts[i]) != NULL)
            return true;
    return false;
}

bool settings_kafka_is_secret(struct slice name)
{
    char *property = property_of(name);
    bool secret = is_secret(property);
    free(property);
    return secret;
}

static bool is_outside(const struct range *range, struct slice value)
{
    uint64_t number;
    return !slice_to_u64(value, range->most, &number) || number < range->least;
}

static bool is_named(const char *property, const char *name)
{
    bool all = name[strlen(name) - 1] == '.';
    return all ? slice_starts_with(slice_of(property), name) : strcmp(property, name) == 0;
}

static const char *why_refused(const char *property, struct slice value)
{
    for (size_t i = 0; i < COUNT_OF(refusals); i++)
        if (is_named(property, refusals[i].property))
            return refusals[i].reason;
    for (size_t i = 0; i < COUNT_OF(ranges); i++)
        if (strcmp(property, ranges[i].property) == 0 && is_outside(&ranges[i], value))
            return ranges[i].reason;
    return property[0] == '\0' ? "names no property" : NULL;
}

bool settings_add_kafka(struct settings *settings, struct slice name, struct slice value, struct text *problem)
{
    char *property = property_of(name);
    const char *refused = why_refused(property, value);
    if (refused != NULL) {
        text_printf(problem, "%s%s%s", property, property[0] == '\0' ? "" : " ", refused);
        free(property);
        return false;
    }
    settings->kafka = memory_resize(settings->kafka, (settings->kafka_count + 1) * sizeof(*settings->kafka));
    settings->kafka[settings->kafka_count++] =
        (struct kafka_property){ .name = property, .value = memory_copy(value.start, value.length), .secret = is_secret(property) };
    return true;
}
