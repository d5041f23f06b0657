/* What a receiver can do with TLS to the loop, on which everybody's deadlines are kept, and to the next request: bounded here. OpenSSL stays
 * inside. */
#ifndef JOBHOOK_DELIVERY_POST_BOUNDS_H
#define JOBHOOK_DELIVERY_POST_BOUNDS_H

#include <stdbool.h>
#include <stddef.h>

/* For an SSL_CTX before its first connection. Whoever reads from it is told now and then that there is nothing, though there may be: neither OpenSSL
 * nor libcurl (HTTP/2) reads for as long as the receiver sends. A handshake that takes much too much finds the connection closed. */
void post_bounds_set(void *ssl_ctx);
/* Of the certificates that the receiver showed beside its own: bytes of extensions. OpenSSL may keep fifty times as much. */
void post_bounds_note_extensions(void *ssl, size_t bytes);
/* A request is about to be sent by this SSL (NULL: nothing happens). Likewise, if its answer takes much too much; a receiver may say one byte more for
 * each of the request, as it does by HTTP/2 that takes it in small pieces. */
void post_bounds_begin(void *ssl, size_t request_bytes);

/* Of an SSL, NULL included (true). Of certificates OpenSSL keeps ten times what they took on the wire, and more of names of CAs, for as long as the
 * connection stands. */
bool post_bounds_may_be_kept(void *ssl);
/* Of an SSL, NULL included (false), when the answer is complete. It may not be kept by now; or OpenSSL has bytes of the receiver that nobody read:
 * the socket does not show them. */
bool post_bounds_is_spoiled(void *ssl);
/* HTTP/2 was agreed upon, whatever a status line says. */
bool post_bounds_is_http2(void *ssl);
/* The receiver chose one of the protocols that it was offered (ALPN). */
bool post_bounds_has_protocol(void *ssl);

#endif
