/* Each broker's release. librdkafka has no call that tells it, but with debug=feature it logs what a broker answered to ApiVersions, on a
 * handle of doctor's own, whose log goes nowhere else. */
#include "consumer/commands/doctor_inside.h"

#include "consumer/base/clock.h"
#include "consumer/base/memory.h"
#include "consumer/commands/broker_release.h"
#include "consumer/kafka.h"

#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ASK_MS = 6000, PAUSE_US = 20000 };

struct listener { /* what librdkafka's threads log of each broker, which they do before it is known which brokers there are */
    pthread_mutex_t mutex;
    struct doctor_broker *heard;
    size_t count;
};

static struct doctor_broker *find_heard(const struct listener *listener, const char *address)
{
    for (size_t i = 0; i < listener->count; i++)
        if (strcmp(listener->heard[i].address, address) == 0)
            return &listener->heard[i];
    return NULL;
}

static struct doctor_broker *hear_of(struct listener *listener, struct slice address)
{
    struct doctor_broker broker = { 0 };
    snprintf(broker.address, sizeof broker.address, "%.*s", (int)address.length, address.start);
    if (find_heard(listener, broker.address) == NULL) {
        listener->heard = memory_resize(listener->heard, (listener->count + 1) * sizeof broker);
        listener->heard[listener->count++] = broker;
    }
    return find_heard(listener, broker.address);
}

static void listen_to(const rd_kafka_t *handle, int level, const char *facility, const char *message)
{
    struct listener *listener = rd_kafka_opaque(handle);
    struct broker_line line;
    uint32_t proved;
    (void)level;
    if (listener == NULL || !broker_line_read(message, &line))
        return;
    pthread_mutex_lock(&listener->mutex);
    if (strcmp(facility, "APIVERSION") == 0 && broker_release_prove(line.text, &proved)) {
        struct doctor_broker *broker = hear_of(listener, line.address);
        broker->answered = true;
        broker->proved |= proved;
    } else if (strcmp(facility, "FAIL") == 0) {
        struct doctor_broker *broker = hear_of(listener, line.address);
        snprintf(broker->problem, sizeof broker->problem, "%s", line.text);
    }
    pthread_mutex_unlock(&listener->mutex);
}

static rd_kafka_t *connect_to(const struct settings *settings, struct listener *listener)
{
    char problem[256];
    rd_kafka_conf_t *conf = kafka_conf_create(settings, KAFKA_ADMIN, problem, sizeof problem);
    if (conf == NULL)
        return NULL;
    rd_kafka_conf_set_opaque(conf, listener);
    rd_kafka_conf_set_log_cb(conf, listen_to);
    rd_kafka_t *handle = NULL;
    /* Sparse: it would connect to one broker, as nothing is asked of the others. */
    if (kafka_conf_try(conf, "debug", "feature") && kafka_conf_try(conf, "enable.sparse.connections", "false"))
        handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, problem, sizeof problem);
    if (handle == NULL)
        rd_kafka_conf_destroy(conf);
    return handle;
}

/* The cluster's brokers with what was heard of them. */
static struct doctor_broker *brokers_as_heard(struct listener *listener, const struct rd_kafka_metadata *cluster)
{
    struct doctor_broker *brokers = memory_create((size_t)cluster->broker_cnt * sizeof *brokers);
    pthread_mutex_lock(&listener->mutex);
    for (int i = 0; i < cluster->broker_cnt; i++) {
        const struct rd_kafka_metadata_broker *named = &cluster->brokers[i];
        snprintf(brokers[i].address, sizeof brokers[i].address, "%s:%d", named->host, named->port);
        const struct doctor_broker *heard = find_heard(listener, brokers[i].address);
        if (heard != NULL)
            brokers[i] = *heard;
        brokers[i].id = named->id;
    }
    pthread_mutex_unlock(&listener->mutex);
    return brokers;
}

static bool have_all_answered(struct listener *listener, const struct rd_kafka_metadata *cluster)
{
    struct doctor_broker *brokers = brokers_as_heard(listener, cluster);
    bool all = true;
    for (int i = 0; i < cluster->broker_cnt; i++)
        all = all && brokers[i].answered;
    free(brokers);
    return all;
}

void doctor_look_at_brokers(const struct settings *settings, struct findings *findings)
{
    struct listener listener = { .mutex = PTHREAD_MUTEX_INITIALIZER };
    const struct rd_kafka_metadata *cluster = NULL;
    rd_kafka_t *handle = connect_to(settings, &listener);
    if (handle != NULL && rd_kafka_metadata(handle, 0, NULL, &cluster, ASK_MS) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        const uint64_t until_ms = clock_monotonic_ms() + ASK_MS;
        while (!have_all_answered(&listener, cluster) && clock_monotonic_ms() < until_ms)
            usleep(PAUSE_US);
    }
    if (handle != NULL)
        rd_kafka_destroy(handle); /* an answer is logged in many lines: after this, those of an answer that has begun are all there */
    if (cluster != NULL) {
        struct doctor_broker *brokers = brokers_as_heard(&listener, cluster);
        doctor_judge_brokers(brokers, (size_t)cluster->broker_cnt, findings);
        free(brokers);
        rd_kafka_metadata_destroy(cluster);
    } else {
        findings_add(findings, FINDING_WARNING, "brokers", NULL, "their release is unknown: they did not answer when asked again");
    }
    free(listener.heard);
    pthread_mutex_destroy(&listener.mutex);
}

/* ---- judgement, pure ---- */

static void judge_broker(const struct doctor_broker *broker, struct findings *findings)
{
    char subject[32];
    const char *release = broker_release_name(broker->proved);
    snprintf(subject, sizeof subject, "broker %" PRId32, broker->id);
    if (!broker->answered)
        findings_add(findings, FINDING_WARNING, subject, "see that the address that it advertises (advertised.listeners) can be reached from here",
                     "%s: release unknown: %s", broker->address, broker->problem[0] != '\0' ? broker->problem : "nothing was heard of it");
    else if (release == NULL)
        findings_add(findings, FINDING_WARNING, subject, "upgrade it to Kafka " BROKER_RELEASE_OLDEST " or newer",
                     "%s speaks as a Kafka older than " BROKER_RELEASE_OLDEST ", which jobhook is not made for", broker->address);
    else
        findings_add(findings, FINDING_OK, subject, NULL, "%s speaks as Kafka %s", broker->address, release);
}

void doctor_judge_brokers(const struct doctor_broker *brokers, size_t count, struct findings *findings)
{
    const struct doctor_broker *first = NULL;
    bool differ = false;
    for (size_t i = 0; i < count; i++) {
        judge_broker(&brokers[i], findings);
        if (!brokers[i].answered)
            continue;
        if (first == NULL)
            first = &brokers[i];
        differ = differ || broker_release_name(brokers[i].proved) != broker_release_name(first->proved);
    }
    if (differ)
        findings_add(findings, FINDING_WARNING, "brokers", "finish the upgrade that is under way", "they speak as different releases of Kafka");
}
