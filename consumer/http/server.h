/* The HTTP server for probes and scrapes: /healthz, /readyz, /metrics. libmicrohttpd stays inside.
 *
 * One thread of its own, which never waits for a worker and which no worker waits for. Everything is bounded: the number of connections, the size
 * of a request, and the whole life of a connection (one request each, then it is closed), so that slow or silent clients cannot shut others out.
 * GET and HEAD only; no request body is read. */
#ifndef JOBHOOK_CONSUMER_HTTP_SERVER_H
#define JOBHOOK_CONSUMER_HTTP_SERVER_H

#include "consumer/http/status.h"
#include "consumer/settings.h"

struct server;

enum {
    SERVER_CONNECTIONS_MAX = 64,
    SERVER_CONNECTION_MS = 10000, /* the whole life of a connection */
    SERVER_CROWDED_MS = 1000,     /* the same while three quarters of the places are taken */
    SERVER_REQUEST_BYTES_MAX = 16384,
};

struct server_options {
    const struct listen_address *listen;
    const struct service_status *status; /* outlives the server */
    uint32_t connections_max;            /* 0: SERVER_CONNECTIONS_MAX */
    uint64_t connection_ms;              /* 0: SERVER_CONNECTION_MS */
};

/* NULL when the address cannot be listened on: `problem` says why. */
struct server *server_create(const struct server_options *options, char *problem, size_t size);
/* Connections are cut off. Takes NULL. */
void server_destroy(struct server *server);
uint16_t server_port(const struct server *server); /* the one listened on, also when 0 was asked for */

#endif
