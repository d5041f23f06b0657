/* Fills a topic with the benchmark's events, task ids numbered from 0.
 *
 *   load --brokers LIST --topic NAME --count N --port N [--hosts N] [--rate N] [--id-bytes N] [--body-bytes N] [--https]
 *        [--bad-tenths N --bad-port N [--bad-host NAME]]
 *
 * Event n is for http://127.0.0.1:PORT/hook, with --hosts for the n-th of so many addresses from 127.0.0.1 on, in turn. With --rate so many are
 * written each second, one by one, else as fast as it goes. With --bad-tenths so many of ten events are for that port, of that host, instead.
 * Prints how long it took. */
#include "tests/bench/payload.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { EVENT_ROOM = 256, FLUSH_MS = 120000, HOSTS_MAX = 1000000 };

static struct load {
    const char *brokers, *topic, *bad_host;
    unsigned long count, hosts, rate, id_bytes, body_bytes, port, bad_port, bad_tenths, https;
} load = { .hosts = 1, .id_bytes = PAYLOAD_ID_BYTES, .body_bytes = PAYLOAD_BODY_BYTES };

static unsigned long failed;

static void fail(const char *problem)
{
    fprintf(stderr, "load: %s\n", problem);
    exit(1);
}

static void on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message, void *context)
{
    (void)producer;
    (void)context;
    failed += message->err != RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char problem[256];
    if (rd_kafka_conf_set(conf, name, value, problem, sizeof problem) != RD_KAFKA_CONF_OK)
        fail(problem);
}

static rd_kafka_t *producer_create(void)
{
    char problem[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", load.brokers);
    set(conf, "linger.ms", load.rate > 0 ? "0" : "20");
    set(conf, "acks", "all");
    set(conf, "message.max.bytes", "8000000");
    set(conf, "socket.nagle.disable", "true");
    set(conf, "queue.buffering.max.messages", "200000");
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, problem, sizeof problem);
    if (producer == NULL)
        fail(problem);
    return producer;
}

static uint64_t clock_us(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

static void write_url(unsigned long number, char *url, size_t room)
{
    bool bad = number % 10 < load.bad_tenths;
    struct in_addr address = { htonl(INADDR_LOOPBACK + (bad ? 0 : (uint32_t)((number + number / load.hosts) % load.hosts))) };
    char text[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &address, text, sizeof text);
    snprintf(url, room, "http%s://%s:%lu/hook", load.https ? "s" : "", bad && load.bad_host != NULL ? load.bad_host : text,
             bad ? load.bad_port : load.port);
}

static size_t write_event(unsigned long number, char *event, size_t room)
{
    char url[128];
    struct payload payload = { (unsigned)number, clock_us(CLOCK_REALTIME), load.id_bytes, load.body_bytes };
    size_t length = 1 + payload_write(&payload, event + 1, room - 1);
    event[0] = '{';
    write_url(number, url, sizeof url);
    return length + (size_t)snprintf(event + length, room - length, ",\"webhook_url\":\"%s\"}", url);
}

static void publish(rd_kafka_t *producer, unsigned long number, char *event, size_t room)
{
    char key[PAYLOAD_ID_BYTES_MAX + 1];
    size_t bytes = write_event(number, event, room);
    int key_bytes = snprintf(key, sizeof key, "bench-%0*lu", (int)load.id_bytes - 6, number % PAYLOAD_NUMBERS);
    rd_kafka_resp_err_t error;
    while ((error = rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(load.topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                      RD_KAFKA_V_KEY(key, (size_t)key_bytes), RD_KAFKA_V_VALUE(event, bytes), RD_KAFKA_V_END)) ==
           RD_KAFKA_RESP_ERR__QUEUE_FULL)
        rd_kafka_poll(producer, 100);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail(rd_kafka_err2str(error));
    rd_kafka_poll(producer, 0);
}

/* Event n is due n / rate seconds after the start. */
static void await_turn(uint64_t started_us, unsigned long number)
{
    uint64_t due_us = started_us + number * 1000000 / load.rate, now_us = clock_us(CLOCK_MONOTONIC);
    if (due_us <= now_us)
        return;
    struct timespec pause = { (time_t)((due_us - now_us) / 1000000), (long)((due_us - now_us) % 1000000) * 1000 };
    nanosleep(&pause, NULL);
}

static void read_options(int argc, char **argv)
{
    static const struct option names[] = {
        { "brokers", required_argument, NULL, 'b' },
        { "topic", required_argument, NULL, 't' },
        { "count", required_argument, NULL, 'c' },
        { "port", required_argument, NULL, 'p' },
        { "hosts", required_argument, NULL, 'h' },
        { "rate", required_argument, NULL, 'r' },
        { "id-bytes", required_argument, NULL, 'i' },
        { "body-bytes", required_argument, NULL, 'y' },
        { "bad-port", required_argument, NULL, 'q' },
        { "bad-tenths", required_argument, NULL, 'e' },
        { "bad-host", required_argument, NULL, 'o' },
        { "https", no_argument, NULL, 's' },
        { 0 },
    };
    unsigned long *const numbers[128] = { ['c'] = &load.count,    ['p'] = &load.port,       ['h'] = &load.hosts,    ['r'] = &load.rate,
                                          ['i'] = &load.id_bytes, ['y'] = &load.body_bytes, ['q'] = &load.bad_port, ['e'] = &load.bad_tenths };
    for (int option; (option = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        if (option == '?')
            exit(2);
        if (option == 'b' || option == 't')
            *(option == 'b' ? &load.brokers : &load.topic) = optarg;
        else if (option == 'o')
            load.bad_host = optarg;
        else if (option == 's')
            load.https = 1;
        else
            *numbers[option] = strtoul(optarg, NULL, 10);
    }
    if (load.brokers == NULL || load.topic == NULL || load.count == 0 || load.count > PAYLOAD_NUMBERS || load.port == 0 || load.hosts == 0 ||
        load.hosts > HOSTS_MAX || load.id_bytes < PAYLOAD_ID_BYTES || load.id_bytes > PAYLOAD_ID_BYTES_MAX ||
        load.body_bytes > PAYLOAD_BODY_BYTES_MAX)
        fail("needs --brokers, --topic, --count and --port; see the head of load.c");
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    size_t room = load.body_bytes + load.id_bytes + PAYLOAD_BODY_BYTES + EVENT_ROOM;
    char *event = malloc(room);
    if (event == NULL)
        fail("no memory");
    rd_kafka_t *producer = producer_create();
    uint64_t started_us = clock_us(CLOCK_MONOTONIC);
    for (unsigned long i = 0; i < load.count; i++) {
        if (load.rate > 0)
            await_turn(started_us, i);
        publish(producer, i, event, room);
    }
    bool flushed = rd_kafka_flush(producer, FLUSH_MS) == RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_destroy(producer);
    free(event);
    printf("{\"events\":%lu,\"failed\":%lu,\"seconds\":%.2f}\n", load.count, failed, (double)(clock_us(CLOCK_MONOTONIC) - started_us) / 1e6);
    return !flushed || failed > 0;
}
