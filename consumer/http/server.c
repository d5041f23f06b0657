#include "consumer/http/server.h"

#include "consumer/base/clock.h"
#include "consumer/base/list.h"
#include "consumer/base/log.h"
#include "consumer/base/memory.h"
#include "consumer/base/thread.h"
#include "consumer/http/listener.h"
#include "delivery/socket_state.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum {
    TURN_MS = 100,         /* how often the ages of connections are looked at */
    ACCEPT_PAUSE_MS = 500, /* after accept failed, e.g. for want of descriptors */
    COMPLAIN_EVERY_MS = 60000,
};

struct server {
    struct server_options options;
    struct MHD_Daemon *daemon;
    struct list connections; /* the one whose time began first comes first */
    struct list open;        /* requests that libmicrohttpd was told to wait for */
    size_t unsent_bytes;
    int listener;
    uint16_t port;
    uint64_t accept_after_ms;
    struct log_gate gate;
    uv_loop_t loop;
    uv_poll_t new_connections, requests;
    uv_prepare_t before_sleep;
    uv_timer_t alarm;
    uv_async_t stop;
    pthread_t thread;
    bool running;
    bool ended; /* the owner is asked nothing more */
};

struct connection {
    struct link link;
    int socket;
    uint64_t since_ms;
    bool has_asked; /* its request is there, all of it */
    bool cut_off;
};

struct request {
    struct link link; /* on the list of open ones while libmicrohttpd waits */
    struct server *server;
    struct MHD_Connection *connection;
    struct server_request asked;
    struct server_answer answer;
    enum { REQUEST_NEW, REQUEST_ASKED, REQUEST_ANSWERED } state;
    bool called, waited_for;
    size_t unsent_bytes; /* remembered here: the answer's body goes over to libmicrohttpd before it is sent */
    char target[];
};

/* ---- requests ---- */

static struct connection *connection_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info == NULL ? NULL : info->socket_context;
}

/* libmicrohttpd would decode the path, and cut it where that gives a NUL: what it means is the owner's to say. */
static size_t leave_escapes(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context, (void)connection;
    return strlen(text);
}

static void *on_target(void *context, const char *target, struct MHD_Connection *connection)
{
    size_t length = strlen(target);
    struct request *request = memory_create(sizeof *request + length + 1);
    request->server = context;
    request->connection = connection;
    memcpy(request->target, target, length);
    return request;
}

/* Each further request would renew the connection's time: not for those who may not ask at all. */
static bool is_last(const struct server *server, const struct server_answer *answer)
{
    return !server->options.many_requests || answer->status == MHD_HTTP_UNAUTHORIZED;
}

/* The body's memory goes over to libmicrohttpd. */
static enum MHD_Result send_answer(struct MHD_Connection *connection, const struct server *server, struct server_answer *answer)
{
    struct text *body = &answer->body;
    struct MHD_Response *response = MHD_create_response_from_buffer(body->length, body->start, MHD_RESPMEM_MUST_FREE);
    if (response == NULL)
        return MHD_NO;
    *body = (struct text){ 0 };
    MHD_add_response_header(response, "Content-Type", answer->content_type);
    MHD_add_response_header(response, "Cache-Control", "no-store");
    if (is_last(server, answer))
        MHD_add_response_header(response, "Connection", "close");
    for (size_t i = 0; i < SERVER_HEADERS_MAX && answer->headers[i].name != NULL; i++)
        MHD_add_response_header(response, answer->headers[i].name, answer->headers[i].value);
    enum MHD_Result result = MHD_queue_response(connection, answer->status, response);
    MHD_destroy_response(response);
    return result;
}

static void ask_owner(struct request *request, const char *method)
{
    const struct server_options *options = &request->server->options;
    struct connection *connection = connection_of(request->connection);
    if (connection != NULL)
        connection->has_asked = true;
    request->state = REQUEST_ASKED;
    request->asked.method = method;
    request->asked.target = request->target;
    request->asked.authorization = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, "Authorization");
    options->asked(options->context, &request->asked);
}

static bool announces_body(struct MHD_Connection *connection)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length") != NULL ||
           MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Transfer-Encoding") != NULL;
}

/* Called when the headers are there, for each piece of a body, which is thrown away, and at the end. libmicrohttpd closes a connection that was answered
 * at the first call: then no body is read. Where more requests are to follow, the answer waits for the second one, but not for the end of a body: that is
 * read only while the owner takes his time. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *path, const char *method, const char *version,
                                  const char *upload, size_t *upload_bytes, void **mine)
{
    struct request *request = *mine;
    (void)context, (void)path, (void)version, (void)upload;
    bool first_call = !request->called;
    if (request->server->ended && request->state == REQUEST_NEW)
        return MHD_NO; /* closes: it came while the owner took its things down */
    request->called = true;
    bool may_stay = request->server->options.many_requests && !announces_body(connection);
    if (*upload_bytes > 0 || (first_call && may_stay)) {
        *upload_bytes = 0;
        return MHD_YES;
    }
    if (request->state == REQUEST_NEW)
        ask_owner(request, method);
    if (request->state == REQUEST_ANSWERED)
        return send_answer(connection, request->server, &request->answer);
    if (!request->waited_for) {
        request->waited_for = true;
        list_append(&request->server->open, &request->link);
        MHD_suspend_connection(connection);
    }
    return MHD_YES;
}

void server_answer(struct server_request *asked, struct server_answer *answer)
{
    struct request *request = container_of(asked, struct request, asked);
    assert(request->state == REQUEST_ASKED);
    request->state = REQUEST_ANSWERED;
    request->answer = *answer;
    request->unsent_bytes = answer->body.length;
    request->server->unsent_bytes += request->unsent_bytes;
    *answer = (struct server_answer){ 0 };
    if (!request->waited_for)
        return;
    list_remove(&request->server->open, &request->link);
    MHD_resume_connection(request->connection);
}

/* ---- connections ---- */

/* The time of the next request on the connection begins. */
static void begin_anew(struct server *server, struct connection *connection)
{
    list_remove(&server->connections, &connection->link);
    list_append(&server->connections, &connection->link);
    connection->since_ms = clock_monotonic_ms();
    connection->has_asked = false;
}

static void on_completed(void *context, struct MHD_Connection *mhd, void **mine, enum MHD_RequestTerminationCode how)
{
    struct request *request = *mine;
    struct connection *connection = connection_of(mhd);
    struct server *server = context;
    (void)how;
    if (connection != NULL)
        begin_anew(server, connection);
    if (request != NULL) {
        server->unsent_bytes -= request->unsent_bytes;
        text_finish(&request->answer.body);
        free(request);
    }
    *mine = NULL;
}

static void on_connection(void *context, struct MHD_Connection *mhd, void **mine, enum MHD_ConnectionNotificationCode what)
{
    struct server *server = context;
    struct connection *connection = *mine;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        *mine = connection = memory_create(sizeof *connection);
        connection->socket = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        connection->since_ms = clock_monotonic_ms();
        list_append(&server->connections, &connection->link);
    } else if (connection != NULL) {
        list_remove(&server->connections, &connection->link);
        free(connection);
        *mine = NULL;
    }
}

/* libmicrohttpd sees the end of the stream at its next turn and closes. */
static void cut_off(struct connection *connection)
{
    if (!connection->cut_off)
        shutdown(connection->socket, SHUT_RDWR);
    connection->cut_off = true;
}

/* What is too old; libmicrohttpd's own timeout only looks at silence. */
static void cut_off_old(struct server *server, uint64_t now_ms)
{
    const struct server_options *options = &server->options;
    bool crowded = server->connections.length * 4 >= (size_t)options->connections_max * 3;
    uint64_t patience_ms = crowded && options->connection_ms > SERVER_CROWDED_MS ? SERVER_CROWDED_MS : options->connection_ms;
    LIST_EACH (&server->connections, link) {
        struct connection *connection = container_of(link, struct connection, link);
        if (now_ms < connection->since_ms + patience_ms)
            break;
        bool spared = options->many_requests && connection->has_asked && now_ms < connection->since_ms + options->connection_ms;
        if (!spared) /* strangers do not come to be answered there: a 401 is their last */
            cut_off(connection);
    }
}

static bool is_full(const struct server *server)
{
    return server->connections.length >= server->options.connections_max;
}

/* To the kernel that is news like any other, and libmicrohttpd, told of a byte and of the end at once, does not come back to the end. */
static bool is_at_end(int socket)
{
    char byte;
    return recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* The oldest that has not asked yet makes place for somebody who waits. Honest clients ask as soon as they are connected: theirs is there before they
 * are accepted, or soon after. A crowd of slow ones is let in and out so fast that nobody waits long behind it. Where something is left to read it is
 * us who are slow. Those found on the way to it whose stream has ended, and who never will ask, go as well. */
static void give_way(struct server *server, uint64_t now_ms)
{
    if (!is_full(server) || !socket_has_news(server->listener))
        return;
    LIST_EACH (&server->connections, link) {
        struct connection *connection = container_of(link, struct connection, link);
        if (now_ms < connection->since_ms + SERVER_GIVE_WAY_MS)
            return;
        if (connection->has_asked || connection->cut_off)
            continue;
        bool at_end = is_at_end(connection->socket);
        if (!at_end && socket_has_news(connection->socket))
            continue;
        cut_off(connection);
        if (!at_end)
            return;
    }
}

static bool may_accept(const struct server *server, uint64_t now_ms)
{
    return !is_full(server) && now_ms >= server->accept_after_ms;
}

static void accept_new(struct server *server, uint64_t now_ms)
{
    uint64_t suppressed;
    struct sockaddr_storage address;
    /* libmicrohttpd 1.0 counts a connection only at its next turn, and would turn away what is too many by then. */
    size_t places = server->options.connections_max - server->connections.length;
    while (places > 0 && may_accept(server, now_ms)) {
        socklen_t length = sizeof address;
        int client = accept4(server->listener, (struct sockaddr *)&address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client >= 0) {
            places--;
            if (MHD_add_connection(server->daemon, client, (struct sockaddr *)&address, length) != MHD_YES)
                server->accept_after_ms = now_ms + ACCEPT_PAUSE_MS;
            continue;
        }
        if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
            return;
        server->accept_after_ms = now_ms + ACCEPT_PAUSE_MS;
        if (log_gate_opens(&server->gate, COMPLAIN_EVERY_MS, &suppressed))
            log_warn("a connection cannot be taken", LOG_STRING("server", server->options.name), LOG_STRING("why", strerror(errno)),
                     LOG_I("suppressed", suppressed));
    }
}

/* ---- the thread ---- */

static uint64_t sleep_ms(const struct server *server, uint64_t now_ms)
{
    MHD_UNSIGNED_LONG_LONG wanted_ms;
    bool has_to_look = !list_is_empty(&server->connections) || now_ms < server->accept_after_ms;
    uint64_t turn_ms = is_full(server) ? SERVER_GIVE_WAY_MS : TURN_MS;
    uint64_t sleep = has_to_look ? turn_ms : UINT64_MAX;
    if (MHD_get_timeout(server->daemon, &wanted_ms) == MHD_YES && wanted_ms < sleep)
        sleep = wanted_ms < turn_ms ? wanted_ms : turn_ms;
    return sleep;
}

static void woken(uv_poll_t *poll, int status, int events)
{
    (void)poll, (void)status, (void)events; /* the turn before the next sleep looks at everything */
}

static void alarm_rang(uv_timer_t *timer)
{
    (void)timer;
}

static void take_turn(uv_prepare_t *prepare)
{
    struct server *server = prepare->data;
    uint64_t now_ms = clock_monotonic_ms();
    accept_new(server, now_ms);
    MHD_run(server->daemon);
    cut_off_old(server, now_ms);
    give_way(server, now_ms);
    uint64_t sleep = sleep_ms(server, now_ms);
    if (sleep == UINT64_MAX)
        uv_timer_stop(&server->alarm);
    else
        uv_timer_start(&server->alarm, alarm_rang, sleep, 0);
    if (may_accept(server, now_ms))
        uv_poll_start(&server->new_connections, UV_READABLE, woken);
    else
        uv_poll_stop(&server->new_connections);
}

static void asked_to_stop(uv_async_t *async)
{
    uv_stop(async->loop);
}

static void close_handle(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

/* libmicrohttpd wants nothing to be waited for at its end. */
static void cut_off_open(struct server *server)
{
    struct link *link;
    while ((link = list_take(&server->open)) != NULL) {
        struct request *request = container_of(link, struct request, link);
        request->state = REQUEST_ANSWERED;
        request->answer = (struct server_answer){ .status = MHD_HTTP_SERVICE_UNAVAILABLE, .content_type = "text/plain" };
        MHD_resume_connection(request->connection);
    }
    MHD_run(server->daemon);
}

static void *serve(void *context)
{
    struct server *server = context;
    const struct server_options *options = &server->options;
    if (options->began != NULL)
        options->began(options->context, &server->loop);
    uv_run(&server->loop, UV_RUN_DEFAULT);
    server->ended = true;
    if (options->ended != NULL)
        options->ended(options->context);
    cut_off_open(server);
    uv_walk(&server->loop, close_handle, NULL);
    uv_run(&server->loop, UV_RUN_DEFAULT);
    return NULL;
}

/* ---- start and end ---- */

static void on_mhd_message(void *context, const char *format, va_list arguments)
{
    (void)context, (void)format, (void)arguments; /* clients that go away: nothing to tell anybody */
}

static struct MHD_Daemon *start_daemon(struct server *server)
{
    /* No listening socket: accepting ourselves is how the oldest connection can give way to a new one. */
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request,
                            server, MHD_OPTION_EXTERNAL_LOGGER, on_mhd_message, NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
                            MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_URI_LOG_CALLBACK, on_target, server,
                            MHD_OPTION_UNESCAPE_CALLBACK, leave_escapes, NULL, MHD_OPTION_CONNECTION_LIMIT, server->options.connections_max,
                            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(server->options.connection_ms / 1000 + 1), MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                            (size_t)SERVER_REQUEST_BYTES_MAX, MHD_OPTION_END);
}

static void watch(struct server *server)
{
    int requests = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    uv_async_init(&server->loop, &server->stop, asked_to_stop);
    uv_timer_init(&server->loop, &server->alarm);
    uv_prepare_init(&server->loop, &server->before_sleep);
    server->before_sleep.data = server;
    uv_prepare_start(&server->before_sleep, take_turn);
    uv_poll_init(&server->loop, &server->new_connections, server->listener);
    uv_poll_init(&server->loop, &server->requests, requests);
    uv_poll_start(&server->requests, UV_READABLE, woken);
}

struct server *server_create(const struct server_options *options, char *problem, size_t size)
{
    struct server *server = memory_create(sizeof *server);
    const struct listen_address *listen = options->listen;
    server->options = *options;
    list_init(&server->connections);
    list_init(&server->open);
    uv_loop_init(&server->loop);
    if (server->options.connections_max == 0)
        server->options.connections_max = SERVER_CONNECTIONS_MAX;
    if (server->options.connection_ms == 0)
        server->options.connection_ms = SERVER_CONNECTION_MS;
    if ((server->listener = listener_open(listen, &server->port)) < 0) {
        snprintf(problem, size, "cannot listen on %s port %u: %s", listen->host, (unsigned)listen->port, strerror(errno));
    } else if ((server->daemon = start_daemon(server)) == NULL) {
        snprintf(problem, size, "cannot start the HTTP server: out of descriptors or memory");
    } else {
        watch(server);
        server->running = thread_start(&server->thread, server->options.name, serve, server);
        if (server->running)
            return server;
        snprintf(problem, size, "cannot start the HTTP server: out of threads");
    }
    server_destroy(server);
    return NULL;
}

void server_destroy(struct server *server)
{
    if (server == NULL)
        return;
    if (server->running) {
        uv_async_send(&server->stop);
        pthread_join(server->thread, NULL);
    } else {
        uv_walk(&server->loop, close_handle, NULL);
        uv_run(&server->loop, UV_RUN_DEFAULT);
    }
    if (server->daemon != NULL)
        MHD_stop_daemon(server->daemon); /* closes the connections, on_connection included */
    if (server->listener >= 0)
        close(server->listener);
    uv_loop_close(&server->loop);
    free(server);
}

size_t server_unsent_bytes(const struct server *server)
{
    return server->unsent_bytes;
}

uint16_t server_port(const struct server *server)
{
    return server->port;
}
