/* records write|read BROKERS TOPIC: a topic's records as lines of text, for the demo and for looking around by hand.
 *
 * write: each line of standard input becomes a record; "KEY<tab>VALUE" or, without a tab, a value with no key.
 * read: prints every record that the topic holds now, "partition/offset<tab>key<tab>name=value;...<tab>value", and ends. */
#include <librdkafka/rdkafka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

enum { WAIT_MS = 15000 };

static int undelivered;

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "records: %s: %s\n", what, why);
    exit(1);
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char problem[512];
    if (rd_kafka_conf_set(conf, name, value, problem, sizeof problem) != RD_KAFKA_CONF_OK)
        fail(name, problem);
}

static rd_kafka_t *create_client(rd_kafka_type_t type, rd_kafka_conf_t *conf, const char *brokers)
{
    char problem[512];
    set(conf, "bootstrap.servers", brokers);
    set(conf, "message.max.bytes", "16777216");
    rd_kafka_t *client = rd_kafka_new(type, conf, problem, sizeof problem);
    if (!client)
        fail("client", problem);
    return client;
}

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    (void)client;
    (void)opaque;
    if (message->err) {
        fprintf(stderr, "records: not written: %s\n", rd_kafka_err2str(message->err));
        undelivered++;
    }
}

static void write_line(rd_kafka_t *client, const char *topic, const char *line, size_t size)
{
    const char *tab = memchr(line, '\t', size);
    const char *value = tab ? tab + 1 : line;
    size_t value_size = size - (size_t)(value - line);
    rd_kafka_resp_err_t error;
    if (tab)
        error = rd_kafka_producev(client, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY | RD_KAFKA_MSG_F_BLOCK),
                                  RD_KAFKA_V_KEY(line, (size_t)(tab - line)), RD_KAFKA_V_VALUE((char *)(uintptr_t)value, value_size), RD_KAFKA_V_END);
    else
        error = rd_kafka_producev(client, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY | RD_KAFKA_MSG_F_BLOCK),
                                  RD_KAFKA_V_VALUE((char *)(uintptr_t)value, value_size), RD_KAFKA_V_END);
    if (error)
        fail(topic, rd_kafka_err2str(error));
    rd_kafka_poll(client, 0);
}

static int write_records(const char *brokers, const char *topic)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "linger.ms", "2");
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *client = create_client(RD_KAFKA_PRODUCER, conf, brokers);
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    while ((size = getline(&line, &capacity, stdin)) > 0) {
        if (line[size - 1] == '\n')
            size--;
        write_line(client, topic, line, (size_t)size);
    }
    free(line);
    if (rd_kafka_flush(client, WAIT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail(topic, "not every record was acknowledged in time");
    rd_kafka_destroy(client);
    return undelivered ? 1 : 0;
}

static void print_headers(const rd_kafka_message_t *message)
{
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t size;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
        printf("%s%s=%.*s", i ? ";" : "", name, (int)size, value ? (const char *)value : "");
}

static void print_record(const rd_kafka_message_t *message)
{
    printf("%" PRId32 "/%" PRId64 "\t%.*s\t", message->partition, message->offset, (int)message->key_len,
           message->key ? (const char *)message->key : "");
    print_headers(message);
    printf("\t%.*s\n", (int)message->len, message->payload ? (const char *)message->payload : "");
}

/* Assigns every partition from its beginning and returns how many there are. */
static int assign_all(rd_kafka_t *client, const char *topic)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client, topic, NULL);
    rd_kafka_resp_err_t error = rd_kafka_metadata(client, 0, handle, &metadata, WAIT_MS);
    if (error || metadata->topic_cnt != 1 || metadata->topics[0].err)
        fail(topic, error ? rd_kafka_err2str(error) : "no such topic");
    int count = metadata->topics[0].partition_cnt;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
    for (int i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    error = rd_kafka_assign(client, list);
    if (error)
        fail(topic, rd_kafka_err2str(error));
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(handle);
    return count;
}

static int read_records(const char *brokers, const char *topic)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "group.id", "records");
    set(conf, "enable.partition.eof", "true");
    set(conf, "enable.auto.commit", "false");
    rd_kafka_t *client = create_client(RD_KAFKA_CONSUMER, conf, brokers);
    rd_kafka_poll_set_consumer(client);
    int partitions_left = assign_all(client, topic);
    while (partitions_left > 0) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(client, WAIT_MS);
        if (!message)
            fail(topic, "no answer");
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
            partitions_left--;
        else if (message->err)
            fail(topic, rd_kafka_message_errstr(message));
        else
            print_record(message);
        rd_kafka_message_destroy(message);
    }
    rd_kafka_consumer_close(client);
    rd_kafka_destroy(client);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 4 && !strcmp(argv[1], "write"))
        return write_records(argv[2], argv[3]);
    if (argc == 4 && !strcmp(argv[1], "read"))
        return read_records(argv[2], argv[3]);
    fprintf(stderr, "usage: records write|read BROKERS TOPIC\n");
    return 2;
}
