#include "consumer/commands/doctor_inside.h"

#include "consumer/base/clock.h"
#include "consumer/base/memory.h"
#include "consumer/commands/topics_admin.h"
#include "consumer/kafka.h"

#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ASK_MS = 6000, TRY_MS = 1000, PAUSE_US = 200000, PROBLEM_BYTES = 512, PROBLEM_LINES_MAX = 64 * 1024, AHEAD_MS = 60000 };

struct listener { /* to what librdkafka logs: the only place where it says why it does not connect */
    pthread_mutex_t mutex;
    char last[PROBLEM_BYTES];
    bool certificate; /* that is what was wrong with a certificate: what follows says less */
};

struct look {
    const struct settings *settings;
    struct findings *findings;
    struct listener listener;
    rd_kafka_t *consumer;
    struct topics_plan plan;
    struct topic_found found[TOPICS_MAX];
};

static void listen_to(const rd_kafka_t *handle, int level, const char *facility, const char *message)
{
    struct look *look = rd_kafka_opaque(handle);
    (void)level;
    bool certificate = strcmp(facility, "SSLCERTVRFY") == 0;
    if (look == NULL || (strcmp(facility, "FAIL") != 0 && !certificate))
        return;
    pthread_mutex_lock(&look->listener.mutex);
    if (!look->listener.certificate)
        snprintf(look->listener.last, sizeof look->listener.last, "%s", message);
    look->listener.certificate = look->listener.certificate || certificate;
    pthread_mutex_unlock(&look->listener.mutex);
}

/* "[thrd:sasl_ssl://kafka:9093/bootstrap]: sasl_ssl://kafka:9093/bootstrap: SSL handshake failed: …": what is behind the thread's name. */
static const char *without_thread(const char *message)
{
    const char *end = strncmp(message, "[thrd:", 6) == 0 ? strstr(message, "]: ") : NULL;
    return end == NULL ? message : end + 3;
}

static bool connect_to(struct look *look)
{
    char problem[PROBLEM_BYTES] = "";
    rd_kafka_conf_t *conf = kafka_conf_create(look->settings, KAFKA_CONSUMER, problem, sizeof problem);
    if (conf != NULL) {
        rd_kafka_conf_set_opaque(conf, look);
        rd_kafka_conf_set_log_cb(conf, listen_to);
        look->consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, problem, sizeof problem);
        if (look->consumer == NULL)
            rd_kafka_conf_destroy(conf);
    }
    if (look->consumer == NULL)
        findings_add(look->findings, FINDING_BROKEN, "kafka", kafka_cure(problem), "%s", problem);
    return look->consumer != NULL;
}

static bool has_heard_why(struct look *look)
{
    pthread_mutex_lock(&look->listener.mutex);
    bool heard = kafka_cure(look->listener.last) != NULL;
    pthread_mutex_unlock(&look->listener.mutex);
    return heard;
}

/* Does not wait on when it is clear why nobody answers. */
static rd_kafka_resp_err_t ask_brokers(struct look *look, const struct rd_kafka_metadata **cluster)
{
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR__TIMED_OUT;
    for (int ms = 0; ms < ASK_MS && error != RD_KAFKA_RESP_ERR_NO_ERROR; ms += TRY_MS) {
        error = rd_kafka_metadata(look->consumer, 0, NULL, cluster, TRY_MS);
        if (error != RD_KAFKA_RESP_ERR_NO_ERROR && has_heard_why(look))
            break;
    }
    return error;
}

static bool look_at_cluster(struct look *look)
{
    const struct rd_kafka_metadata *cluster = NULL;
    rd_kafka_resp_err_t error = ask_brokers(look, &cluster);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
        char *id = rd_kafka_clusterid(look->consumer, 0);
        findings_add(look->findings, FINDING_OK, "kafka", NULL, "%d broker%s answer%s, cluster %s, librdkafka %s", cluster->broker_cnt,
                     cluster->broker_cnt == 1 ? "" : "s", cluster->broker_cnt == 1 ? "s" : "", id == NULL ? "without an id" : id,
                     rd_kafka_version_str());
        if (id != NULL)
            rd_kafka_mem_free(look->consumer, id);
        rd_kafka_metadata_destroy(cluster);
        return true;
    }
    pthread_mutex_lock(&look->listener.mutex);
    const char *why = look->listener.last[0] != '\0' ? without_thread(look->listener.last) : rd_kafka_err2str(error);
    const char *cure = kafka_cure(why);
    findings_add(look->findings, FINDING_BROKEN, "kafka",
                 cure != NULL ? cure : "see that JOBHOOK_KAFKA_BROKERS is right, and that no firewall is between", "no broker of %s answers: %s",
                 look->settings->kafka_brokers, why);
    pthread_mutex_unlock(&look->listener.mutex);
    return false;
}

/* ---- topics ---- */

static void judge_topics(struct look *look)
{
    for (size_t i = 0; i < look->plan.count; i++) {
        struct doctor_topic topic = { .wanted = &look->plan.topics[i], .found = &look->found[i], .input = &look->found[0] };
        if (topic.wanted->role == TOPIC_RETRY && !retry_topic_read(look->settings->topic, slice_of(topic.wanted->name), &topic.delay_ms))
            topic.delay_ms = 0;
        doctor_judge_topic(look->settings, &topic, look->findings);
    }
}

static void look_at_topics(struct look *look)
{
    const struct topics_asked asked = { .topic = look->settings->topic,
                                        .attempts_topic = look->settings->attempts_topic,
                                        .schedule = &look->settings->schedule,
                                        .max_event_bytes = look->settings->max_event_bytes };
    char problem[PROBLEM_BYTES] = "";
    struct text lines;
    int brokers = 0;
    bool named = topics_plan_name(&look->plan, &asked);
    assert(named); /* the settings bound the topics' names */
    text_init(&lines, PROBLEM_LINES_MAX);
    struct topics_admin *admin = topics_admin_create(look->settings, problem, sizeof problem);
    if (admin == NULL || !topics_admin_look(admin, &look->plan, look->found, &brokers, &lines)) {
        findings_add(look->findings, FINDING_BROKEN, "topics", NULL, "cannot be looked at: %s", admin == NULL ? problem : lines.start);
    } else {
        topics_admin_look_at_rights(admin, &look->plan, look->found);
        judge_topics(look);
        text_clear(&lines);
        topics_admin_left_over(admin, &look->plan, &lines);
        if (lines.length > 0)
            findings_add(look->findings, FINDING_OK, "topics", NULL, "left over from another schedule, and read until they are empty: %s",
                         lines.start);
    }
    topics_admin_destroy(admin);
    text_finish(&lines);
}

/* ---- rights and clocks ---- */

static rd_kafka_topic_partition_list_t *input_partitions(const struct look *look, int64_t value)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    for (int32_t i = 0; i < look->found[0].shape.partitions; i++)
        rd_kafka_topic_partition_list_add(list, look->settings->topic, i)->offset = value;
    return list;
}

static rd_kafka_resp_err_t first_error(const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++)
        if (list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR)
            return list->elems[i].err;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* What passes by itself within seconds: a topic or a cluster that was made a moment ago elects and loads first. */
static bool is_settling(rd_kafka_resp_err_t error)
{
    switch (error) {
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
    case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__WAIT_COORD:
        return true;
    default:
        return false;
    }
}

typedef rd_kafka_resp_err_t ask_kafka(rd_kafka_t *handle, rd_kafka_topic_partition_list_t *list, int timeout_ms);

static rd_kafka_resp_err_t ask_until_settled(const struct look *look, ask_kafka *ask, rd_kafka_topic_partition_list_t *list)
{
    const uint64_t until_ms = clock_monotonic_ms() + ASK_MS;
    for (;;) {
        rd_kafka_resp_err_t error = ask(look->consumer, list, ASK_MS);
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
            error = first_error(list);
        if (!is_settling(error) || clock_monotonic_ms() >= until_ms)
            return error;
        usleep(PAUSE_US);
    }
}

static void tell_refused(struct look *look, const char *subject, rd_kafka_resp_err_t error)
{
    findings_add(look->findings, FINDING_BROKEN, subject, kafka_cure(rd_kafka_err2str(error)), "%s", rd_kafka_err2str(error));
}

static void look_at_group(struct look *look)
{
    rd_kafka_topic_partition_list_t *list = input_partitions(look, RD_KAFKA_OFFSET_INVALID);
    rd_kafka_resp_err_t error = ask_until_settled(look, rd_kafka_committed, list);
    int64_t committed = 0;
    for (int i = 0; i < list->cnt; i++)
        committed += list->elems[i].offset >= 0;
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        tell_refused(look, "consumer group", error);
    else
        findings_add(look->findings, FINDING_OK, "consumer group", NULL, "%s has offsets in %" PRId64 " of %d partitions", look->settings->group,
                     committed, list->cnt);
    rd_kafka_topic_partition_list_destroy(list);
}

/* Records stamped later than now: of all clocks, those of whoever writes the events matter, because age and latency are counted from there. */
static void look_at_clock(struct look *look)
{
    rd_kafka_topic_partition_list_t *list = input_partitions(look, clock_wall_ms() + AHEAD_MS);
    rd_kafka_resp_err_t error = ask_until_settled(look, rd_kafka_offsets_for_times, list);
    bool ahead = false;
    for (int i = 0; i < list->cnt; i++)
        ahead = ahead || list->elems[i].offset >= 0;
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        tell_refused(look, "reading the input topic", error);
    else if (ahead)
        findings_add(look->findings, FINDING_WARNING, "clock and Kafka", "set the clocks of this machine and of the producers by NTP",
                     "the input topic holds records that are stamped more than a minute from now: latencies and ages are wrong");
    else
        findings_add(look->findings, FINDING_OK, "clock and Kafka", NULL, "no record of the input topic is stamped in the future");
    rd_kafka_topic_partition_list_destroy(list);
}

void doctor_look_at_kafka(const struct settings *settings, struct findings *findings)
{
    struct look *look = memory_create(sizeof *look);
    look->settings = settings;
    look->findings = findings;
    pthread_mutex_init(&look->listener.mutex, NULL);
    if (connect_to(look) && look_at_cluster(look)) {
        doctor_look_at_brokers(settings, findings);
        look_at_topics(look);
        if (look->found[0].exists) {
            look_at_group(look);
            look_at_clock(look);
        }
    }
    if (look->consumer != NULL)
        rd_kafka_destroy(look->consumer);
    pthread_mutex_destroy(&look->listener.mutex);
    free(look);
}
