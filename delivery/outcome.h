/* What the wire said about one attempt. What follows from it is decided in delivery/verdict.h. */
#ifndef JOBHOOK_DELIVERY_OUTCOME_H
#define JOBHOOK_DELIVERY_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

/* The numbers are stored in Redis: append only. */
enum outcome_kind {
    OUTCOME_ANSWERED,        /* a status line; whatever happened to the body after it */
    OUTCOME_TIMEOUT,         /* no status line within the attempt timeout, connected */
    OUTCOME_CONNECT_TIMEOUT, /* no connection (TLS included) within the attempt timeout */
    OUTCOME_NAME_NOT_FOUND,  /* the name does not exist or has no address */
    OUTCOME_NAME_FAILED,     /* name servers did not answer */
    OUTCOME_CONNECT_REFUSED,
    OUTCOME_CONNECT_FAILED, /* unreachable, no route … */
    OUTCOME_TLS_VERIFY,     /* the certificate is not trusted, expired, or for another host */
    OUTCOME_TLS_FAILED,
    OUTCOME_CONNECTION_LOST, /* closed or reset before a status line */
    OUTCOME_BAD_ANSWER,      /* not HTTP, headers too large … */
    OUTCOME_BLOCKED_ADDRESS, /* the policy refused an address that the name has, or the peer */
    OUTCOME_LOCAL,           /* out of descriptors or memory here: nobody's fault out there */
    OUTCOME_KINDS,
};

enum { OUTCOME_SNIPPET_MAX = 4096 };

struct outcome {
    enum outcome_kind kind;
    int status;            /* with OUTCOME_ANSWERED */
    bool sent;             /* some byte of the request may have reached the receiver */
    bool connected;        /* a connection to the origin stood (counts for the origin), and not only a kept one that died */
    int32_t retry_after_s; /* as the receiver asked; -1 it did not */
    uint32_t name_ms, connect_ms, tls_ms, first_byte_ms, total_ms; /* since the start of the attempt */
    const char *snippet;                                           /* first bytes of the answer's body, raw; valid during the callback */
    uint32_t snippet_bytes;
    const char *detail; /* a short English sentence for logs; valid during the callback; never NULL */
};

/* A 2xx. */
static inline bool outcome_is_success(const struct outcome *outcome)
{
    return outcome->kind == OUTCOME_ANSWERED && outcome->status >= 200 && outcome->status <= 299;
}

#endif
