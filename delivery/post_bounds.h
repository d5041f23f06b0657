/* What a receiver can do with TLS to the loop, on which everybody's deadlines are kept, and to the next request: bounded here. OpenSSL stays inside. */
#ifndef JOBHOOK_DELIVERY_POST_BOUNDS_H
#define JOBHOOK_DELIVERY_POST_BOUNDS_H

#include <stdbool.h>

/* For an SSL_CTX before its first connection: no call of OpenSSL lasts as long as the receiver likes. */
void post_bounds_set(void *ssl_ctx);

/* Of an SSL, NULL included (false). Bytes of the receiver that OpenSSL has and nobody read: the socket does not show them. */
bool post_bounds_has_unread(const void *ssl);
/* HTTP/2 was agreed upon, whatever a status line says. */
bool post_bounds_is_http2(const void *ssl);

#endif
