#include "dedupe/redis_wire.h"

#include "consumer/base/memory.h"
#include "dedupe/redis_tls.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

enum { KEEPALIVE_IDLE_S = 15 };

struct lookup {
    uv_getaddrinfo_t request;
    struct redis_wire *wire; /* NULL: nobody waits for it any more */
};

struct line { /* one socket */
    uv_poll_t poll;
    struct redis_wire *wire;
    int fd; /* the context's once there is one */
    int watched;
    bool unsent;
    redisContext *context; /* NULL while connecting */
    struct ssl_st *session;
    struct redis_reply reply;
};

struct redis_wire {
    struct redis_wire_options options;
    struct redis_wire_events events;
    void *owner;
    uv_timer_t timer; /* runs while an address is being tried */
    struct lookup *lookup;
    struct addrinfo *addresses;
    const struct addrinfo *untried;
    struct line *line;
    char why[160]; /* the last failure */
};

static void try_next_address(struct redis_wire *wire);

static void free_handle_data(uv_handle_t *handle)
{
    free(handle->data);
}

struct redis_wire *redis_wire_create(const struct redis_wire_options *options, const struct redis_wire_events *events, void *owner)
{
    struct redis_wire *wire = memory_create(sizeof *wire);
    wire->options = *options;
    wire->events = *events;
    wire->owner = owner;
    uv_timer_init(options->loop, &wire->timer);
    wire->timer.data = wire;
    return wire;
}

static void close_line(struct redis_wire *wire)
{
    struct line *line = wire->line;
    if (line == NULL)
        return;
    wire->line = NULL;
    uv_close((uv_handle_t *)&line->poll, free_handle_data);
    if (line->context != NULL)
        redisFree(line->context);
    else
        close(line->fd);
    line->context = NULL;
}

void redis_wire_close(struct redis_wire *wire)
{
    close_line(wire);
    uv_timer_stop(&wire->timer);
    if (wire->lookup != NULL) {
        wire->lookup->wire = NULL;
        uv_cancel((uv_req_t *)&wire->lookup->request);
        wire->lookup = NULL;
    }
    uv_freeaddrinfo(wire->addresses);
    wire->addresses = NULL;
    wire->untried = NULL;
}

void redis_wire_destroy(struct redis_wire *wire)
{
    if (wire == NULL)
        return;
    redis_wire_close(wire);
    uv_close((uv_handle_t *)&wire->timer, free_handle_data);
}

static void remember_why(struct redis_wire *wire, const char *why)
{
    snprintf(wire->why, sizeof wire->why, "%s", why);
}

static void lose(struct redis_wire *wire)
{
    redis_wire_close(wire);
    wire->events.lost(wire->owner, wire->why);
}

/* TLS refuses a certificate in the middle of a read or write, where hiredis only knows that something failed. */
static void lose_broken(struct redis_wire *wire)
{
    struct line *line = wire->line;
    if (line->session == NULL || !redis_tls_explain(line->session, wire->why, sizeof wire->why))
        remember_why(wire, line->context->errstr[0] != '\0' ? line->context->errstr : "the connection broke");
    lose(wire);
}

static void on_line_ready(uv_poll_t *poll, int status, int events);

static void watch(struct line *line, int events)
{
    if (line->watched != events)
        uv_poll_start(&line->poll, events, on_line_ready);
    line->watched = events;
}

static void watch_as_needed(struct line *line)
{
    bool write = line->session == NULL ? line->unsent : redis_tls_wants_write(line->session);
    watch(line, UV_READABLE | (write ? UV_WRITABLE : 0));
}

void redis_wire_send(struct redis_wire *wire, struct slice bytes)
{
    assert(wire->line != NULL && wire->line->context != NULL);
    redisAppendFormattedCommand(wire->line->context, bytes.start, bytes.length);
    wire->line->unsent = true;
}

void redis_wire_flush(struct redis_wire *wire)
{
    struct line *line = wire->line;
    if (line == NULL || line->context == NULL || !line->unsent)
        return;
    size_t before = 0, left = sdslen(line->context->obuf);
    do {
        before = left;
        if (line->session != NULL)
            redis_tls_forget_errors();
        if (redisBufferWrite(line->context, NULL) != REDIS_OK) {
            lose_broken(wire);
            return;
        }
        /* hiredis 0.14 says nothing when it gets no memory for the next one, and crashes if asked whether it is done. */
        if (line->context->obuf == NULL) {
            remember_why(wire, "out of memory");
            lose(wire);
            return;
        }
        left = sdslen(line->context->obuf);
    } while (left > 0 && left < before);
    line->unsent = left > 0;
    watch_as_needed(line);
}

void redis_wire_read(struct redis_wire *wire)
{
    struct line *line = wire->line;
    if (line == NULL || line->context == NULL)
        return;
    if (line->session != NULL)
        redis_tls_forget_errors();
    if (redisBufferRead(line->context) != REDIS_OK) {
        lose_broken(wire);
        return;
    }
    int more = 0;
    while ((more = redis_reply_next(line->context->reader)) > 0) {
        wire->events.answered(wire->owner, &line->reply);
        if (line->context == NULL) /* closed by the owner; the line's memory lives until the end of the turn */
            return;
    }
    if (more == 0)
        return;
    remember_why(wire, "what answers does not speak Redis's protocol");
    lose(wire);
}

/* The context takes the socket over. It is told that it may not block, which a context made from a socket assumes. */
static bool take_over(struct line *line)
{
    struct redis_wire *wire = line->wire;
    line->context = redisConnectFd(line->fd);
    if (line->context == NULL) {
        remember_why(wire, "out of memory");
        return false;
    }
    line->context->flags &= ~REDIS_BLOCK;
    redis_reply_attach(&line->reply, line->context->reader);
    if (!wire->options.address->tls)
        return true;
    line->session = redis_tls_start(line->context, wire->options.address, wire->why, sizeof wire->why);
    return line->session != NULL;
}

static int pending_error(int fd)
{
    int error = 0;
    socklen_t length = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
        return errno;
    return error;
}

static void finish_connecting(struct line *line, int status)
{
    struct redis_wire *wire = line->wire;
    int error = pending_error(line->fd);
    if (error == 0 && status < 0)
        error = ECONNRESET;
    if (error != 0) {
        remember_why(wire, strerror(error));
        close_line(wire);
        try_next_address(wire);
        return;
    }
    uv_timer_stop(&wire->timer);
    if (!take_over(line)) {
        lose(wire);
        return;
    }
    watch_as_needed(line);
    wire->events.opened(wire->owner);
}

static void on_line_ready(uv_poll_t *poll, int status, int events)
{
    struct line *line = poll->data;
    struct redis_wire *wire = line->wire;
    if (line->context == NULL) {
        finish_connecting(line, status);
        return;
    }
    /* An error of the socket shows in the read. TLS may need to write in order to read and the other way round: both are tried. */
    if (status < 0 || (events & UV_READABLE) != 0 || line->session != NULL)
        redis_wire_read(wire);
    if (line->context != NULL)
        redis_wire_flush(wire);
    if (line->context != NULL)
        watch_as_needed(line);
}

static int dial(struct redis_wire *wire, const struct sockaddr *address, socklen_t length)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    if (address->sa_family != AF_UNIX) {
        int on = 1, idle_s = KEEPALIVE_IDLE_S;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    }
    if (connect(fd, address, length) != 0 && errno != EINPROGRESS) {
        int error = errno;
        close(fd);
        return error;
    }
    struct line *line = memory_create(sizeof *line);
    line->wire = wire;
    line->fd = fd;
    int failed = uv_poll_init(wire->options.loop, &line->poll, fd);
    if (failed != 0) {
        close(fd);
        free(line);
        return -failed;
    }
    line->poll.data = line;
    wire->line = line;
    watch(line, UV_WRITABLE);
    return 0;
}

static void on_connect_timeout(uv_timer_t *timer)
{
    struct redis_wire *wire = timer->data;
    remember_why(wire, "connecting took too long");
    close_line(wire);
    try_next_address(wire);
}

static bool try_address(struct redis_wire *wire, const struct sockaddr *address, socklen_t length)
{
    int error = dial(wire, address, length);
    if (error != 0) {
        remember_why(wire, strerror(error));
        return false;
    }
    uv_timer_start(&wire->timer, on_connect_timeout, wire->options.connect_timeout_ms, 0);
    return true;
}

static void try_next_address(struct redis_wire *wire)
{
    while (wire->untried != NULL) {
        const struct addrinfo *address = wire->untried;
        wire->untried = address->ai_next;
        if (try_address(wire, address->ai_addr, address->ai_addrlen))
            return;
    }
    lose(wire);
}

static void on_looked_up(uv_getaddrinfo_t *request, int status, struct addrinfo *addresses)
{
    struct lookup *lookup = container_of(request, struct lookup, request);
    struct redis_wire *wire = lookup->wire;
    free(lookup);
    if (wire == NULL) {
        uv_freeaddrinfo(addresses);
        return;
    }
    wire->lookup = NULL;
    if (status != 0) {
        snprintf(wire->why, sizeof wire->why, "the name cannot be looked up: %s", uv_strerror(status));
        lose(wire);
        return;
    }
    wire->addresses = addresses;
    wire->untried = addresses;
    try_next_address(wire);
}

static void look_up(struct redis_wire *wire)
{
    const struct redis_address *address = wire->options.address;
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    char port[16];
    snprintf(port, sizeof port, "%d", address->port);
    struct lookup *lookup = memory_create(sizeof *lookup);
    lookup->wire = wire;
    int failed = uv_getaddrinfo(wire->options.loop, &lookup->request, on_looked_up, address->host, port, &hints);
    if (failed != 0) {
        free(lookup);
        remember_why(wire, uv_strerror(failed));
        lose(wire);
        return;
    }
    wire->lookup = lookup;
}

void redis_wire_open(struct redis_wire *wire)
{
    const struct redis_address *address = wire->options.address;
    assert(wire->line == NULL && wire->lookup == NULL);
    if (address->host != NULL) {
        look_up(wire);
        return;
    }
    struct sockaddr_un local = { .sun_family = AF_UNIX };
    assert(strlen(address->path) < sizeof local.sun_path);
    memcpy(local.sun_path, address->path, strlen(address->path));
    if (!try_address(wire, (const struct sockaddr *)&local, sizeof local))
        lose(wire);
}
