/* Fills a topic: COUNT events whose bodies are the benchmark's, task ids numbered from 0, all with the same webhook URL.
 *
 *   load BROKERS TOPIC COUNT URL
 *
 * Several URLs may be given, separated by spaces in one argument: event n gets the n-th in turn. Prints how long it took. */
#include "tests/bench/payload.h"

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { URLS_MAX = 20000, EVENT_MAX = 9000, FLUSH_MS = 120000 };

static unsigned long failed;

static void on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message, void *context)
{
    (void)producer;
    (void)context;
    failed += message->err != RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char problem[256];
    if (rd_kafka_conf_set(conf, name, value, problem, sizeof problem) == RD_KAFKA_CONF_OK)
        return;
    fprintf(stderr, "load: %s\n", problem);
    exit(1);
}

static rd_kafka_t *producer_create(const char *brokers)
{
    char problem[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", brokers);
    set(conf, "linger.ms", "20");
    set(conf, "acks", "all");
    set(conf, "queue.buffering.max.messages", "200000");
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, problem, sizeof problem);
    if (producer != NULL)
        return producer;
    fprintf(stderr, "load: %s\n", problem);
    exit(1);
}

static size_t split(char *text, char **urls)
{
    size_t count = 0;
    for (char *url; count < URLS_MAX && (url = strsep(&text, " ")) != NULL;)
        if (url[0] != '\0')
            urls[count++] = url;
    return count;
}

static void publish(rd_kafka_t *producer, const char *topic, unsigned number, const char *url)
{
    char members[PAYLOAD_BYTES - 1], event[EVENT_MAX], key[32];
    payload_write(number, members);
    int bytes = snprintf(event, sizeof event, "{%s,\"webhook_url\":\"%s\"}", members, url);
    int key_bytes = snprintf(key, sizeof key, "bench-%08u", number % PAYLOAD_NUMBERS);
    if (bytes < 0 || (size_t)bytes >= sizeof event) {
        fprintf(stderr, "load: the URL is too long\n");
        exit(1);
    }
    for (;;) {
        rd_kafka_resp_err_t error = rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                                      RD_KAFKA_V_KEY(key, (size_t)key_bytes), RD_KAFKA_V_VALUE(event, (size_t)bytes), RD_KAFKA_V_END);
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
        if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            fprintf(stderr, "load: %s\n", rd_kafka_err2str(error));
            exit(1);
        }
        rd_kafka_poll(producer, 100);
    }
    rd_kafka_poll(producer, 0);
}

int main(int argc, char **argv)
{
    static char *urls[URLS_MAX];
    unsigned long count = argc == 5 ? strtoul(argv[3], NULL, 10) : 0;
    size_t url_count = argc == 5 ? split(argv[4], urls) : 0;
    if (count == 0 || count > PAYLOAD_NUMBERS || url_count == 0) {
        fprintf(stderr, "usage: load BROKERS TOPIC COUNT URL\n");
        return 2;
    }
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    rd_kafka_t *producer = producer_create(argv[1]);
    for (unsigned long i = 0; i < count; i++)
        publish(producer, argv[2], (unsigned)i, urls[i % url_count]);
    bool flushed = rd_kafka_flush(producer, FLUSH_MS) == RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_destroy(producer);
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("{\"events\":%lu,\"failed\":%lu,\"seconds\":%.2f}\n", count, failed,
           (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9);
    return !flushed || failed > 0;
}
