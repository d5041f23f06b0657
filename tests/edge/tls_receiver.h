/* A TLS receiver on a free port of 127.0.0.1, with certificates made on the spot. One thread, one connection at a time. */
#ifndef JOBHOOK_TESTS_EDGE_TLS_RECEIVER_H
#define JOBHOOK_TESTS_EDGE_TLS_RECEIVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct x509_store_ctx_st;

struct tls_options {
    bool (*greet)(int fd);        /* before the handshake, with nothing read yet; false: the connection ends. NULL: none */
    bool (*act)(void *ssl);       /* instead of the answer; false: the connection ends. NULL: 200 */
    bool (*talk)(void *ssl);      /* the whole connection, when HTTP/2 was agreed upon. NULL: HTTP/1 alone */
    bool agrees_on_http1;         /* where HTTP/2 is not offered; else TLS begins without a protocol then, */
    bool refuses_http1;           /* or not at all */
    const char *subject_alt_name; /* "IP:127.0.0.1", "DNS:hook.example.com" */
    bool expired;
    long valid_s;           /* from now on; 0: 30 days */
    bool old_protocol;      /* TLS 1.1 at most */
    bool close_each;        /* a connection per request */
    bool impatient;         /* likewise, and none is read to its end: the answer, then a reset */
    bool wants_certificate; /* of the client */
    bool short_key;         /* RSA with 1024 bits */
    bool issued;            /* by the certificate in ca_file, which is its own otherwise */
    bool broken_hash;       /* likewise, signed with SHA-1 */
    bool classic;           /* Diffie-Hellman without curves, TLS 1.2; needs RSA */
    const char *other_name; /* with `issued`: there is a certificate for it as well, SSL_CTX_get_app_data */
    int wrong_first;        /* so many connections are shown that one */
    bool resents_sessions;  /* hangs up on whoever offers to go on with one */
    int more_certificates;  /* behind its own, in the chain */
    bool same_again;        /* likewise, but copies of its own */
    bool long_certificates; /* a kilobyte each */
    size_t points_bytes;    /* about, of where lists of revoked certificates are */
    bool relative_point;    /* likewise, one, named relative to the issuer */
    bool own_curve;         /* another one, whose key is on a curve that it describes */
    bool half_point;        /* likewise, whose key is a point by one coordinate */
    int names;              /* of CAs, empty ones, for a certificate of the client that it can do without */
    int newest_protocol;    /* TLS1_2_VERSION; 0: all */
    const char *groups;     /* TLS 1.3 with these alone */
    size_t ticket_bytes;    /* of each ticket at least */
    uint16_t tunnel_to;     /* port of 127.0.0.1 to which a CONNECT leads, wherever it was meant for; 0: to itself */
};

struct tls_receiver {
    struct tls_options options;
    char ca_file[64]; /* the certificate, as PEM */
    char key_file[64];
    uint16_t port;
    int listener;
    void *context;          /* SSL_CTX */
    void *other;            /* X509, for other_name; NULL: none */
    char client_name[64];   /* the first subjectAltName of the certificate that the last client showed */
    char last_connect[512]; /* answered by 200: it is a proxy to itself */
    unsigned char last_session[32];
    atomic_int connections, requests, resumed, with_certificate;
    atomic_bool stopping;
    pthread_t thread;
};

void tls_receiver_start(struct tls_receiver *receiver, struct tls_options options);
void tls_receiver_stop(struct tls_receiver *receiver); /* removes the files */
/* For SSL_set_verify: whatever certificate the client shows. */
int tls_receiver_accept_any(int verified, struct x509_store_ctx_st *store);

#endif
