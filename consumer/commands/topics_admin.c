#include "consumer/commands/topics_admin.h"

#include "consumer/base/clock.h"
#include "consumer/base/memory.h"
#include "consumer/kafka.h"

#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOOK_TIMEOUT_MS = 15000, MAKE_TIMEOUT_MS = 30000, LEADERS_TIMEOUT_MS = 10000, LEADERS_PAUSE_US = 50000 };

struct topics_admin {
    rd_kafka_t *handle;
    rd_kafka_queue_t *queue;
    const struct rd_kafka_metadata *cluster; /* NULL before topics_admin_look */
};

struct topics_admin *topics_admin_create(const struct settings *settings, char *problem, size_t size)
{
    rd_kafka_conf_t *conf = kafka_conf_create(settings, KAFKA_ADMIN, problem, size);
    if (conf == NULL)
        return NULL;
    rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, problem, size);
    if (handle == NULL) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    struct topics_admin *admin = memory_create(sizeof *admin);
    admin->handle = handle;
    admin->queue = rd_kafka_queue_new(handle);
    return admin;
}

void topics_admin_destroy(struct topics_admin *admin)
{
    if (admin == NULL)
        return;
    if (admin->cluster != NULL)
        rd_kafka_metadata_destroy(admin->cluster);
    rd_kafka_queue_destroy(admin->queue);
    rd_kafka_destroy(admin->handle);
    free(admin);
}

/* The answer to an admin request; NULL, and `problem`, when there was none. */
static rd_kafka_event_t *wait_for(struct topics_admin *admin, rd_kafka_event_type_t type, int timeout_ms, struct text *problem)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(admin->queue, timeout_ms + 1000);
    if (event == NULL || rd_kafka_event_type(event) != type)
        text_append_string(problem, "the cluster did not answer in time");
    else if (rd_kafka_event_error(event))
        text_append_string(problem, rd_kafka_event_error_string(event));
    else
        return event;
    if (event != NULL)
        rd_kafka_event_destroy(event);
    return NULL;
}

static rd_kafka_AdminOptions_t *options_create(struct topics_admin *admin, rd_kafka_admin_op_t operation, int timeout_ms)
{
    char error[256];
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(admin->handle, operation);
    rd_kafka_resp_err_t result = rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, error, sizeof error);
    assert(result == RD_KAFKA_RESP_ERR_NO_ERROR);
    return options;
}

/* ---- look ---- */

static const rd_kafka_metadata_topic_t *find_topic(const struct rd_kafka_metadata *cluster, const char *name)
{
    for (int i = 0; i < cluster->topic_cnt; i++)
        if (strcmp(cluster->topics[i].topic, name) == 0 && cluster->topics[i].err == RD_KAFKA_RESP_ERR_NO_ERROR)
            return &cluster->topics[i];
    return NULL;
}

static void read_entry(const char *name, const char *value, struct topic_shape *shape)
{
    const struct {
        const char *name;
        int64_t *number;
    } numbers[] = { { "retention.ms", &shape->retention_ms },
                    { "max.message.bytes", &shape->max_message_bytes },
                    { "min.insync.replicas", &shape->min_insync } };
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        if (strcmp(name, numbers[i].name) == 0)
            *numbers[i].number = strtoll(value, NULL, 10);
    if (strcmp(name, "cleanup.policy") == 0)
        snprintf(shape->cleanup_policy, sizeof shape->cleanup_policy, "%s", value);
}

static void read_resource(const rd_kafka_ConfigResource_t *resource, struct topic_found *found)
{
    size_t count;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);
    if (rd_kafka_ConfigResource_error(resource)) {
        const char *why = rd_kafka_ConfigResource_error_string(resource);
        snprintf(found->problem, sizeof found->problem, "%s", why != NULL ? why : rd_kafka_err2str(rd_kafka_ConfigResource_error(resource)));
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const char *value = rd_kafka_ConfigEntry_value(entries[i]);
        if (value != NULL)
            read_entry(rd_kafka_ConfigEntry_name(entries[i]), value, &found->shape);
    }
    found->config_known = true;
}

static void read_resources(const rd_kafka_event_t *event, const struct topics_plan *plan, struct topic_found *found)
{
    size_t count;
    const rd_kafka_ConfigResource_t **resources =
        rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result((void *)event), &count);
    for (size_t r = 0; r < count; r++)
        for (size_t i = 0; i < plan->count; i++)
            if (strcmp(rd_kafka_ConfigResource_name(resources[r]), plan->topics[i].name) == 0)
                read_resource(resources[r], &found[i]);
}

/* Without the right to read configurations the rest still works: every topic says so by itself. */
static void look_at_configs(struct topics_admin *admin, const struct topics_plan *plan, struct topic_found *found)
{
    rd_kafka_ConfigResource_t *asked[TOPICS_MAX];
    struct text problem;
    size_t count = 0;
    text_init(&problem, TOPICS_PROBLEM_MAX - 1);
    for (size_t i = 0; i < plan->count; i++)
        if (found[i].exists)
            asked[count++] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, plan->topics[i].name);
    if (count == 0)
        return;
    rd_kafka_AdminOptions_t *options = options_create(admin, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, LOOK_TIMEOUT_MS);
    rd_kafka_DescribeConfigs(admin->handle, asked, count, options, admin->queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ConfigResource_destroy_array(asked, count);
    rd_kafka_event_t *event = wait_for(admin, RD_KAFKA_EVENT_DESCRIBECONFIGS_RESULT, LOOK_TIMEOUT_MS, &problem);
    if (event != NULL) {
        read_resources(event, plan, found);
        rd_kafka_event_destroy(event);
    }
    for (size_t i = 0; i < plan->count; i++)
        if (found[i].exists && !found[i].config_known && found[i].problem[0] == '\0')
            snprintf(found[i].problem, sizeof found[i].problem, "%s", problem.start != NULL ? problem.start : "the answer left it out");
    text_finish(&problem);
}

bool topics_admin_look(struct topics_admin *admin, const struct topics_plan *plan, struct topic_found *found, int *brokers, struct text *problem)
{
    /* All topics: asking for one by name may create it. */
    rd_kafka_resp_err_t error = rd_kafka_metadata(admin->handle, 1, NULL, &admin->cluster, LOOK_TIMEOUT_MS);
    if (error) {
        text_printf(problem, "no broker answers: %s", rd_kafka_err2str(error));
        return false;
    }
    *brokers = admin->cluster->broker_cnt;
    for (size_t i = 0; i < plan->count; i++) {
        const rd_kafka_metadata_topic_t *topic = find_topic(admin->cluster, plan->topics[i].name);
        found[i] = (struct topic_found){ .exists = topic != NULL };
        if (topic == NULL)
            continue;
        found[i].shape.partitions = topic->partition_cnt;
        found[i].shape.replication = topic->partition_cnt > 0 ? topic->partitions[0].replica_cnt : 0;
    }
    look_at_configs(admin, plan, found);
    return true;
}

#if RD_KAFKA_VERSION >= 0x020300ff
static void read_rights(const rd_kafka_TopicDescription_t *topic, struct topic_found *found)
{
    size_t count;
    const rd_kafka_AclOperation_t *operations = rd_kafka_TopicDescription_authorized_operations(topic, &count);
    found->rights_known = rd_kafka_TopicDescription_error(topic) == NULL && operations != NULL;
    for (size_t i = 0; found->rights_known && i < count; i++) {
        bool all = operations[i] == RD_KAFKA_ACL_OPERATION_ALL;
        found->may_read = found->may_read || all || operations[i] == RD_KAFKA_ACL_OPERATION_READ;
        found->may_write = found->may_write || all || operations[i] == RD_KAFKA_ACL_OPERATION_WRITE;
    }
}

static void read_descriptions(const rd_kafka_event_t *event, const struct topics_plan *plan, struct topic_found *found)
{
    size_t count;
    const rd_kafka_TopicDescription_t **topics = rd_kafka_DescribeTopics_result_topics(rd_kafka_event_DescribeTopics_result((void *)event), &count);
    for (size_t t = 0; t < count; t++)
        for (size_t i = 0; i < plan->count; i++)
            if (strcmp(rd_kafka_TopicDescription_name(topics[t]), plan->topics[i].name) == 0)
                read_rights(topics[t], &found[i]);
}

void topics_admin_look_at_rights(struct topics_admin *admin, const struct topics_plan *plan, struct topic_found *found)
{
    const char *names[TOPICS_MAX];
    struct text problem;
    size_t count = 0;
    for (size_t i = 0; i < plan->count; i++)
        if (found[i].exists)
            names[count++] = plan->topics[i].name;
    if (count == 0)
        return;
    rd_kafka_TopicCollection_t *asked = rd_kafka_TopicCollection_of_topic_names(names, count);
    rd_kafka_AdminOptions_t *options = options_create(admin, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, LOOK_TIMEOUT_MS);
    rd_kafka_error_t *error = rd_kafka_AdminOptions_set_include_authorized_operations(options, 1);
    assert(error == NULL);
    rd_kafka_DescribeTopics(admin->handle, asked, options, admin->queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_TopicCollection_destroy(asked);
    text_init(&problem, TOPICS_PROBLEM_MAX - 1);
    rd_kafka_event_t *event = wait_for(admin, RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT, LOOK_TIMEOUT_MS, &problem);
    if (event != NULL) {
        read_descriptions(event, plan, found);
        rd_kafka_event_destroy(event);
    }
    text_finish(&problem); /* that nothing is known is all that it comes to */
}
#else
void topics_admin_look_at_rights(struct topics_admin *admin, const struct topics_plan *plan, struct topic_found *found)
{
    (void)admin, (void)plan, (void)found;
}
#endif

void topics_admin_left_over(const struct topics_admin *admin, const struct topics_plan *plan, struct text *lines)
{
    uint64_t delay_ms;
    for (int t = 0; t < admin->cluster->topic_cnt; t++) {
        const char *name = admin->cluster->topics[t].topic;
        bool planned = !retry_topic_read(plan->topics[0].name, slice_of(name), &delay_ms);
        for (size_t i = 0; i < plan->count && !planned; i++)
            planned = strcmp(plan->topics[i].name, name) == 0;
        if (!planned)
            text_printf(lines, "%s\n", name);
    }
}

/* ---- make ---- */

static void set_config(rd_kafka_NewTopic_t *topic, const char *name, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, value);
    rd_kafka_resp_err_t error = rd_kafka_NewTopic_set_config(topic, name, text);
    assert(error == RD_KAFKA_RESP_ERR_NO_ERROR);
}

static rd_kafka_NewTopic_t *new_topic(const struct topic_wanted *wanted, struct topic_found *found)
{
    const struct topic_shape *shape = &wanted->shape;
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(wanted->name, shape->partitions, shape->replication, found->problem, sizeof found->problem);
    if (topic == NULL)
        return NULL;
    set_config(topic, "retention.ms", shape->retention_ms);
    set_config(topic, "max.message.bytes", shape->max_message_bytes);
    set_config(topic, "min.insync.replicas", shape->min_insync);
    rd_kafka_resp_err_t error = rd_kafka_NewTopic_set_config(topic, "cleanup.policy", shape->cleanup_policy);
    assert(error == RD_KAFKA_RESP_ERR_NO_ERROR);
    return topic;
}

static void read_result(const rd_kafka_topic_result_t *result, struct topic_found *found)
{
    rd_kafka_resp_err_t error = rd_kafka_topic_result_error(result);
    const char *why = rd_kafka_topic_result_error_string(result);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR || error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        found->exists = true; /* somebody else was quicker: as good */
    else
        snprintf(found->problem, sizeof found->problem, "%s", why != NULL && why[0] != '\0' ? why : rd_kafka_err2str(error));
}

static void read_results(const rd_kafka_event_t *event, const struct topics_plan *plan, struct topic_found *found)
{
    size_t count;
    const rd_kafka_topic_result_t **results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result((void *)event), &count);
    for (size_t r = 0; r < count; r++)
        for (size_t i = 0; i < plan->count; i++)
            if (strcmp(rd_kafka_topic_result_name(results[r]), plan->topics[i].name) == 0)
                read_result(results[r], &found[i]);
}

static rd_kafka_AdminOptions_t *make_options(struct topics_admin *admin, bool dry_run)
{
    char error[256];
    rd_kafka_AdminOptions_t *options = options_create(admin, RD_KAFKA_ADMIN_OP_CREATETOPICS, MAKE_TIMEOUT_MS);
    rd_kafka_resp_err_t first = rd_kafka_AdminOptions_set_operation_timeout(options, MAKE_TIMEOUT_MS, error, sizeof error);
    rd_kafka_resp_err_t second = rd_kafka_AdminOptions_set_validate_only(options, dry_run, error, sizeof error);
    assert(first == RD_KAFKA_RESP_ERR_NO_ERROR && second == RD_KAFKA_RESP_ERR_NO_ERROR);
    return options;
}

static bool is_led(const struct rd_kafka_metadata *cluster, const char *name)
{
    const rd_kafka_metadata_topic_t *topic = find_topic(cluster, name);
    for (int i = 0; topic != NULL && i < topic->partition_cnt; i++)
        if (topic->partitions[i].leader < 0)
            return false;
    return topic != NULL;
}

/* A cluster says that it made a topic before every broker knows it: whoever looks next should find it. Those that take longer are no failure. */
static void await_leaders(struct topics_admin *admin, const struct topics_plan *plan, const struct topic_found *found)
{
    const uint64_t until_ms = clock_monotonic_ms() + LEADERS_TIMEOUT_MS;
    for (size_t i = 0; i < plan->count && clock_monotonic_ms() < until_ms; usleep(LEADERS_PAUSE_US)) {
        const struct rd_kafka_metadata *cluster = NULL;
        if (rd_kafka_metadata(admin->handle, 1, NULL, &cluster, LOOK_TIMEOUT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
            continue;
        while (i < plan->count && (!found[i].exists || is_led(cluster, plan->topics[i].name)))
            i++;
        rd_kafka_metadata_destroy(cluster);
    }
}

bool topics_admin_make(struct topics_admin *admin, const struct topics_plan *plan, struct topic_found *found, bool dry_run, struct text *problem)
{
    rd_kafka_NewTopic_t *topics[TOPICS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < plan->count; i++)
        if (!found[i].exists && (topics[count] = new_topic(&plan->topics[i], &found[i])) != NULL)
            count++;
    if (count == 0)
        return true;
    rd_kafka_AdminOptions_t *options = make_options(admin, dry_run);
    rd_kafka_CreateTopics(admin->handle, topics, count, options, admin->queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_NewTopic_destroy_array(topics, count);
    rd_kafka_event_t *event = wait_for(admin, RD_KAFKA_EVENT_CREATETOPICS_RESULT, MAKE_TIMEOUT_MS, problem);
    if (event == NULL)
        return false;
    read_results(event, plan, found);
    rd_kafka_event_destroy(event);
    if (!dry_run)
        await_leaders(admin, plan, found);
    return true;
}

/* ---- cut ---- */

static bool read_cuts(rd_kafka_event_t *event, struct text *problem)
{
    const rd_kafka_topic_partition_list_t *list = rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event));
    bool fine = true;
    for (int i = 0; i < list->cnt; i++) {
        if (list->elems[i].err == RD_KAFKA_RESP_ERR_NO_ERROR)
            continue;
        text_printf(problem, "%spartition %" PRId32 ": %s", fine ? "" : "; ", list->elems[i].partition, rd_kafka_err2str(list->elems[i].err));
        fine = false;
    }
    return fine;
}

bool topics_admin_cut(struct topics_admin *admin, const char *topic, const struct topics_cut *cuts, size_t count, struct text *problem)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, topic, cuts[i].partition)->offset = cuts[i].before;
    rd_kafka_DeleteRecords_t *request = rd_kafka_DeleteRecords_new(list);
    rd_kafka_AdminOptions_t *options = options_create(admin, RD_KAFKA_ADMIN_OP_DELETERECORDS, MAKE_TIMEOUT_MS);
    rd_kafka_DeleteRecords(admin->handle, &request, 1, options, admin->queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_DeleteRecords_destroy(request);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_event_t *event = wait_for(admin, RD_KAFKA_EVENT_DELETERECORDS_RESULT, MAKE_TIMEOUT_MS, problem);
    if (event == NULL)
        return false;
    bool fine = read_cuts(event, problem);
    rd_kafka_event_destroy(event);
    return fine;
}
