/* One POST under way: a libcurl easy handle and what its callbacks saw. Private to lanes.c, lane.c and the post_*.c files; everyone else: delivery/lanes.h.
 *
 * Posts are used again and again: the options that never change are set once, at creation. No libcurl types here: `easy` and `multi` are void. */
#ifndef JOBHOOK_DELIVERY_POST_H
#define JOBHOOK_DELIVERY_POST_H

#include "consumer/base/list.h"
#include "consumer/base/log.h"
#include "consumer/base/timers.h"
#include "delivery/downgrades.h"
#include "delivery/lanes.h"
#include "delivery/post_tls.h"
#include "delivery/wires.h"

#include <netinet/in.h>

struct lane;

enum {
    POST_BODY_MAX = 16 * 1024,         /* read of an answer's body before the connection is given up (the snippet if that is longer) */
    POST_BODY_MS_MAX = 1000,           /* likewise, time spent on it */
    POST_HEADER_BYTES_MAX = 64 * 1024, /* of an answer, provisional (1xx) ones and trailers included; of a proxy's, all of it */
    POST_HEADER_LINES_MAX = 512,
    POST_AFTER_HEADERS_MAX = 192 * 1024, /* by http://, of an answer that goes on and on: chunk extensions, trailers and all */
};

/* What all posts of these lanes share. */
struct post_shared {
    const struct guard *guard;
    struct wires *wires;
    struct post_tls *tls;
    struct lanes_stats stats;
    uint64_t attempt_timeout_ms;
    uint32_t lifetime_s; /* of a connection */
    char *proxy;         /* NULL: none */
    bool proxy_by_tls;
    bool http2; /* offered by TLS */
    struct downgrades *downgrades;
    struct tls_sight *tls_sight;
    bool cutting; /* a post that is not over is being taken away from libcurl */
    uint32_t snippet_bytes;
    struct log_gate no_sockets, troubles;
    void (*hasten)(struct post *post, uint64_t most_ms); /* it is to end within that; libcurl must not be called */
};

enum post_step {
    POST_SPARE,     /* waits for use, or its `done` is being called */
    POST_BEGINNING, /* within lanes_post */
    POST_NAMING,    /* the name is being looked up */
    POST_UNDER_WAY, /* libcurl has it */
    POST_ENDED,     /* `done` is to be called */
};

/* What the callbacks saw of this attempt; zeroed for each. */
struct post_sight {
    bool blocked;             /* an address was refused, or the parsers disagree */
    bool peer_gone;           /* the receiver reset the connection right behind the handshake */
    bool prepared;            /* libcurl was about to send: connected, and bytes may have left */
    bool dialled;             /* for it, and not before */
    bool unpinned;            /* libcurl did not find the name's addresses any more */
    bool resend_refused;      /* libcurl wanted to send it again */
    bool http1_wanted;        /* likewise, by HTTP/1.1, as the receiver asked for that */
    bool in_headers;          /* between a status line and its empty line */
    bool has_field;           /* since a status line, a proxy's as well */
    bool headers_done;        /* of the final status */
    bool headers_too_large;   /* provisional answers without end, or headers */
    bool body_cut;            /* our limit on the body ended it */
    enum downgrade downgrade; /* by which the protocol was chosen: what it finds, downgrades.h is told */
    bool agreed;              /* by TLS, on a protocol that we offered, */
    bool http2;               /* and on this */
    bool unfit;               /* its connection takes much memory or, with HTTP/1, has something that nobody has read */
    bool timed_out;           /* our deadline ended it */
    struct sockaddr_in6 ipv6; /* that was dialled last, or tried to be; of no family: it was none of IPv6 */
    int local_error;          /* errno of a failure on this machine */
    int status;               /* of the last status line */
    int32_t retry_after_s;
    uint32_t header_bytes, header_lines;
    uint32_t proxy_bytes; /* at least, before there was a tunnel */
    uint32_t looks;       /* at what came behind the headers, by http:// */
    uint64_t received;    /* by its connection, when those began to count */
    uint32_t body_bytes;
    uint32_t snippet_bytes;
};

struct post {
    struct link link; /* the lane's spare posts, the lanes' busy or ended ones */
    struct timer deadline;
    struct post_shared *shared;
    struct lane *lane;
    enum post_step step;
    post_done *done;
    void *context;
    struct names_query *query; /* with POST_NAMING */

    void *easy;                  /* CURL */
    char *url;                   /* NUL-terminated; stays for the next use: most are for the same URL */
    size_t url_length, url_size; /* url_length 0: none set */
    struct Curl_URL *parsed;     /* the same, once it was set */
    char *lines;                 /* storage of the header lines */
    size_t lines_size;
    struct post_lines *slist; /* the nodes that libcurl reads */
    struct post_pin *pin;     /* the name's addresses, as libcurl reads them */
    bool pinned;
    char *snippet;
    char trouble[256]; /* CURL_ERROR_SIZE: libcurl's words for what went wrong, "" as long as nothing has */
    char host[GUARD_HOST_MAX + 1];
    uint16_t port;
    bool https;
    int fd;               /* of the connection that it has at the moment; -1: none that libcurl waits for */
    bool only_connects;   /* nothing is sent */
    bool downgraded;      /* HTTP/1.1 alone is offered, although we have HTTP/2 */
    uint64_t origin_hash; /* with a random key: what downgrades.h knows the origin by */
    size_t body_bytes;    /* of its request */
    bool large;           /* libcurl allocated much for it, or for its answer: not used again */
    bool spoiled;         /* its connection is not used again */

    uint64_t begin_us, named_us, start_us; /* the attempt began, the name was known, libcurl got it */
    struct post_sight saw;
    struct outcome outcome;
};

/* False, after a log line, when a file of TLS cannot be used. `wires` and `hasten` are the caller's to set. */
MUST_USE bool post_shared_init(struct post_shared *shared, const struct lanes_options *options);
void post_shared_finish(struct post_shared *shared);

struct post *post_create(struct post_shared *shared);
void post_destroy(struct post *post);

/* Copies URL and headers into the post and points libcurl at the body; without a request (NULL) nothing is sent. False when libcurl's parser does not agree with ours about where the URL
 * leads: then the outcome is there (OUTCOME_BLOCKED_ADDRESS). */
MUST_USE bool post_address(struct post *post, const struct url *url, const struct request *request);
/* Hands the answer of the name servers to libcurl; false when there is no address, or one is refused: then the outcome is there. */
MUST_USE bool post_pin(struct post *post, const struct names_answer *answer);
/* Its connection must not be used again, whatever the protocol; while libcurl has the post. */
void post_spoil(struct post *post);
/* libcurl's callbacks from the name to the request's first byte: post_dial.c. */
void post_dial_set(struct post *post);
/* OpenSSL's SSL of the connection that it has at the moment; NULL: none. Not to be kept. */
void *post_tls_of(const struct post *post);
/* TLS sessions of the lane (CURLSH). */
void post_share_sessions(struct post *post, void *sessions);

/* "HTTP/1.1 200 OK": 0 when the line is no such line. */
int post_status_of(struct slice line);
/* How it ended: fills `outcome` from what was seen. `code` is a CURLcode. Before the handle leaves the multi. */
void post_conclude(struct post *post, int code);
/* Likewise, when our deadline ends it. */
void post_conclude_overdue(struct post *post);
/* Ended before libcurl had it. */
void post_conclude_early(struct post *post, enum outcome_kind kind, const char *detail);

#endif
