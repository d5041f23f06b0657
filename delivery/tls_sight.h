/* What was seen of a TLS connection, for an operator who tries a receiver (`jobhook send`). Empty strings: it did not come to that. */
#ifndef JOBHOOK_DELIVERY_TLS_SIGHT_H
#define JOBHOOK_DELIVERY_TLS_SIGHT_H

#include <stdbool.h>
#include <stdint.h>

enum { TLS_SIGHT_NAME_BYTES = 512 };

struct tls_sight {
    char version[16];                   /* TLSv1.3 */
    char cipher[64];                    /* the handshake was finished with it */
    char application[16];               /* protocol that was agreed on: h2, http/1.1 */
    bool has_certificate;               /* the receiver showed one, whether trusted or not; only then: */
    char subject[TLS_SIGHT_NAME_BYTES]; /* RFC 2253, cut; the receiver's bytes */
    char issuer[TLS_SIGHT_NAME_BYTES];
    int64_t from_ms, until_ms; /* it is valid; ms since 1970, -1: unreadable */
};

#endif
