/* Which TLS sessions libcurl may keep, and go on with in another connection. OpenSSL stays inside.
 *
 * A connection that goes on with a session shows no certificate: what was found of the first one holds for all that follow. So a session is kept only once
 * something was sent in its connection, when libcurl has compared the certificate with the host; it ends with the first certificate of its chain that
 * ends, however often it was renewed (OpenSSL and libcurl 7.88 know no end of one of TLS 1.2); and where the receiver answers the offer by an alert, or by
 * ending the connection, none is kept for ten minutes. (libcurl 8.14 has as many of TLS 1.3 as there were tickets, and offers each.) */
#ifndef JOBHOOK_DELIVERY_TLS_SESSIONS_H
#define JOBHOOK_DELIVERY_TLS_SESSIONS_H

#include <stdbool.h>

/* For an SSL_CTX, after libcurl has equipped it and before its first connection. */
void tls_sessions_set(void *ssl_ctx);

/* Of an SSL: something was sent in it, so that libcurl is content with the certificate. */
void tls_sessions_trust(void *ssl);
/* The receiver ended the connection. */
void tls_sessions_doubt(void *ssl);
/* Those that come in this connection are not kept. */
void tls_sessions_forbid(void *ssl);
/* Whether the X509 is the one that was shown when the SSL was trusted, if it is, or has the same alternative names, as after a renewal: nobody compares
 * that of a later handshake with the host. */
bool tls_sessions_is_same_receiver(void *ssl, const void *certificate);

#endif
