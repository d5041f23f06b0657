/* TLS's files: the certificates that receivers are judged by, and our own for receivers that ask for one. Read once, for every connection of these
 * lanes, and again when a file changes.
 *
 * libcurl would parse the CA file again in each lane (27 ms and a megabyte each), and our own certificate and key for each connection, half-exchanged
 * ones included. OpenSSL stays inside. */
#ifndef JOBHOOK_DELIVERY_POST_TLS_H
#define JOBHOOK_DELIVERY_POST_TLS_H

#include "consumer/base/text.h"
#include "delivery/tls_sight.h"

struct post_tls;

/* The file that holds all CA certificates of this system; NULL: there is none. */
const char *post_tls_system_file(void);
struct post_tls_files {
    const char *ca;          /* NULL: the system's one file, wherever the distribution keeps it */
    const char *certificate; /* ours, PEM, its chain behind it; NULL: none */
    const char *key;         /* its private key, PEM */
};

struct post_tls_problem {
    const char *setting, *file; /* the variable, and the path that it names */
    const char *sentence;       /* e.g. "does not belong to the certificate"; valid until the next call of strerror */
};
/* Whether post_tls_create would take the files that are named; only tries it. */
MUST_USE bool post_tls_try(const struct post_tls_files *files, struct post_tls_problem *problem);

/* NULL, after a log line, when a file that is named cannot be used; a system without certificates gives an empty store and a warning. */
struct post_tls *post_tls_create(const struct post_tls_files *files);
void post_tls_destroy(struct post_tls *tls);
/* Reads all of them again if one changed since they were read, but none since the last call: half a file of CAs is a file of CAs, too. When something
 * cannot be used, or certificate and key do not belong together, all that was there stays, and post_tls_is_current is false until the next good change.
 * True when there is something new: connections and TLS sessions from before rest on what no longer counts. */
MUST_USE bool post_tls_refresh(struct post_tls *tls);
bool post_tls_is_current(const struct post_tls *tls);
/* Until the next call libcurl has one SSL_CTX for all connections that it makes on this thread; NULL: one for each. See tls_context.h. */
void post_tls_lend(const struct post_tls *tls);
/* Gives an OpenSSL SSL_CTX what there is. False when OpenSSL does not take our certificate. */
MUST_USE bool post_tls_equip(const struct post_tls *tls, void *ssl_ctx);
/* After post_tls_equip: from now on the connections of this SSL_CTX write down what they see; the last one stands. `sight` outlives them. */
void post_tls_watch(void *ssl_ctx, struct tls_sight *sight);
/* What OpenSSL says about a refused certificate, e.g. "certificate has expired"; a fixed string. */
const char *post_tls_verify_problem(long verify_result);

#endif
