/* An HTTP server with a thread and an event loop of its own, for answers that come at once or later. libmicrohttpd stays inside.
 *
 * The thread never waits for a worker and no worker waits for it. Everything is bounded: the number of connections, the size of a request, and how long
 * a connection may take, so that slow or silent clients cannot shut others out. No request body is waited for. */
#ifndef JOBHOOK_CONSUMER_HTTP_SERVER_H
#define JOBHOOK_CONSUMER_HTTP_SERVER_H

#include "consumer/base/text.h"
#include "consumer/settings.h"

#include <stdbool.h>
#include <stdint.h>

struct uv_loop_s;
struct server;

enum {
    SERVER_CONNECTIONS_MAX = 64,
    SERVER_CONNECTION_MS = 10000, /* the whole life of a connection */
    SERVER_CROWDED_MS = 1000,     /* the same while three quarters of the places are taken */
    SERVER_GIVE_WAY_MS = 50,      /* the same without a whole request, while all are taken and somebody waits */
    SERVER_REQUEST_BYTES_MAX = 16384,
    SERVER_HEADERS_MAX = 3,
};

struct server_request { /* valid until it is answered */
    const char *method;
    const char *target;        /* as it stands in the request line: path and query, nothing decoded */
    const char *authorization; /* that header; NULL: there is none */
};

struct server_header {
    const char *name, *value; /* copied */
};

struct server_answer {
    unsigned status;
    const char *content_type;
    struct server_header headers[SERVER_HEADERS_MAX]; /* further ones; an empty name ends them */
    struct text body;                                 /* taken over */
};

/* Exactly once for each request, on the server's thread, also before `asked` has returned. */
void server_answer(struct server_request *request, struct server_answer *answer);

/* How much memory those bodies take of which some is not sent yet. On the server's thread. */
size_t server_unsent_bytes(const struct server *server);

struct server_options {
    const struct listen_address *listen;
    const char *name; /* of the thread, at most 15 bytes, and for the log */
    void (*asked)(void *context, struct server_request *request);
    void *context;
    /* Both may be NULL. On the server's thread: before the first request, and after the last. What is not answered by the end of `ended` is cut off: then
     * server_answer must not be called any more. */
    void (*began)(void *context, struct uv_loop_s *loop);
    void (*ended)(void *context);
    uint32_t connections_max; /* 0: SERVER_CONNECTIONS_MAX */
    uint64_t connection_ms;   /* 0: SERVER_CONNECTION_MS */
    /* On a connection, one after the other, until one is answered 401: the time counts for each, idling included. Else it is closed after the first. */
    bool many_requests;
};

/* NULL when the address cannot be listened on: `problem` says why. */
struct server *server_create(const struct server_options *options, char *problem, size_t size);
/* Connections are cut off. Takes NULL. */
void server_destroy(struct server *server);
uint16_t server_port(const struct server *server); /* the one listened on, also when 0 was asked for */

#endif
