#include "consumer/http/server.h"

#include "consumer/base/clock.h"
#include "consumer/base/list.h"
#include "consumer/base/log.h"
#include "consumer/base/memory.h"
#include "consumer/http/health.h"
#include "consumer/http/metrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ANSWER_BYTES_MAX = 32 * 1024 * 1024, /* a scrape of 20,000 partitions is about 3 MB */
    LISTEN_BACKLOG = 128,
    TURN_MS = 100,         /* how often the ages of connections are looked at */
    ACCEPT_PAUSE_MS = 500, /* after accept failed, e.g. for want of descriptors */
    COMPLAIN_EVERY_MS = 60000,
};

struct server {
    struct server_options options;
    struct MHD_Daemon *daemon;
    struct list connections; /* oldest first */
    int listener, wake_up;
    uint16_t port;
    uint64_t accept_after_ms;
    struct log_gate gate;
    pthread_t thread;
    bool running;
};

struct connection {
    struct link link;
    int socket;
    uint64_t since_ms;
    bool cut_off;
};

/* ---- what is answered ---- */

static unsigned answer_healthz(const struct server *server, struct text *body)
{
    return health_is_alive(server->options.status, clock_monotonic_ms(), body) ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
}

static unsigned answer_readyz(const struct server *server, struct text *body)
{
    return health_is_ready(server->options.status, body) ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
}

static unsigned answer_metrics(const struct server *server, struct text *body)
{
    metrics_write(server->options.status, clock_wall_ms(), body);
    return body->overflowed ? MHD_HTTP_INTERNAL_SERVER_ERROR : MHD_HTTP_OK;
}

#define PLAIN_TEXT "text/plain; charset=utf-8"

static const struct route {
    const char *path, *content_type;
    unsigned (*answer)(const struct server *server, struct text *body);
} routes[] = {
    { "/healthz", PLAIN_TEXT, answer_healthz },
    { "/readyz", PLAIN_TEXT, answer_readyz },
    { "/metrics", "text/plain; version=0.0.4; charset=utf-8", answer_metrics },
};

static const struct route *find_route(const char *path)
{
    for (size_t i = 0; i < COUNT_OF(routes); i++)
        if (strcmp(routes[i].path, path) == 0)
            return &routes[i];
    return NULL;
}

/* The body's memory goes over to libmicrohttpd. */
static enum MHD_Result send_answer(struct MHD_Connection *connection, unsigned status, const char *content_type, struct text *body)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(body->length, body->start, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        text_finish(body);
        return MHD_NO;
    }
    MHD_add_response_header(response, "Content-Type", content_type);
    MHD_add_response_header(response, "Cache-Control", "no-store");
    /* One request each: a connection has one deadline then, whatever it does. */
    MHD_add_response_header(response, "Connection", "close");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, "Allow", "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

/* Answers before any body is uploaded, so that none is read. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *path, const char *method, const char *version,
                                  const char *upload, size_t *upload_bytes, void **request)
{
    const struct server *server = context;
    const struct route *route = find_route(path);
    const char *content_type = route == NULL ? PLAIN_TEXT : route->content_type;
    struct text body;
    unsigned status;
    (void)version, (void)upload, (void)upload_bytes, (void)request;
    text_init(&body, ANSWER_BYTES_MAX);
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        status = MHD_HTTP_METHOD_NOT_ALLOWED;
        content_type = PLAIN_TEXT;
        text_append_string(&body, "only GET and HEAD\n");
    } else if (route == NULL) {
        status = MHD_HTTP_NOT_FOUND;
        text_append_string(&body, "there is /healthz, /readyz and /metrics\n");
    } else {
        status_lock(server->options.status);
        status = route->answer(server, &body);
        status_unlock(server->options.status);
    }
    return send_answer(connection, status, content_type, &body);
}

/* ---- connections ---- */

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

/* Cuts off what is too old; libmicrohttpd sees the end of the stream at its next turn and closes. Its own timeout only looks at silence. */
static void cut_off_old(struct server *server, uint64_t now_ms)
{
    const struct server_options *options = &server->options;
    bool crowded = server->connections.length * 4 >= (size_t)options->connections_max * 3;
    uint64_t patience_ms = crowded && options->connection_ms > SERVER_CROWDED_MS ? SERVER_CROWDED_MS : options->connection_ms;
    LIST_EACH (&server->connections, link) {
        struct connection *connection = container_of(link, struct connection, link);
        if (now_ms < connection->since_ms + patience_ms)
            break;
        if (!connection->cut_off)
            shutdown(connection->socket, SHUT_RDWR);
        connection->cut_off = true;
    }
}

static bool may_accept(const struct server *server, uint64_t now_ms)
{
    return server->connections.length < server->options.connections_max && now_ms >= server->accept_after_ms;
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
            log_warn("a connection to the health and metrics port cannot be taken", LOG_STRING("why", strerror(errno)),
                     LOG_I("suppressed", suppressed));
    }
}

/* ---- the thread ---- */

static int turn_timeout_ms(const struct server *server, uint64_t now_ms)
{
    MHD_UNSIGNED_LONG_LONG wanted_ms;
    bool has_to_look = !list_is_empty(&server->connections) || now_ms < server->accept_after_ms;
    int timeout_ms = has_to_look ? TURN_MS : -1;
    if (MHD_get_timeout(server->daemon, &wanted_ms) == MHD_YES && (timeout_ms < 0 || wanted_ms < (unsigned)timeout_ms))
        timeout_ms = wanted_ms < TURN_MS ? (int)wanted_ms : TURN_MS;
    return timeout_ms;
}

static void *serve(void *context)
{
    struct server *server = context;
    struct pollfd files[] = {
        { .fd = server->wake_up, .events = POLLIN },
        { .fd = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, .events = POLLIN },
        { .events = POLLIN },
    };
    while (files[0].revents == 0) {
        uint64_t now_ms = clock_monotonic_ms();
        files[2].fd = may_accept(server, now_ms) ? server->listener : -1; /* poll skips negative ones */
        poll(files, COUNT_OF(files), turn_timeout_ms(server, now_ms));
        now_ms = clock_monotonic_ms();
        accept_new(server, now_ms);
        MHD_run(server->daemon);
        cut_off_old(server, now_ms);
    }
    return NULL;
}

/* Signals belong to the main loop. */
static bool start_thread(struct server *server)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    server->running = pthread_create(&server->thread, NULL, serve, server) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (server->running)
        pthread_setname_np(server->thread, "jobhook-http");
    return server->running;
}

/* ---- start and end ---- */

static socklen_t socket_address(const struct listen_address *listen, struct sockaddr_storage *address)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, listen->host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(listen->port);
        return sizeof *v4;
    }
    if (inet_pton(AF_INET6, listen->host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(listen->port);
        return sizeof *v6;
    }
    return 0;
}

static bool listen_on(struct server *server)
{
    struct sockaddr_storage address;
    socklen_t length = socket_address(server->options.listen, &address);
    int yes = 1;
    errno = EINVAL;
    if (length == 0)
        return false;
    server->listener = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server->listener < 0 || setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(server->listener, (struct sockaddr *)&address, length) != 0 || listen(server->listener, LISTEN_BACKLOG) != 0 ||
        getsockname(server->listener, (struct sockaddr *)&address, &length) != 0)
        return false;
    /* The port lies at the same place in both families. */
    server->port = ntohs(((struct sockaddr_in *)&address)->sin_port);
    return true;
}

static void on_mhd_message(void *context, const char *format, va_list arguments)
{
    (void)context, (void)format, (void)arguments; /* clients that go away: nothing to tell anybody */
}

static struct MHD_Daemon *start_daemon(struct server *server)
{
    /* No listening socket: accepting ourselves is how the oldest connection can give way to a new one. */
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, server,
                            MHD_OPTION_EXTERNAL_LOGGER, on_mhd_message, NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
                            MHD_OPTION_CONNECTION_LIMIT, server->options.connections_max, MHD_OPTION_CONNECTION_TIMEOUT,
                            (unsigned)(server->options.connection_ms / 1000 + 1), MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                            (size_t)SERVER_REQUEST_BYTES_MAX, MHD_OPTION_END);
}

struct server *server_create(const struct server_options *options, char *problem, size_t size)
{
    struct server *server = memory_create(sizeof *server);
    const struct listen_address *listen = options->listen;
    server->options = *options;
    server->listener = server->wake_up = -1;
    list_init(&server->connections);
    if (server->options.connections_max == 0)
        server->options.connections_max = SERVER_CONNECTIONS_MAX;
    if (server->options.connection_ms == 0)
        server->options.connection_ms = SERVER_CONNECTION_MS;
    if (!listen_on(server)) {
        snprintf(problem, size, "cannot listen on %s port %u: %s", listen->host, (unsigned)listen->port, strerror(errno));
    } else if ((server->wake_up = eventfd(0, EFD_CLOEXEC)) < 0 || (server->daemon = start_daemon(server)) == NULL || !start_thread(server)) {
        snprintf(problem, size, "cannot start the HTTP server: out of descriptors, threads or memory");
    } else {
        return server;
    }
    server_destroy(server);
    return NULL;
}

void server_destroy(struct server *server)
{
    if (server == NULL)
        return;
    if (server->running) {
        uint64_t one = 1;
        if (write(server->wake_up, &one, sizeof one) == sizeof one)
            pthread_join(server->thread, NULL);
    }
    if (server->daemon != NULL)
        MHD_stop_daemon(server->daemon); /* closes the connections, on_connection included */
    if (server->listener >= 0)
        close(server->listener);
    if (server->wake_up >= 0)
        close(server->wake_up);
    free(server);
}

uint16_t server_port(const struct server *server)
{
    return server->port;
}
