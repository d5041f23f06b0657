/* broker TOPIC=PARTITIONS...: a Kafka broker for the demo and for small tests: librdkafka's mock cluster with these topics.
 *
 * Prints its bootstrap address on one line and stays until standard input ends or SIGTERM comes. Each partition keeps about 5 MB and drops what
 * is older, and nothing outlives the program: not for measurements of load or loss. */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int stop_pipe[2];

static void on_signal(int number)
{
    (void)number;
    ssize_t written = write(stop_pipe[1], "", 1);
    (void)written;
}

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "broker: %s: %s\n", what, why);
    exit(1);
}

static rd_kafka_t *create_handle(void)
{
    char problem[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    /* The mock lives inside a client that itself talks to nobody. */
    if (rd_kafka_conf_set(conf, "log_level", "3", problem, sizeof problem) != RD_KAFKA_CONF_OK)
        fail("log_level", problem);
    rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, problem, sizeof problem);
    if (!handle)
        fail("client", problem);
    return handle;
}

static void create_topic(rd_kafka_mock_cluster_t *cluster, const char *argument)
{
    char name[256];
    const char *equals = strchr(argument, '=');
    long partitions = equals ? strtol(equals + 1, NULL, 10) : 0;
    if (partitions < 1 || partitions > 1000 || (size_t)(equals - argument) >= sizeof name)
        fail(argument, "want TOPIC=PARTITIONS");
    snprintf(name, sizeof name, "%.*s", (int)(equals - argument), argument);
    rd_kafka_resp_err_t error = rd_kafka_mock_topic_create(cluster, name, (int)partitions, 1);
    if (error)
        fail(name, rd_kafka_err2str(error));
}

static void wait_for_the_end(void)
{
    struct pollfd sources[] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = stop_pipe[0], .events = POLLIN } };
    for (;;) {
        if (poll(sources, 2, -1) < 0)
            continue;
        char ignored[256];
        if (sources[1].revents)
            return;
        if (sources[0].revents && read(STDIN_FILENO, ignored, sizeof ignored) <= 0)
            return;
    }
}

int main(int argc, char **argv)
{
    if (pipe(stop_pipe) != 0)
        fail("pipe", "none left");
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    rd_kafka_t *handle = create_handle();
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(handle, 1);
    if (!cluster)
        fail("mock cluster", "cannot be created");
    for (int i = 1; i < argc; i++)
        create_topic(cluster, argv[i]);
    printf("%s\n", rd_kafka_mock_cluster_bootstraps(cluster));
    fflush(stdout);
    wait_for_the_end();
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(handle);
    return 0;
}
