/* What libcurl alone costs: POSTs the benchmark's body COUNT times, 64 in flight, keep-alive, and nothing else.
 *
 *   bare URL COUNT [IN_FLIGHT [BODY_BYTES]]
 *
 * The multi interface driven by epoll, as cheap as libcurl allows: the handles are used again and again. Prints
 * {"posts":…,"failed":…,"seconds":…,"cpu_us_per_post":…}, user and system time of this process. */
#include "tests/bench/payload.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { IN_FLIGHT_MAX = 10000, EVENTS_MAX = 256 };

struct slot {
    CURL *easy;
    char *body;
};

static struct {
    CURLM *multi;
    int epoll;
    long timeout_ms; /* as libcurl asked last; -1 none */
    unsigned long left, posts, failed;
    unsigned number;
    size_t body_bytes;
    struct curl_slist *headers;
} bare = { .timeout_ms = -1, .body_bytes = PAYLOAD_BODY_BYTES };

static void fail(const char *what)
{
    fprintf(stderr, "bare: %s\n", what);
    exit(1);
}

static int on_timer(CURLM *multi, long timeout_ms, void *context)
{
    (void)multi;
    (void)context;
    bare.timeout_ms = timeout_ms;
    return 0;
}

static int on_socket(CURL *easy, curl_socket_t socket, int what, void *context, void *known)
{
    struct epoll_event event = { .data.fd = socket };
    (void)easy;
    (void)context;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(bare.epoll, EPOLL_CTL_DEL, socket, &event);
        return 0;
    }
    event.events = (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0);
    if (epoll_ctl(bare.epoll, known != NULL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, socket, &event) != 0 &&
        epoll_ctl(bare.epoll, errno == EEXIST ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, socket, &event) != 0)
        fail(strerror(errno));
    if (known == NULL)
        curl_multi_assign(bare.multi, socket, &bare);
    return 0;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    (void)bytes;
    (void)context;
    return size * count;
}

static void prepare(struct slot *slot, const char *url)
{
    slot->easy = curl_easy_init();
    slot->body = malloc(bare.body_bytes + 2);
    if (slot->easy == NULL || slot->body == NULL)
        fail("no memory");
    curl_easy_setopt(slot->easy, CURLOPT_URL, url);
    curl_easy_setopt(slot->easy, CURLOPT_POST, 1L);
    curl_easy_setopt(slot->easy, CURLOPT_POSTFIELDS, slot->body);
    curl_easy_setopt(slot->easy, CURLOPT_POSTFIELDSIZE, (long)bare.body_bytes);
    curl_easy_setopt(slot->easy, CURLOPT_HTTPHEADER, bare.headers);
    curl_easy_setopt(slot->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(slot->easy, CURLOPT_PRIVATE, slot);
    curl_easy_setopt(slot->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(slot->easy, CURLOPT_PROXY, "");
    curl_easy_setopt(slot->easy, CURLOPT_TIMEOUT_MS, 10000L);
}

static void start(struct slot *slot)
{
    if (bare.left == 0)
        return;
    bare.left--;
    struct payload payload = {
        .number = bare.number++, .sent_us = UINT64_C(1234567890123456), .id_bytes = PAYLOAD_ID_BYTES, .body_bytes = bare.body_bytes
    };
    size_t length = payload_write(&payload, slot->body + 1, bare.body_bytes + 1);
    slot->body[0] = '{';
    slot->body[length + 1] = '}';
    if (curl_multi_add_handle(bare.multi, slot->easy) != CURLM_OK)
        fail("add_handle");
}

static void reap(void)
{
    int more;
    for (CURLMsg *message; (message = curl_multi_info_read(bare.multi, &more)) != NULL;) {
        char *slot = NULL;
        long status = 0;
        CURL *easy = message->easy_handle;
        bool fine = message->data.result == CURLE_OK;
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &slot);
        curl_multi_remove_handle(bare.multi, easy);
        bare.posts++;
        bare.failed += !fine || status / 100 != 2;
        start((struct slot *)(void *)slot);
    }
}

static int curl_flags(uint32_t events)
{
    return (events & EPOLLIN ? CURL_CSELECT_IN : 0) | (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
           (events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
}

static void post_all(unsigned long count)
{
    struct epoll_event events[EVENTS_MAX];
    int running;
    while (bare.posts < count) {
        int ready = epoll_wait(bare.epoll, events, EVENTS_MAX, bare.timeout_ms < 0 ? 1000 : (int)bare.timeout_ms);
        for (int i = 0; i < ready; i++)
            curl_multi_socket_action(bare.multi, events[i].data.fd, curl_flags(events[i].events), &running);
        if (ready == 0 || bare.timeout_ms == 0)
            curl_multi_socket_action(bare.multi, CURL_SOCKET_TIMEOUT, 0, &running);
        reap();
    }
}

static double cpu_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static double seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    unsigned long count = argc > 2 ? strtoul(argv[2], NULL, 10) : 0, in_flight = argc > 3 ? strtoul(argv[3], NULL, 10) : 64;
    if (argc < 3 || count == 0 || count > PAYLOAD_NUMBERS || in_flight == 0 || in_flight > IN_FLIGHT_MAX) {
        fprintf(stderr, "usage: bare URL COUNT [IN_FLIGHT [BODY_BYTES]]\n");
        return 2;
    }
    size_t asked = argc > 4 ? strtoul(argv[4], NULL, 10) : 0;
    if (asked >= PAYLOAD_BODY_BYTES + 9 && asked <= PAYLOAD_BODY_BYTES_MAX)
        bare.body_bytes = asked;
    struct slot *slots = calloc(in_flight, sizeof *slots);
    bare.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || (bare.multi = curl_multi_init()) == NULL || slots == NULL || bare.epoll < 0)
        fail("cannot start");
    curl_multi_setopt(bare.multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(bare.multi, CURLMOPT_TIMERFUNCTION, on_timer);
    bare.headers = curl_slist_append(curl_slist_append(NULL, "Content-Type: application/json"), "Expect:");
    bare.left = count;
    double started = seconds(), cpu = cpu_us();
    for (size_t i = 0; i < in_flight; i++) {
        prepare(&slots[i], argv[1]);
        start(&slots[i]);
    }
    post_all(count);
    printf("{\"posts\":%lu,\"failed\":%lu,\"seconds\":%.3f,\"cpu_us_per_post\":%.2f}\n", bare.posts, bare.failed, seconds() - started,
           (cpu_us() - cpu) / (double)bare.posts);
    for (size_t i = 0; i < in_flight; i++) {
        curl_easy_cleanup(slots[i].easy);
        free(slots[i].body);
    }
    curl_multi_cleanup(bare.multi);
    curl_slist_free_all(bare.headers);
    curl_global_cleanup();
    close(bare.epoll);
    free(slots);
    return bare.failed > 0;
}
