/* Everything of ours that more than one thread touches, run hard for a moment: meant for ThreadSanitizer (preset tsan).
 *
 * Not a Criterion test, because Criterion does not start under ThreadSanitizer. What a worker's loop shares with the outside is just this: log lines,
 * measures, the lag table, and its status. The whole program runs so in tests/system/races.py. */
#include "consumer/base/clock.h"
#include "consumer/base/log.h"
#include "consumer/base/memory.h"
#include "consumer/http/probes.h"
#include "consumer/intake_stats.h"
#include "consumer/lag.h"
#include "dedupe/redis.h"
#include "delivery/stats.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WORKERS = 2, SCRAPERS = 2, ROUNDS = 300, SCRAPES = 40, LINES_PER_ROUND = 20 };

static struct worker_status statuses[WORKERS];
static struct worker_status *const status_pointers[WORKERS] = { &statuses[0], &statuses[1] };
static struct service_status service = { .workers = status_pointers, .worker_count = WORKERS };
static atomic_uint answers;

static void show(struct worker_status *status, const struct delivery_stats *delivery, const struct redis_stats *redis)
{
    pthread_mutex_lock(&status->lock);
    status->delivery = delivery;
    status->redis = redis;
    pthread_mutex_unlock(&status->lock);
}

/* What a worker's loop does to shared memory, its parts coming and going included. */
static void *work(void *context)
{
    struct worker_status *status = context;
    for (int round = 0; round < ROUNDS; round++) {
        struct delivery_stats *delivery = memory_create(sizeof(*delivery));
        struct redis_stats *redis = memory_create(sizeof(*redis));
        show(status, delivery, redis);
        gauge_set(&status->heartbeat_ms, (int64_t)clock_monotonic_ms());
        gauge_set(&redis->reached, 1);
        gauge_set(&status->joined, 1);
        for (int line = 0; line < LINES_PER_ROUND; line++) {
            counter_add(&delivery->settled[SETTLED_DELIVERED], 1);
            histogram_observe_us(&delivery->attempt_duration, (uint64_t)line * 1000);
            log_info("settled", LOG_STRING("task_id", "t"), LOG_I("attempt", line));
        }
        const struct lag_row row = { .topic = slice_of("jobs"), .partition = round % 7, .lag = round };
        lag_replace(status->lag, &row, 1);
        usleep(1000);
        show(status, NULL, NULL);
        free(delivery);
        free(redis);
    }
    return NULL;
}

static void get(uint16_t port, const char *path)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    char request[128], answer[4096];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        abort();
    int length = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
    if (write(fd, request, (size_t)length) != length)
        abort();
    ssize_t first = read(fd, answer, sizeof(answer));
    while (read(fd, answer, sizeof(answer)) > 0)
        continue;
    if (first > 12)
        atomic_fetch_add(&answers, 1);
    close(fd);
}

static void *scrape(void *context)
{
    const uint16_t *port = context;
    for (int i = 0; i < SCRAPES; i++) {
        get(*port, "/metrics");
        get(*port, "/readyz");
        get(*port, "/healthz");
    }
    return NULL;
}

int main(void)
{
    char problem[256] = "";
    struct listen_address listen = { .host = "127.0.0.1" };
    struct server_options options = { .listen = &listen, .name = "jobhook-http", .asked = probes_answer, .context = &service };
    pthread_t threads[WORKERS + SCRAPERS];
    log_set(LOG_INFO, LOG_JSON);
    log_start();
    for (int i = 0; i < WORKERS; i++) {
        pthread_mutex_init(&statuses[i].lock, NULL);
        statuses[i].lag = lag_create();
    }
    struct server *server = server_create(&options, problem, sizeof(problem));
    if (server == NULL)
        return 1;
    uint16_t port = server_port(server);
    for (int i = 0; i < WORKERS + SCRAPERS; i++)
        if (pthread_create(&threads[i], NULL, i < WORKERS ? work : scrape, i < WORKERS ? (void *)&statuses[i] : (void *)&port) != 0)
            return 1;
    for (int i = 0; i < WORKERS + SCRAPERS; i++)
        pthread_join(threads[i], NULL);
    server_destroy(server);
    for (int i = 0; i < WORKERS; i++)
        lag_destroy(statuses[i].lag);
    log_stop();
    fprintf(stderr, "%u of %d scrapes answered\n", atomic_load(&answers), SCRAPERS * SCRAPES * 3);
    return atomic_load(&answers) == SCRAPERS * SCRAPES * 3 ? 0 : 1;
}
