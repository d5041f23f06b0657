#include "consumer/attempt_log.h"

#include "consumer/attempt_record.h"
#include "consumer/base/clock.h"
#include "consumer/base/log.h"
#include "consumer/base/memory.h"
#include "consumer/kafka.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ATTEMPT_BYTES_MAX = 64 * 1024, FLUSH_MS = 1000, COMPLAIN_EVERY_MS = 60000, WORKER_BYTES = 256 };

struct attempt_log {
    rd_kafka_t *producer;
    const char *topic;
    struct intake_stats *stats;
    struct text text;
    struct log_gate gate;
    char worker[WORKER_BYTES];
};

static void complain(struct attempt_log *log, rd_kafka_resp_err_t error)
{
    uint64_t suppressed;
    counter_add(&log->stats->attempts_unrecorded, 1);
    if (log_gate_opens(&log->gate, COMPLAIN_EVERY_MS, &suppressed))
        log_warn("an attempt was not recorded", LOG_STRING("topic", log->topic), LOG_STRING("error", rd_kafka_err2name(error)),
                 LOG_I("suppressed", suppressed), LOG_STRING("cure", "if the topic is missing: jobhook topics create"));
}

/* Only what failed is reported. */
static void reported(rd_kafka_t *producer, const rd_kafka_message_t *message, void *context)
{
    (void)producer;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        complain(context, message->err);
}

/* Small and quick to give up: nobody waits for these records, and nobody must. */
static rd_kafka_t *make_producer(const struct settings *settings, struct attempt_log *log, char *problem, size_t size)
{
    static const char *const properties[][2] = { { "acks", "1" },
                                                 { "linger.ms", "100" },
                                                 { "message.timeout.ms", "10000" },
                                                 { "queue.buffering.max.messages", "20000" },
                                                 { "queue.buffering.max.kbytes", "16384" },
                                                 { "delivery.report.only.error", "true" } };
    rd_kafka_conf_t *conf = kafka_conf_create(settings, KAFKA_PRODUCER, problem, size);
    if (conf == NULL)
        return NULL;
    for (size_t i = 0; i < COUNT_OF(properties); i++) {
        bool taken = kafka_conf_try(conf, properties[i][0], properties[i][1]);
        assert(taken);
    }
    rd_kafka_conf_set_dr_msg_cb(conf, reported);
    rd_kafka_conf_set_opaque(conf, log);
    rd_kafka_t *producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, problem, size);
    if (producer == NULL)
        rd_kafka_conf_destroy(conf);
    return producer;
}

struct attempt_log *attempt_log_create(const struct settings *settings, size_t worker, struct intake_stats *stats)
{
    char problem[512] = "", host[128] = "";
    struct attempt_log *log = memory_create(sizeof *log);
    log->topic = settings->attempts_topic;
    log->stats = stats;
    log->producer = make_producer(settings, log, problem, sizeof problem);
    if (log->producer == NULL) {
        log_error("attempts cannot be recorded", LOG_STRING("problem", problem));
        free(log);
        return NULL;
    }
    gethostname(host, sizeof host - 1);
    snprintf(log->worker, sizeof log->worker, "%s/%ld/%zu", host, (long)getpid(), worker);
    text_init(&log->text, ATTEMPT_BYTES_MAX);
    return log;
}

void attempt_log_destroy(struct attempt_log *log)
{
    if (log == NULL)
        return;
    rd_kafka_flush(log->producer, FLUSH_MS);
    rd_kafka_purge(log->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_poll(log->producer, 0);
    rd_kafka_destroy(log->producer);
    text_finish(&log->text);
    free(log);
}

/* To the event's own partition, so that all of a task lie together, where the event's place leads. */
static rd_kafka_resp_err_t produce(struct attempt_log *log, const struct attempted *attempted, int32_t partition)
{
    struct slice key = attempted->event->task_id;
    return rd_kafka_producev(log->producer, RD_KAFKA_V_TOPIC(log->topic), RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                             RD_KAFKA_V_KEY(key.start, key.length), RD_KAFKA_V_VALUE(log->text.start, log->text.length), RD_KAFKA_V_END);
}

void attempt_log_note(struct attempt_log *log, const struct attempted *attempted)
{
    const struct attempt_record record = { attempted, log->worker, clock_wall_ms() };
    int32_t partition = attempted->attempt->origin.partition;
    text_clear(&log->text);
    attempt_record_append(&log->text, &record);
    assert(!log->text.overflowed);
    rd_kafka_resp_err_t error = produce(log, attempted, partition < 0 ? RD_KAFKA_PARTITION_UA : partition);
    if (error == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION)
        error = produce(log, attempted, RD_KAFKA_PARTITION_UA);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
        counter_add(&log->stats->attempts_recorded, 1);
    else
        complain(log, error);
    rd_kafka_poll(log->producer, 0);
}
