#include "delivery/wires.h"

#include "consumer/base/list.h"
#include "consumer/base/memory.h"
#include "delivery/socket_state.h"
#include "delivery/turns.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum {
    SPOIL_READS_MAX = 512,
    SPOIL_BYTES = 16384,
    TALK_BYTES_MAX = 16384,
    WIRE_HANGUP = 8, /* the peer has closed its side; not for owners */
    FRUITLESS_MAX = 16,
    FRUITLESS_AGAIN = 4, /* of a wire that was so often fruitless, when its peer has spoken */
    QUIET_MS = 2,
    TOLD_MAX = 256,    /* times during a request; an answer as large as we take comes in 60 pieces */
    TAKEN_BYTES = 512, /* of the request, by which a receiver may say once more that it takes them */
    REST_MS = 10,
    UNREAD_MAX = 16 * 1024,             /* no more than we take of an answer's body; the kernel doubles it */
    LEFT_BYTES_MAX = 128 * 1024 * 1024, /* of closed connections, which their peers may still take */
};

struct wire {
    uv_poll_t poll;
    struct wires *wires;
    void *owner;
    struct link idle;    /* on wires->idle while it is ours and not watched */
    struct link fresh;   /* on wires->fresh: wires_check_fresh is to look at it */
    struct link rest;    /* on wires->resting: the owner is not told that it can write, or anything */
    struct link put_off; /* on wires->put_off: the owner is told nothing in this turn of the loop */
    unsigned fruitless;  /* times in a row that the owner was told so and did not write, or nothing of the request */
    unsigned told[2];    /* times that the owner was told to read, and to write alone, since the request began */
    uint64_t taken[2];   /* bytes by the peer, when those were TOLD_MAX */
    struct turn_place place;
    uint64_t idle_since_ms;
    int fd;
    unsigned watched; /* what the owner wants to know of */
    unsigned polled;  /* what the loop tells us of */
    bool ours;        /* wires_open made it */
    bool seen;        /* the owner has watched it: it counts as open */
    bool proven;      /* it was connected: libcurl will say when it closes it */
    bool chatty;      /* between two requests the peer may speak */
};

struct wires {
    uv_loop_t *loop;
    wires_ready *ready;
    uint64_t patience_ms;
    uint64_t left_bytes, left_ms; /* in the kernel, at most, by then */
    struct wire **by_fd;
    size_t by_fd_size;
    struct list idle; /* longest idle first */
    struct list fresh;
    struct list resting;
    struct list put_off;
    struct turns turns;
    uv_timer_t wake;   /* runs while wires rest */
    uv_prepare_t turn; /* of the loop begins */
    size_t open;       /* ours, seen */
    size_t closing;    /* libuv has not let go of yet */
    bool destroyed;
};

static void on_turn(uv_prepare_t *turn);

struct wires *wires_create(struct uv_loop_s *loop, wires_ready *ready, uint64_t patience_ms)
{
    struct wires *wires = memory_create(sizeof(*wires));
    wires->loop = loop;
    wires->ready = ready;
    wires->patience_ms = patience_ms;
    list_init(&wires->idle);
    list_init(&wires->fresh);
    list_init(&wires->resting);
    list_init(&wires->put_off);
    uv_timer_init(loop, &wires->wake);
    uv_prepare_init(loop, &wires->turn);
    wires->wake.data = wires->turn.data = wires;
    turns_init(&wires->turns);
    uv_prepare_start(&wires->turn, on_turn);
    return wires;
}

static void wires_free_when_over(struct wires *wires)
{
    if (wires->destroyed && wires->closing == 0) {
        free(wires->by_fd);
        free(wires);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct wire *wire = container_of((uv_poll_t *)handle, struct wire, poll);
    struct wires *wires = wire->wires;
    free(wire);
    wires->closing--;
    wires_free_when_over(wires);
}

static void wire_forget(struct wire *wire)
{
    struct wires *wires = wire->wires;
    wires->by_fd[wire->fd] = NULL;
    list_keep(&wires->idle, &wire->idle, false);
    list_keep(&wires->fresh, &wire->fresh, false);
    list_keep(&wires->resting, &wire->rest, false);
    list_keep(&wires->put_off, &wire->put_off, false);
    wires->open -= wire->ours && wire->seen;
    wires->closing++;
    uv_close((uv_handle_t *)&wire->poll, on_closed);
}

static void on_own_closed(uv_handle_t *handle)
{
    struct wires *wires = handle->data;
    wires->closing--;
    wires_free_when_over(wires);
}

void wires_destroy(struct wires *wires)
{
    if (wires == NULL)
        return;
    for (size_t fd = 0; fd < wires->by_fd_size; fd++)
        if (wires->by_fd[fd] != NULL)
            wire_forget(wires->by_fd[fd]);
    wires->destroyed = true;
    wires->closing += 2;
    uv_close((uv_handle_t *)&wires->wake, on_own_closed);
    uv_close((uv_handle_t *)&wires->turn, on_own_closed);
}

static struct wire *wire_find(const struct wires *wires, int fd)
{
    return fd >= 0 && (size_t)fd < wires->by_fd_size ? wires->by_fd[fd] : NULL;
}

static void make_room(struct wires *wires, size_t fd)
{
    if (fd < wires->by_fd_size)
        return;
    size_t size = wires->by_fd_size == 0 ? 256 : wires->by_fd_size;
    while (size <= fd)
        size *= 2;
    wires->by_fd = memory_resize(wires->by_fd, size * sizeof(struct wire *));
    for (size_t i = wires->by_fd_size; i < size; i++)
        wires->by_fd[i] = NULL;
    wires->by_fd_size = size;
}

static void wire_idle(struct wire *wire)
{
    if (!link_is_free(&wire->idle))
        return;
    if (wire->place.kind == TURN_OF_NEW)
        wire->place = (struct turn_place){ .kind = TURN_OF_KEPT };
    wire->idle_since_ms = uv_now(wire->wires->loop);
    list_append(&wire->wires->idle, &wire->idle);
}

/* NULL and errno when the loop refuses the descriptor (no memory in the kernel, or not something to poll). */
static struct wire *wire_create(struct wires *wires, int fd, bool ours)
{
    struct wire *wire = memory_create(sizeof(*wire));
    int status = uv_poll_init(wires->loop, &wire->poll, fd);
    if (status != 0) {
        free(wire);
        errno = -status;
        return NULL;
    }
    make_room(wires, (size_t)fd);
    wires->by_fd[fd] = wire;
    wire->wires = wires;
    wire->fd = fd;
    wire->ours = ours;
    return wire;
}

/* Of what a peer does not take, megabytes may lie in the kernel: for minutes, were there no limit, and after the connection was closed, too. */
static void limit_patience(const struct wires *wires, int fd)
{
    unsigned ms = (unsigned)wires->patience_ms;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
}

/* What is not read yet lies in the kernel: of an idle connection until somebody looks, and thousands of receivers may speak at once. */
static void limit_unread(int fd)
{
    const int bytes = UNREAD_MAX;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

int wires_open(struct wires *wires, int family, int type, int protocol)
{
    int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
    if (fd < 0)
        return -1;
    struct wire *stale = wire_find(wires, fd);
    if (stale != NULL) /* it was closed behind our back before it was watched */
        wire_forget(stale);
    if (wire_create(wires, fd, true) == NULL) {
        int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    limit_patience(wires, fd);
    limit_unread(fd);
    return fd;
}

/* Nobody else counts what the kernel has left to send once a connection is closed. It is all gone, one way or the other, after `patience_ms`. */
static bool may_be_left(struct wires *wires, size_t bytes)
{
    uint64_t now_ms = uv_now(wires->loop), gone = LEFT_BYTES_MAX * (now_ms - wires->left_ms) / wires->patience_ms;
    wires->left_bytes -= gone < wires->left_bytes ? gone : wires->left_bytes;
    wires->left_ms = now_ms;
    if (wires->left_bytes + bytes > LEFT_BYTES_MAX)
        return false;
    wires->left_bytes += bytes;
    return true;
}

void wires_close(struct wires *wires, int fd, bool cut)
{
    static const struct linger no_time = { .l_onoff = 1 };
    struct wire *wire = wire_find(wires, fd);
    if (wire != NULL)
        wire_forget(wire); /* before close: the loop takes the descriptor off its epoll set */
    size_t unsent = socket_unsent(fd);
    if (unsent > 0 && (cut || !may_be_left(wires, unsent)))
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &no_time, sizeof(no_time));
    close(fd);
}

static void poll_nothing(struct wire *wire)
{
    uv_poll_stop(&wire->poll);
    wire->polled = 0;
}

static void on_ready(uv_poll_t *poll, int status, int events);

static void poll_for(struct wire *wire, unsigned events)
{
    int wanted = ((events & WIRE_READ) != 0 ? UV_READABLE : 0) | ((events & WIRE_WRITE) != 0 ? UV_WRITABLE : 0) |
                 ((events & WIRE_HANGUP) != 0 ? UV_DISCONNECT : 0);
    if (uv_poll_start(&wire->poll, wanted, on_ready) == 0)
        wire->polled = events;
}

/* Makes sure that an idle connection is not used again. libcurl looks whether it can read before it uses one, and takes an end for an end only
 * when there is nothing before it: a TLS server's goodbye would pass for life, and the next request be lost. */
static void wire_spoil(struct wire *wire)
{
    char bytes[SPOIL_BYTES];
    ssize_t count = 1;
    shutdown(wire->fd, SHUT_RDWR); /* first: there is room for more as soon as something was read */
    for (int i = 0; i < SPOIL_READS_MAX && count > 0; i++)
        count = recv(wire->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    poll_nothing(wire);
    list_keep(&wire->wires->idle, &wire->idle, false);
    list_keep(&wire->wires->put_off, &wire->put_off, false);
}

/* Something happened between two requests. */
static void on_ready_idle(struct wire *wire, int status, int events)
{
    if (status == 0 && events == UV_WRITABLE) /* libcurl 8 may end a transfer while it watches for writing, too */
        poll_for(wire, WIRE_READ);            /* not earlier: most are used again before */
    else if (status == 0 && wire->chatty && !socket_has_hung_up(wire->fd))
        poll_for(wire, WIRE_HANGUP); /* what was said is for libcurl, which reads it before it uses the connection again */
    else
        wire_spoil(wire); /* a server has nothing to say then but that it goes */
}

/* Byte by byte, which with a hundred who do so would take a core: unless it may be that they take ours. */
static bool is_told_too_much(struct wire *wire, bool to_write)
{
    unsigned told = ++wire->told[to_write];
    if (told <= TOLD_MAX)
        return false;
    uint64_t taken = socket_bytes_taken(wire->fd);
    if (told == TOLD_MAX + 1)
        wire->taken[to_write] = taken;
    return told - TOLD_MAX > 1 + (taken - wire->taken[to_write]) / TAKEN_BYTES;
}

static void on_wake(uv_timer_t *wake)
{
    struct wires *wires = wake->data;
    struct link *link;
    while ((link = list_take(&wires->resting)) != NULL) {
        struct wire *wire = container_of(link, struct wire, rest);
        poll_for(wire, wire->watched);
    }
}

static void wire_rest(struct wire *wire, unsigned but_for)
{
    struct wires *wires = wire->wires;
    if ((wire->watched & but_for) != 0)
        poll_for(wire, but_for);
    else
        poll_nothing(wire);
    list_keep(&wires->resting, &wire->rest, true);
    if (!uv_is_active((uv_handle_t *)&wires->wake))
        uv_timer_start(&wires->wake, on_wake, REST_MS, 0);
}

/* The owner was told; it has written, or wanted to know for nothing: to an HTTP/2 receiver that lets nothing be sent libcurl 7.88 goes on asking whether
 * it can write, and the socket goes on saying yes, as fast as the processor can. (PINGs make it write, but nothing of the request.) */
static void wire_judge(struct wire *wire, int events)
{
    if (events == UV_WRITABLE) {
        bool fruitless = is_told_too_much(wire, true) || socket_is_quiet(wire->fd, QUIET_MS);
        wire->fruitless = fruitless ? wire->fruitless + 1 : 0;
        if (wire->fruitless >= FRUITLESS_MAX && (wire->watched & WIRE_WRITE) != 0)
            wire_rest(wire, WIRE_READ);
    } else if (is_told_too_much(wire, false)) {
        wire_rest(wire, 0);
    } else { /* the peer said something: perhaps that it takes more */
        wire->fruitless = wire->fruitless < FRUITLESS_MAX - FRUITLESS_AGAIN ? 0 : FRUITLESS_MAX - FRUITLESS_AGAIN;
        list_keep(&wire->wires->resting, &wire->rest, false);
        if (wire->polled != wire->watched)
            poll_for(wire, wire->watched);
    }
}

/* libuv would tell of it again and again within the turn. */
static void wire_put_off(struct wire *wire)
{
    poll_nothing(wire);
    if (link_is_free(&wire->put_off)) /* the owner may have begun to watch for something else meanwhile */
        list_append(&wire->wires->put_off, &wire->put_off);
}

static void on_turn(uv_prepare_t *turn)
{
    struct wires *wires = turn->data;
    struct link *link;
    while ((link = list_take(&wires->put_off)) != NULL) {
        struct wire *wire = container_of(link, struct wire, put_off);
        unsigned events = wire->watched != 0 ? wire->watched : WIRE_READ; /* it may be idle by now */
        if (wire->polled == 0)
            poll_for(wire, link_is_free(&wire->rest) ? events : events & WIRE_READ);
    }
    turns_begin(&wires->turns);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct wire *wire = container_of(poll, struct wire, poll);
    struct wires *wires = wire->wires;
    enum turn_kind kind = wire->place.kind;
    int fd = wire->fd;
    if (wire->watched == 0) {
        on_ready_idle(wire, status, events);
        return;
    }
    if (status == 0 && !turns_has(&wires->turns, &wire->place)) {
        wire_put_off(wire);
        return;
    }
    unsigned ready = ((events & UV_READABLE) != 0 ? WIRE_READ : 0U) | ((events & UV_WRITABLE) != 0 ? WIRE_WRITE : 0U);
    if (status < 0) { /* libuv has stopped polling by itself */
        wire->polled = 0;
        ready = WIRE_READ | WIRE_WRITE | WIRE_ERROR;
    }
    wires->ready(wire->owner, fd, ready);
    turns_spend(&wires->turns, kind);
    wire = wire_find(wires, fd);
    if (wire != NULL && wire->watched != 0)
        wire_judge(wire, status < 0 ? 0 : events);
}

/* Nobody watches it, and it stays as it is with the kernel until something happens. One that was not connected is forgotten: libcurl 7.88 closes it behind
 * our back, and the descriptor may be somebody else's at once. */
static void wire_let_go(struct wire *wire)
{
    if (!wire->ours || !wire->proven) {
        wire_forget(wire);
        return;
    }
    if (wire->polled == 0 && link_is_free(&wire->put_off)) /* it rested: that it closes is to be heard */
        poll_for(wire, WIRE_READ);
    wire_idle(wire);
}

void wires_watch(struct wires *wires, void *owner, int fd, unsigned events)
{
    struct wire *wire = wire_find(wires, fd);
    if (wire == NULL && (events == 0 || (wire = wire_create(wires, fd, false)) == NULL))
        return;
    wire->owner = owner;
    wire->watched = events;
    wires->open += wire->ours && !wire->seen;
    wire->seen = true;
    list_keep(&wires->resting, &wire->rest, false);
    if (events != WIRE_WRITE) /* before the answer is there: a connection that was reset right behind it is not connected any more */
        wire->proven = wire->proven || socket_is_connected(fd);
    if (events == 0) {
        wire_let_go(wire);
    } else {
        if (!link_is_free(&wire->idle))
            wire->told[false] = wire->told[true] = 0;
        list_keep(&wires->idle, &wire->idle, false);
        list_keep(&wires->fresh, &wire->fresh, false);
        if (wire->polled != events)
            poll_for(wire, events);
    }
}

void wires_suspect(struct wires *wires, int fd, bool chatty)
{
    struct wire *wire = wire_find(wires, fd);
    if (wire != NULL)
        wire->chatty = chatty;
    if (wire != NULL && !link_is_free(&wire->idle) && link_is_free(&wire->fresh))
        list_append(&wires->fresh, &wire->fresh);
}

void wires_check_fresh(struct wires *wires)
{
    struct link *link;
    while ((link = list_take(&wires->fresh)) != NULL) {
        struct wire *wire = container_of(link, struct wire, fresh);
        bool ended = wire->chatty ? socket_has_hung_up(wire->fd) : socket_has_stirred(wire->fd);
        if (ended || socket_unsent(wire->fd) > 0)
            wire_spoil(wire);
    }
}

size_t wires_open_count(const struct wires *wires)
{
    return wires->open;
}

size_t wires_idle_count(const struct wires *wires)
{
    return wires->idle.length;
}

void *wires_hang_up_oldest(struct wires *wires)
{
    struct link *link = list_first(&wires->idle);
    if (link == NULL)
        return NULL;
    struct wire *wire = container_of(link, struct wire, idle);
    wire_spoil(wire);
    return wire->owner;
}

/* What nobody reads lies in the kernel's memory, 128 KiB of it and more for each connection. */
static bool has_said_much(const struct wire *wire)
{
    return wire->polled == WIRE_HANGUP && socket_unread_memory(wire->fd) > TALK_BYTES_MAX;
}

void wires_hang_up_idle(struct wires *wires, uint64_t since_ms)
{
    LIST_EACH (&wires->idle, link) {
        struct wire *wire = container_of(link, struct wire, idle);
        if (wire->idle_since_ms <= since_ms || has_said_much(wire))
            wire_spoil(wire);
    }
}
