/* A receiver that costs as little as it can: HTTP/1.1 with keep-alive on one thread.
 *
 *   receiver [--delay MS] [--status N] [--retry-after S] [--drip] [--look]
 *
 * Listens on one port of all of 127.0.0.0/8 (of the loopback interface only), prints the port, and answers every request with an empty body, MS
 * after it was read. --drip: it sends one byte of the answer every MS. --look: it looks into the requests (sightings.h). On SIGTERM it prints
 * what it counted: {"connections":…,"requests":…,"body_bytes":…}, and what it saw. */
#include "tests/bench/sightings.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_MAX = 16384, EVENTS_MAX = 256 };

struct client {
    bool listens;
    size_t head_bytes;  /* of the request that is being read, in `head` */
    uint64_t body_left; /* of its body, not yet read */
    bool waits;         /* its answer is due later */
    bool gone;          /* meanwhile it closed */
    uint64_t due_ms;
    size_t dripped; /* bytes of the answer that were sent one by one */
    int next;       /* in the queue of those that wait; -1 none */
    char head[HEAD_MAX];
};

static struct {
    int epoll;
    long delay_ms, status, retry_after_s;
    bool drips, looks;
    struct client **clients; /* by descriptor */
    size_t clients_max;
    int first, last; /* those that wait, oldest first: the delay is the same for all */
    uint64_t connections, requests, body_bytes;
    char answer[128];
    size_t answer_bytes;
} receiver = { .status = 200, .first = -1, .last = -1 };

static void fail(const char *what)
{
    fprintf(stderr, "receiver: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static struct client *add(int file, bool listens)
{
    if ((size_t)file >= receiver.clients_max) {
        fprintf(stderr, "receiver: more descriptors than the limit\n");
        exit(1);
    }
    struct client *client = receiver.clients[file];
    if (client == NULL && (client = receiver.clients[file] = malloc(sizeof *client)) == NULL)
        fail("memory");
    client->listens = listens;
    client->waits = client->gone = false;
    client->dripped = 0;
    client->head_bytes = 0;
    client->body_left = 0;
    struct epoll_event event = { .events = EPOLLIN, .data.fd = file };
    if (epoll_ctl(receiver.epoll, EPOLL_CTL_ADD, file, &event) != 0)
        fail("epoll");
    return client;
}

static unsigned listen_on_loopback(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY) };
    socklen_t length = sizeof address;
    int file = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (file < 0 || setsockopt(file, SOL_SOCKET, SO_BINDTODEVICE, "lo", sizeof "lo") != 0 || bind(file, (struct sockaddr *)&address, length) != 0 ||
        listen(file, 4096) != 0 || getsockname(file, (struct sockaddr *)&address, &length) != 0)
        fail("listen");
    add(file, true);
    return ntohs(address.sin_port);
}

static void drop(int file)
{
    struct client *client = receiver.clients[file];
    if (client->waits)
        return; /* dropped when its answer is due */
    close(file);
}

/* The answer is far smaller than a socket's buffer; a client that lets even that fill up is dropped. */
static bool answer(int file)
{
    return send(file, receiver.answer, receiver.answer_bytes, MSG_NOSIGNAL) == (ssize_t)receiver.answer_bytes;
}

static bool answer_later(int file, struct client *client)
{
    client->waits = true;
    client->due_ms = now_ms() + (uint64_t)receiver.delay_ms;
    client->next = -1;
    if (receiver.last < 0)
        receiver.first = file;
    else
        receiver.clients[receiver.last]->next = file;
    receiver.last = file;
    return true;
}

/* False: drop the client. */
static bool answer_in_time(int file, struct client *client)
{
    return receiver.delay_ms > 0 ? answer_later(file, client) : answer(file);
}

static uint64_t content_length(char *head, const char *end)
{
    static const char name[] = "content-length:";
    for (char *line = head; line < end; line = strchr(line, '\n') + 1)
        if (strncasecmp(line, name, sizeof name - 1) == 0)
            return strtoull(line + sizeof name - 1, NULL, 10);
    return 0;
}

/* Takes whole requests off the front of `head`; false: drop the client. */
static bool read_requests(int file, struct client *client)
{
    while (!client->waits && client->head_bytes > 0) {
        client->head[client->head_bytes] = '\0';
        char *end = strstr(client->head, "\r\n\r\n");
        if (end == NULL)
            return client->head_bytes + 1 < HEAD_MAX;
        uint64_t body = content_length(client->head, end + 2);
        size_t head = (size_t)(end + 4 - client->head), there = client->head_bytes - head;
        size_t taken = body < there ? (size_t)body : there;
        receiver.requests++;
        receiver.body_bytes += body;
        client->body_left = body - taken;
        client->head_bytes = there - taken;
        if (receiver.looks && client->body_left == 0)
            sightings_note(client->head, head + taken);
        memmove(client->head, client->head + head + taken, client->head_bytes);
        if (client->body_left > 0)
            return true; /* answered once the body is there */
        if (!answer_in_time(file, client))
            return false;
    }
    return true;
}

/* Reads on into the body of a request whose head was there before. */
static bool read_body(int file, struct client *client, size_t got)
{
    size_t taken = client->body_left < got ? (size_t)client->body_left : got;
    client->body_left -= taken;
    client->head_bytes = got - taken;
    memmove(client->head, client->head + taken, client->head_bytes);
    if (client->body_left > 0)
        return true;
    return answer_in_time(file, client) && read_requests(file, client);
}

static void on_readable(int file)
{
    struct client *client = receiver.clients[file];
    ssize_t got = recv(file, client->head + client->head_bytes, HEAD_MAX - 1 - client->head_bytes, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0 && client->waits) { /* gone before its answer: no more events, and dropped when it is due */
        epoll_ctl(receiver.epoll, EPOLL_CTL_DEL, file, NULL);
        client->gone = true;
        return;
    }
    bool stays = got > 0;
    if (stays && client->body_left > 0) {
        stays = read_body(file, client, (size_t)got);
    } else if (stays) {
        client->head_bytes += (size_t)got;
        stays = read_requests(file, client);
    }
    if (!stays)
        drop(file);
}

static void on_listener(int listener)
{
    for (int file; (file = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        add(file, false);
        receiver.connections++;
    }
}

/* The next byte of the answer; behind the last one the client may ask again. */
static bool drip(int file, struct client *client)
{
    if (send(file, receiver.answer + client->dripped, 1, MSG_NOSIGNAL) != 1)
        return false;
    client->dripped++;
    if (client->dripped < receiver.answer_bytes)
        return answer_later(file, client);
    client->dripped = 0;
    return read_requests(file, client);
}

static void answer_due(void)
{
    uint64_t now = receiver.first >= 0 ? now_ms() : 0;
    while (receiver.first >= 0 && receiver.clients[receiver.first]->due_ms <= now) {
        int file = receiver.first;
        struct client *client = receiver.clients[file];
        receiver.first = client->next;
        if (receiver.first < 0)
            receiver.last = -1;
        client->waits = false;
        bool stays = !client->gone && (receiver.drips ? drip(file, client) : answer(file) && read_requests(file, client));
        if (!stays)
            drop(file);
    }
}

static int wait_ms(void)
{
    if (receiver.first < 0)
        return -1;
    uint64_t due = receiver.clients[receiver.first]->due_ms, now = now_ms();
    return due > now ? (int)(due - now) : 0;
}

static void serve(int signals)
{
    struct epoll_event events[EVENTS_MAX];
    for (;;) {
        int count = epoll_wait(receiver.epoll, events, EVENTS_MAX, wait_ms());
        for (int i = 0; i < count; i++) {
            int file = events[i].data.fd;
            if (file == signals)
                return;
            if (receiver.clients[file]->listens)
                on_listener(file);
            else
                on_readable(file);
        }
        answer_due();
    }
}

static int watch_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int file = signalfd(-1, &set, SFD_CLOEXEC);
    if (file < 0)
        fail("signalfd");
    add(file, false);
    return file;
}

static void write_answer(void)
{
    char retry_after[40] = "";
    if (receiver.retry_after_s > 0)
        snprintf(retry_after, sizeof retry_after, "Retry-After: %ld\r\n", receiver.retry_after_s);
    receiver.answer_bytes =
        (size_t)snprintf(receiver.answer, sizeof receiver.answer, "HTTP/1.1 %ld Status\r\n%sContent-Length: 0\r\n\r\n", receiver.status, retry_after);
}

static void start(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    receiver.clients_max = limit.rlim_cur < 1000000 ? (size_t)limit.rlim_cur : 1000000;
    receiver.clients = calloc(receiver.clients_max, sizeof(struct client *));
    receiver.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (receiver.clients == NULL || receiver.epoll < 0)
        fail("start");
    write_answer();
    printf("%u\n", listen_on_loopback());
    fflush(stdout);
}

static bool read_options(int argc, char **argv)
{
    static const struct option options[] = {
        { "delay", required_argument, NULL, 'd' }, { "status", required_argument, NULL, 's' }, { "retry-after", required_argument, NULL, 'r' },
        { "drip", no_argument, NULL, 'i' },        { "look", no_argument, NULL, 'l' },         { 0 }
    };
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == '?')
            return false;
        if (option == 'i' || option == 'l')
            *(option == 'i' ? &receiver.drips : &receiver.looks) = true;
        else
            *(option == 'd' ? &receiver.delay_ms : option == 's' ? &receiver.status : &receiver.retry_after_s) = strtol(optarg, NULL, 10);
    }
    return optind == argc && receiver.delay_ms >= 0 && receiver.delay_ms <= 3600000 && receiver.status >= 200 && receiver.status <= 599;
}

int main(int argc, char **argv)
{
    if (!read_options(argc, argv)) {
        fprintf(stderr, "usage: receiver [--delay MS] [--status N] [--retry-after S] [--drip] [--look]\n");
        return 2;
    }
    start();
    serve(watch_signals());
    printf("{\"connections\":%" PRIu64 ",\"requests\":%" PRIu64 ",\"body_bytes\":%" PRIu64, receiver.connections, receiver.requests,
           receiver.body_bytes);
    sightings_print();
    puts("}");
    return 0;
}
