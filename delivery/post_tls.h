/* The certificates that receivers are judged by: one store, parsed once, for every connection of these lanes.
 *
 * libcurl would parse the CA file again in each lane (27 ms and a megabyte each). OpenSSL stays inside. */
#ifndef JOBHOOK_DELIVERY_POST_TLS_H
#define JOBHOOK_DELIVERY_POST_TLS_H

#include "consumer/base/text.h"

struct post_tls;

/* The file that holds all CA certificates of this system; NULL: there is none. */
const char *post_tls_system_file(void);
/* `ca_file` NULL: the system's one file, wherever the distribution keeps it. NULL, after a log line, when `ca_file` is given and cannot be used;
 * a system without certificates gives an empty store and a warning. */
struct post_tls *post_tls_create(const char *ca_file);
void post_tls_destroy(struct post_tls *tls);
/* Reads the file again if it changed; when it cannot be used the old certificates stay. For new connections. */
void post_tls_refresh(struct post_tls *tls);
/* Gives the store to an OpenSSL SSL_CTX. */
void post_tls_equip(struct post_tls *tls, void *ssl_ctx);
/* What OpenSSL says about a refused certificate, e.g. "certificate has expired"; a fixed string. */
const char *post_tls_verify_problem(long verify_result);

#endif
