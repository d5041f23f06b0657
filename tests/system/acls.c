/* acls BROKERS PRINCIPAL < LINES: allows the principal what the lines say, as kafka-acls.sh would: "topic|group NAME literal|prefixed OPERATION", one
 * a line. For tests: Debian 12's Python client has no such requests. */
#include "consumer/base/check.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ACLS_MAX = 64, LINE_BYTES = 1024, WAIT_MS = 30000 };

static const struct {
    const char *name;
    rd_kafka_AclOperation_t operation;
} operations[] = { { "Read", RD_KAFKA_ACL_OPERATION_READ },         { "Write", RD_KAFKA_ACL_OPERATION_WRITE },
                   { "Create", RD_KAFKA_ACL_OPERATION_CREATE },     { "Delete", RD_KAFKA_ACL_OPERATION_DELETE },
                   { "Describe", RD_KAFKA_ACL_OPERATION_DESCRIBE }, { "DescribeConfigs", RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS } };

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "acls: %s: %s\n", what, why);
    exit(1);
}

static rd_kafka_AclBinding_t *read_line(const char *line, const char *principal)
{
    char kind[16], name[512], pattern[16], wanted[32], problem[256];
    if (sscanf(line, "%15s %511s %15s %31s", kind, name, pattern, wanted) != 4)
        fail(line, "wants a kind, a name, a pattern and an operation");
    for (size_t i = 0; i < COUNT_OF(operations); i++) {
        if (strcmp(operations[i].name, wanted) != 0)
            continue;
        rd_kafka_AclBinding_t *binding =
            rd_kafka_AclBinding_new(strcmp(kind, "group") == 0 ? RD_KAFKA_RESOURCE_GROUP : RD_KAFKA_RESOURCE_TOPIC, name,
                                    strcmp(pattern, "prefixed") == 0 ? RD_KAFKA_RESOURCE_PATTERN_PREFIXED : RD_KAFKA_RESOURCE_PATTERN_LITERAL,
                                    principal, "*", operations[i].operation, RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW, problem, sizeof(problem));
        if (binding == NULL)
            fail(name, problem);
        return binding;
    }
    fail(wanted, "is no operation");
    return NULL;
}

static void check(const rd_kafka_event_t *event)
{
    size_t count = 0;
    const rd_kafka_CreateAcls_result_t *result = event == NULL ? NULL : rd_kafka_event_CreateAcls_result((rd_kafka_event_t *)event);
    if (result == NULL || rd_kafka_event_error((rd_kafka_event_t *)event))
        fail("the cluster", event == NULL ? "no answer" : rd_kafka_event_error_string((rd_kafka_event_t *)event));
    const rd_kafka_acl_result_t **results = rd_kafka_CreateAcls_result_acls(result, &count);
    for (size_t i = 0; i < count; i++) {
        const rd_kafka_error_t *error = rd_kafka_acl_result_error(results[i]);
        if (error != NULL)
            fail("the cluster", rd_kafka_error_string(error));
    }
}

int main(int argc, char **argv)
{
    char problem[256], line[LINE_BYTES];
    rd_kafka_AclBinding_t *bindings[ACLS_MAX];
    size_t count = 0;
    if (argc != 3)
        fail("usage", "acls BROKERS PRINCIPAL < LINES");
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (rd_kafka_conf_set(conf, "bootstrap.servers", argv[1], problem, sizeof(problem)) != RD_KAFKA_CONF_OK)
        fail(argv[1], problem);
    rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, problem, sizeof(problem));
    if (handle == NULL)
        fail("librdkafka", problem);
    while (count < ACLS_MAX && fgets(line, sizeof(line), stdin) != NULL)
        bindings[count++] = read_line(line, argv[2]);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(handle);
    rd_kafka_CreateAcls(handle, bindings, count, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, WAIT_MS);
    check(event);
    rd_kafka_event_destroy(event);
    rd_kafka_AclBinding_destroy_array(bindings, count);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(handle);
    return 0;
}
