/* One SSL_CTX for all connections of a thread's lanes.
 *
 * libcurl makes one for each connection: a third of what a fresh HTTPS connection costs, and kept for as long as it stands. It cannot be given one,
 * but it calls SSL_CTX_new, and a function of that name in the program comes before OpenSSL's, as malloc does in programs that bring their own. While
 * a context is lent to a thread, SSL_CTX_new gives that one there, with a reference more; to everybody else what OpenSSL would make. Where the
 * linker finds OpenSSL's all the same, libcurl has a context for each connection, and everything else is as it was.
 *
 * What libcurl sets in a context, it sets for each connection again, and a connection takes a copy when it begins. OpenSSL stays inside. */
#ifndef JOBHOOK_DELIVERY_TLS_CONTEXT_H
#define JOBHOOK_DELIVERY_TLS_CONTEXT_H

/* An SSL_CTX for clients; NULL: there is no memory. */
void *tls_context_create(void);
/* Connections that were made from it stand. */
void tls_context_destroy(void *ssl_ctx);

/* To this thread, until the next call; NULL: none. */
void tls_context_lend(void *ssl_ctx);

#endif
