/* Lanes: many small libcurl multis on one event loop, chosen by a hash of the origin, so that no connection cache grows long (its cost is linear
 * in the open connections: 19× at 10,000 hosts). A lane carries posts (delivery/post.h). libcurl stays inside lane.c and the post*.c files. */
#ifndef JOBHOOK_DELIVERY_LANES_H
#define JOBHOOK_DELIVERY_LANES_H

#include "consumer/base/measure.h"
#include "delivery/guard.h"
#include "delivery/names.h"
#include "delivery/outcome.h"
#include "delivery/request.h"
#include "delivery/tls_sight.h"

struct uv_loop_s;
struct lanes;
struct post; /* one POST under way */

/* A new connection costs several times a POST: ten thousand receivers in turn should not push out each other's. */
enum {
    LANES_IDLE_CONNECTIONS = 12288,
    LANES_ASK_MS = 2000,            /* for connecting without a request */
    LANES_LIFETIME_S = 600,         /* a name that points elsewhere now, and a certificate that ended, are noticed by new connections only */
    LANES_CONNECTION_BYTES = 98304, /* added by TLS and HTTP/2, kept or in use: tests/bench/https.sh, on Debian 13, which takes more */
};

struct lanes_options {
    const struct guard *guard; /* outlives the lanes */
    struct names *names;       /* likewise */
    uint64_t attempt_timeout_ms;
    uint32_t lane_count;                  /* 0: 128 */
    uint32_t origin_max_connections;      /* cap for one host in a lane */
    uint32_t idle_connections;            /* kept open in all lanes together, a quarter more at worst. 0: LANES_IDLE_CONNECTIONS */
    uint64_t idle_ms;                     /* an idle connection is closed after that. 0: 60 s */
    uint32_t lifetime_s;                  /* a connection takes no more requests after that, however busy. 0: LANES_LIFETIME_S */
    uint32_t snippet_bytes;               /* ≤ OUTCOME_SNIPPET_MAX */
    const char *ca_file;                  /* NULL: the system's one file */
    const char *proxy;                    /* NULL: none, whatever the environment says */
    const char *client_cert, *client_key; /* files; NULL: none */
    bool http2;                           /* offered to https receivers */
    struct tls_sight *tls_sight;          /* of the last connection; outlives the lanes. NULL: nobody looks */
};

struct lanes_stats {
    struct gauge in_flight;
    struct counter posts;
    struct counter connections;     /* opened */
    struct counter resends_refused; /* libcurl's silent second send on a dead reused connection, suppressed */
    struct gauge files_current;     /* 1; 0 while a file of TLS changed and cannot be used */
};

/* The outcome's pointers are valid during the callback only. */
typedef void post_done(void *context, const struct outcome *outcome);

/* NULL, after a log line, when a file that was given cannot be used. CA file, client certificate and key are read again when they change; connections
 * and TLS sessions from before then are not used again. */
struct lanes *lanes_create(struct uv_loop_s *loop, const struct lanes_options *options);
/* Ends everything under way without callbacks. */
void lanes_destroy(struct lanes *lanes);

/* POSTs `request` to `url` within the attempt timeout: name lookup, connect, TLS, headers and the start of the body, all in one deadline.
 * Request and url (its text included) are copied or used up before it returns, the request's body text excepted: it is borrowed until `done`.
 * `done` fires exactly once, never before lanes_post has returned, never after lanes_cancel.
 * Without a request (NULL) it only connects within LANES_ASK_MS, by TLS where the URL says so, on a connection of its own that is closed afterwards: of
 * the outcome only `connected` counts. */
struct post *lanes_post(struct lanes *lanes, const struct url *url, const struct request *request, post_done *done, void *context);
void lanes_cancel(struct post *post);
/* Whether some byte of the request may have left this machine. */
bool post_was_sent(const struct post *post);

const struct lanes_stats *lanes_stats(const struct lanes *lanes);

#endif
