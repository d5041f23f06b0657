/* Whether OpenSSL may read a chain of certificates, by the bytes of TLS's Certificate message (RFC 5246, 7.4.2; RFC 8446, 4.4.2). Pure.
 *
 * Each certificate's key is decoded before any is trusted: a third of a millisecond, on some curves a whole one. Where a certificate describes the curve
 * itself, as nobody does (RFC 5480 forbids it, and OpenSSL refuses it afterwards), its author can make that half a second. */
#ifndef JOBHOOK_DELIVERY_TLS_CHAIN_H
#define JOBHOOK_DELIVERY_TLS_CHAIN_H

#include "consumer/base/text.h"

enum {
    TLS_CHAIN_MAX = 20,            /* certificates */
    TLS_CHAIN_ALGORITHMS_MAX = 100 /* in a list; there are some thirty */
};

/* `message` with its head of four bytes. True for a message that breaks the protocol: that is OpenSSL's to say. */
MUST_USE bool tls_chain_may_be_read(struct slice message, bool tls13);

/* Likewise of TLS 1.3's CertificateRequest (4.3.2): OpenSSL compares all that its two lists of signature algorithms hold, each with each, to find out
 * which of our certificates fits. */
MUST_USE bool tls_chain_may_be_asked_for(struct slice request);

#endif
