#include "delivery/tls_chain.h"

#include <string.h>

/* Algorithms of keys that are points on a curve, as the bytes of their object identifiers (RFC 5480; GM/T 0006, which nobody offers and OpenSSL reads). */
static const char id_ec_public_key[] = { 0x2a, (char)0x86, 0x48, (char)0xce, 0x3d, 2, 1 };
static const char sm2[] = { 0x2a, (char)0x81, 0x1c, (char)0xcf, 0x55, 1, (char)0x82, 0x2d };

enum { LONG_LENGTH = 0x80 }; /* from here on it says how many bytes the length has (X.690, 8.1.3) */
enum { HEAD = 4, LIST_LENGTH = 3, CERTIFICATE_LENGTH = 3, EXTENSIONS_LENGTH = 2 };

/* The number of so many bytes at `at`; 0 beyond the end. */
static size_t number_at(struct slice message, size_t at, size_t bytes)
{
    size_t number = 0;
    if (at + bytes > message.length)
        return 0;
    for (size_t i = 0; i < bytes; i++)
        number = number * 256 + (unsigned char)message.start[at + i];
    return number;
}

/* As far as the message goes. */
static bool is_at(struct slice message, size_t at, const char *bytes, size_t count)
{
    size_t left = at < message.length ? message.length - at : 0;
    return left == 0 || memcmp(message.start + at, bytes, left < count ? left : count) == 0;
}

/* Behind the algorithm of a key that is a point on a curve: the curve's name, and the point with both coordinates. A length may be written in several
 * ways, all of which OpenSSL reads. */
static bool is_plain_point(struct slice message, size_t at)
{
    size_t name_length = number_at(message, at + 1, 1), point = at + 2 + name_length;
    size_t length = number_at(message, point + 1, 1), length_bytes = length > LONG_LENGTH ? length - LONG_LENGTH : 0;
    return is_at(message, at, "\x06", 1) && name_length < LONG_LENGTH && is_at(message, point, "\x03", 1) &&
           is_at(message, point + 2 + length_bytes, "\0\x04", 2);
}

static bool has_costly_key(struct slice message)
{
    const char *end = message.start + message.length;
    for (const char *at = message.start; (at = memmem(at, (size_t)(end - at), id_ec_public_key, sizeof(id_ec_public_key))) != NULL;) {
        at += sizeof(id_ec_public_key);
        if (!is_plain_point(message, (size_t)(at - message.start)))
            return true;
    }
    return memmem(message.start, message.length, sm2, sizeof(sm2)) != NULL;
}

static size_t count_certificates(struct slice message, bool tls13)
{
    size_t count = 0, at = HEAD + (tls13 ? 1 + number_at(message, HEAD, 1) : 0) + LIST_LENGTH;
    for (; at + CERTIFICATE_LENGTH <= message.length; count++) {
        at += CERTIFICATE_LENGTH + number_at(message, at, CERTIFICATE_LENGTH);
        if (tls13)
            at += EXTENSIONS_LENGTH + number_at(message, at, EXTENSIONS_LENGTH);
    }
    return count;
}

bool tls_chain_may_be_read(struct slice message, bool tls13)
{
    return count_certificates(message, tls13) <= TLS_CHAIN_MAX && !has_costly_key(message);
}

bool tls_chain_may_be_asked_for(struct slice request)
{
    enum { CONTEXT_LENGTH = 1, EXTENSION_HEAD = 4, SIGNATURE_ALGORITHMS = 13, SIGNATURE_ALGORITHMS_CERT = 50, EACH = 2 };
    size_t at = HEAD + CONTEXT_LENGTH + number_at(request, HEAD, CONTEXT_LENGTH) + EXTENSIONS_LENGTH;
    while (at + EXTENSION_HEAD <= request.length) {
        size_t type = number_at(request, at, 2), length = number_at(request, at + 2, 2);
        bool algorithms = type == SIGNATURE_ALGORITHMS || type == SIGNATURE_ALGORITHMS_CERT;
        if (algorithms && length > TLS_CHAIN_ALGORITHMS_MAX * EACH)
            return false;
        at += EXTENSION_HEAD + length;
    }
    return true;
}
