/* Whether OpenSSL may read a chain of certificates, by the bytes of TLS's Certificate message (RFC 5246, 7.4.2; RFC 8446, 4.4.2). Pure.
 *
 * Each certificate's key is decoded before any is trusted: a fifth of a millisecond with OpenSSL 3.0. Of a point that is written by one coordinate the
 * other is a root, which takes a whole one on some curves; where a certificate describes the curve itself (RFC 5480 forbids it, and OpenSSL refuses it
 * afterwards), its author can make that half a second. Nobody does either: keys are points with both coordinates, on a curve that has a name. */
#ifndef JOBHOOK_DELIVERY_TLS_CHAIN_H
#define JOBHOOK_DELIVERY_TLS_CHAIN_H

#include "consumer/base/text.h"

enum {
    TLS_CHAIN_MAX = 10,            /* certificates; a CA's have three or four */
    TLS_CHAIN_ALGORITHMS_MAX = 100 /* in a list; there are some thirty */
};

/* `message` with its head of four bytes. True for a message that breaks the protocol: that is OpenSSL's to say. */
MUST_USE bool tls_chain_may_be_read(struct slice message, bool tls13);

/* Likewise of TLS 1.3's CertificateRequest (4.3.2): OpenSSL compares all that its two lists of signature algorithms hold, each with each, to find out
 * which of our certificates fits. */
MUST_USE bool tls_chain_may_be_asked_for(struct slice request);

#endif
