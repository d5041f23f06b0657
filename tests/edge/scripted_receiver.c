#include "tests/edge/scripted_receiver.h"

#include "consumer/base/check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { POLL_MS = 10 };

bool say_bytes(const struct visit *visit, const void *bytes, size_t length)
{
    const char *next = bytes;
    while (length > 0) {
        ssize_t sent = send(visit->fd, next, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        next += sent;
        length -= (size_t)sent;
    }
    return true;
}

bool say(const struct visit *visit, const char *text)
{
    return say_bytes(visit, text, strlen(text));
}

bool wait_ms(const struct visit *visit, int ms)
{
    for (; ms > 0 && !atomic_load(&visit->receiver->stopping); ms -= POLL_MS)
        usleep((useconds_t)(ms < POLL_MS ? ms : POLL_MS) * 1000);
    return !atomic_load(&visit->receiver->stopping);
}

void reset_at_close(const struct visit *visit)
{
    setsockopt(visit->fd, SOL_SOCKET, SO_LINGER, &(struct linger){ .l_onoff = 1 }, sizeof(struct linger));
}

/* Length of the whole request once its head is there; 0 until then. */
static size_t request_length(const char *request)
{
    const char *end = strstr(request, "\r\n\r\n");
    const char *length = strcasestr(request, "\r\ncontent-length:");
    if (end == NULL)
        return 0;
    size_t body = length != NULL && length < end ? strtoul(length + strlen("\r\ncontent-length:"), NULL, 10) : 0;
    return (size_t)(end + 4 - request) + body;
}

/* Reads until one request is complete; 0 when the connection ended before. */
static size_t read_request(struct connection *connection, char *request)
{
    size_t have = 0, need = 0;
    request[0] = '\0';
    for (;;) {
        if (need == 0)
            need = request_length(request);
        if (need > 0 && have >= need)
            return have;
        struct pollfd ready = { .fd = connection->fd, .events = POLLIN };
        if (atomic_load(&connection->receiver->stopping))
            return 0;
        if (poll(&ready, 1, POLL_MS) == 0)
            continue;
        ssize_t count = recv(connection->fd, request + have, RECEIVER_REQUEST_MAX - 1 - have, 0);
        if (count <= 0)
            return 0;
        have += (size_t)count;
        request[have] = '\0';
    }
}

static void keep_request(struct receiver *receiver, const char *request, size_t length)
{
    pthread_mutex_lock(&receiver->lock);
    free(receiver->last_request);
    receiver->last_request = malloc(length + 1);
    memcpy(receiver->last_request, request, length + 1);
    pthread_mutex_unlock(&receiver->lock);
}

static void *serve(void *context)
{
    struct connection *connection = context;
    struct receiver *receiver = connection->receiver;
    char *request = malloc(RECEIVER_REQUEST_MAX);
    struct visit visit = { .receiver = receiver, .fd = connection->fd, .request = request };
    bool go_on = receiver->greet == NULL || receiver->greet(&visit);
    while (go_on && (visit.length = read_request(connection, request)) > 0) {
        atomic_fetch_add(&receiver->requests, 1);
        keep_request(receiver, request, visit.length);
        visit.number++;
        go_on = receiver->script(&visit);
    }
    free(request);
    close(connection->fd);
    atomic_fetch_sub(&receiver->open, 1);
    return NULL;
}

static void *accept_all(void *context)
{
    struct receiver *receiver = context;
    while (!atomic_load(&receiver->stopping)) {
        struct pollfd ready = { .fd = receiver->listener, .events = POLLIN };
        if (poll(&ready, 1, POLL_MS) == 0 || atomic_load(&receiver->connections) == RECEIVER_CONNECTIONS_MAX)
            continue;
        int fd = accept(receiver->listener, NULL, NULL);
        if (fd < 0)
            continue;
        struct connection *connection = &receiver->visitors[atomic_fetch_add(&receiver->connections, 1)];
        *connection = (struct connection){ .receiver = receiver, .fd = fd };
        atomic_fetch_add(&receiver->open, 1);
        pthread_create(&connection->thread, NULL, serve, connection);
    }
    return NULL;
}

static void start_at(struct receiver *receiver, script *act, in_addr_t host)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(host) };
    socklen_t length = sizeof(address);
    memset(receiver, 0, sizeof(*receiver));
    receiver->script = act;
    pthread_mutex_init(&receiver->lock, NULL);
    receiver->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert(bind(receiver->listener, (struct sockaddr *)&address, length) == 0 && listen(receiver->listener, 256) == 0);
    getsockname(receiver->listener, (struct sockaddr *)&address, &length);
    receiver->port = ntohs(address.sin_port);
    pthread_create(&receiver->acceptor, NULL, accept_all, receiver);
}

void receiver_start(struct receiver *receiver, script *act)
{
    start_at(receiver, act, INADDR_LOOPBACK);
}

void receiver_start_anywhere(struct receiver *receiver, script *act)
{
    start_at(receiver, act, INADDR_ANY);
}

void receiver_stop(struct receiver *receiver)
{
    atomic_store(&receiver->stopping, true);
    pthread_join(receiver->acceptor, NULL);
    int count = atomic_load(&receiver->connections);
    for (int i = 0; i < count; i++)
        pthread_join(receiver->visitors[i].thread, NULL);
    close(receiver->listener);
    free(receiver->last_request);
    receiver->last_request = NULL;
}
